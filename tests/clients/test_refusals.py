"""How connections are refused: by a close code, by a status, and on a stream by a 200 that says when to come back."""

import contextlib
import threading
import unittest
from collections.abc import Iterator

from bytes_on_the_wire import Raw
from campus import Answer, announce, bearer, call, flood, metric, open_connections, school, token
from readers import Sse, Ws, poll
from server import Server, stands_still, wait_until
from websockets.exceptions import InvalidStatus

SECONDS_EXPECTED = 30

STRANGER = "https://stranger.example"


class HttpRefusal(Answer):
    """The answer to a handshake that was not upgraded."""

    def __init__(self, refused: InvalidStatus) -> None:
        super().__init__(refused.response.status_code, refused.response.headers, refused.response.body)


class Refusals:
    """The same refusals, told in one of two ways. Mixed into a TestCase for each."""

    reject = ""

    @classmethod
    def setUpClass(cls) -> None:
        cls.limits = {"connections_per_user": 2, "reconnect_spread_ms": 400, "drain_ms": 4000}
        cls.server = cls.start(limits=cls.limits)
        cls.addClassCleanup(cls.server.stop)

    @classmethod
    def start(cls, **changes: dict | list) -> Server:
        route = {"/ws": {"reject": cls.reject}}
        return school(route=route, allowed_origins=["https://lms.example"], auth={"first_message": False}, **changes)

    def refused(self, server: Server, code: str, close: int, status: int, token_: str | None = None, **how: object) -> None:
        """Expects this refusal of a WebSocket; checks that nothing was subscribed by it."""
        comes_back = close in (4010, 4029)
        if self.reject == "close":
            with Ws(server, token_, **how) as ws:
                self.assertEqual(ws.closed(), (close, code))
                if comes_back:
                    (reconnect,) = ws.seen
                    self.assertEqual((reconnect["type"], reconnect["code"]), ("reconnect", code))
                    self.assertGreater(reconnect["retry_after_ms"], 0)
                else:
                    self.assertEqual(ws.seen, [])
        else:
            with self.assertRaises(InvalidStatus) as raised:
                Ws(server, token_, **how)
            answer = HttpRefusal(raised.exception)
            self.assertEqual((answer.status, answer.code), (status, code))
            self.assertEqual("retry-after" in answer.headers, comes_back)
            if comes_back:
                self.assertGreater(answer.retry_after_s, 0)

    def refused_elsewhere(self, server: Server, code: str, status: int, token_: str | None = None, headers: dict | None = None) -> None:
        """SSE and poll refuse for the same reason in their own words."""
        given = {**(headers or {}), **(bearer(token_) if token_ else {})}
        answer = call(server, "GET", "/api/poll", headers=given)
        self.assertEqual((answer.status, answer.code), (status, code))
        comes_back = status in (429, 503)
        self.assertEqual("retry-after" in answer.headers, comes_back)
        if comes_back:
            return self.refused_stream(server, token_)
        with Sse(server, headers=given) as sse:
            answer = sse.problem()
            self.assertEqual((answer.status, answer.code), (status, code))

    def refused_stream(self, server: Server, token_: str) -> None:
        """An EventSource gives up for good on anything but 200."""
        with Sse(server, token_) as sse:
            self.assertEqual((sse.status, sse.answer.headers["content-type"]), (200, "text/event-stream"))
            self.assertEqual(list(sse.messages()), [])
            self.assertGreater(sse.retry_ms, 0)

    def nothing_is_subscribed(self, server: Server, connections: int = 0) -> None:
        wait_until(lambda: open_connections(server) == connections, what=f"{connections} connections")
        before = metric(server, "events_delivered_total")
        announce(server, "to nobody who was refused")
        self.assertEqual(metric(server, "events_delivered_total") - before, connections)

    def test_no_token(self) -> None:
        self.refused(self.server, "no_credential", 4001, 401)
        self.refused_elsewhere(self.server, "no_credential", 401)
        self.nothing_is_subscribed(self.server)

    def test_a_wrong_token(self) -> None:
        for wrong in ("wrong", token(secret="z" * 40), token().rpartition(".")[0] + "."):
            self.refused(self.server, "invalid_token", 4001, 401, wrong)
            self.refused_elsewhere(self.server, "invalid_token", 401, wrong)
        self.nothing_is_subscribed(self.server)

    def test_an_expired_token(self) -> None:
        self.refused(self.server, "expired_token", 4001, 401, token(seconds=-60))
        self.refused_elsewhere(self.server, "expired_token", 401, token(seconds=-60))
        self.nothing_is_subscribed(self.server)

    def test_a_foreign_origin(self) -> None:
        for origin in (STRANGER, "null", "https://lms.example.stranger.example", "http://lms.example", "https://lms.example:8443"):
            self.refused(self.server, "origin_not_allowed", 4003, 403, token(), origin=origin)
            self.refused_elsewhere(self.server, "origin_not_allowed", 403, token(), headers={"Origin": origin})
        with Ws(self.server, token(), origin="https://lms.example") as ws:
            self.assertEqual(ws.frame()["type"], "connection_established")
        self.nothing_is_subscribed(self.server)

    def test_a_channel_that_is_not_the_person_s(self) -> None:
        self.refused(self.server, "forbidden", 4003, 403, token(1), channels="course:8")
        answer = poll(self.server, token(1), channels="course:8,course:7")
        self.assertEqual((answer.status, answer.code), (403, "forbidden"))
        self.nothing_is_subscribed(self.server)

    def test_more_connections_than_a_person_may_hold(self) -> None:
        with Ws(self.server, token(2)) as first, Sse(self.server, token(2)) as second:
            first.frame(), second.block()
            self.refused(self.server, "too_many_connections", 4029, 429, token(2))
            self.refused_elsewhere(self.server, "too_many_connections", 429, token(2))
            with Ws(self.server, token(3)) as other:
                self.assertEqual(other.frame()["type"], "connection_established", "another person is not concerned")
        self.nothing_is_subscribed(self.server)
        with Ws(self.server, token(2)) as again:
            self.assertEqual(again.frame()["type"], "connection_established")

    def test_more_connections_than_an_address_may_hold(self) -> None:
        server = self.start(limits={"connections_per_address": 2, "reconnect_spread_ms": 400})
        self.addCleanup(server.stop)
        with Ws(server, token(1)) as first, Ws(server, token(2)) as second:
            first.frame(), second.frame()
            self.refused(server, "too_many_connections", 4029, 429, token(3))
            self.refused_elsewhere(server, "too_many_connections", 429, token(3))

    def test_more_connects_a_second_than_are_admitted(self) -> None:
        server = self.start(limits={"connects_per_second": 1, "reconnect_spread_ms": 400})
        self.addCleanup(server.stop)
        # The bucket refills at one a second: of three in a row the later ones meet it empty.
        with Ws(server, token()) as ws:
            ws.frame()
        self.refused(server, "server_busy", 4029, 503, token())
        # Polls connect all the time, and so have a rate of their own.
        self.refused_stream(server, token())
        self.assertEqual(poll(server, token()).status, 200)
        self.nothing_is_subscribed(server)

    def test_a_draining_server(self) -> None:
        server = self.start(limits=self.limits)
        self.addCleanup(server.stop)
        # A stream that nobody reads holds the drain open, as long as its grace lasts.
        with stalled_stream(server, token(5)):
            ending = threading.Thread(target=server.process.terminate)
            ending.start()
            ending.join()
            wait_until(lambda: call(server, "GET", "/readyz").status == 503, what="the drain")
            self.assertEqual(call(server, "GET", "/readyz").code, "server_draining")
            self.refused(server, "server_draining", 4010, 503, token())
            self.refused_elsewhere(server, "server_draining", 503, token())

    def test_a_wrong_cursor_or_query_is_refused_before_anything_is_subscribed(self) -> None:
        for query, code in (({"since": "yesterday"}, "invalid_cursor"), ({"epoch": "x"}, "invalid_cursor"),
                            ({"channels": "nowhere"}, "unknown_channel"), ({"channels": "planet:1"}, "unknown_channel")):
            answer = poll(self.server, token(), **query)
            self.assertEqual(answer.code, code, query)
            with Sse(self.server, token(), **query) as sse:
                self.assertEqual(sse.problem().code, code)
            if self.reject == "http":
                with self.assertRaises(InvalidStatus) as raised:
                    Ws(self.server, token(), **query)
                self.assertEqual(HttpRefusal(raised.exception).code, code)
            else:
                with Ws(self.server, token(), **query) as ws:
                    self.assertEqual(ws.closed()[0], 4003)
        self.nothing_is_subscribed(self.server)


@contextlib.contextmanager
def stalled_stream(server: Server, token_: str) -> Iterator[Raw]:
    """An SSE connection with so much to read, and nobody reading it, that the server cannot end it in peace."""
    flood(server, 12)
    with Raw(server, receive_bytes=4096) as raw:
        request = f"GET /api/events?since=0 HTTP/1.1\r\nHost: {server.address}\r\nAuthorization: Bearer {token_}\r\n\r\n"
        raw.send(request.encode())
        # The kernel's buffers fill until no event is delivered any more.
        stands_still(lambda: metric(server, "events_delivered_total"))
        yield raw


class ByCloseCode(Refusals, unittest.TestCase):
    reject = "close"


class ByStatus(Refusals, unittest.TestCase):
    reject = "http"


class Guessing(unittest.TestCase):
    def test_reject_close_is_the_default(self) -> None:
        server = school(auth={"first_message": False})
        self.addCleanup(server.stop)
        with Ws(server) as ws:
            self.assertEqual(ws.closed(), (4001, "no_credential"))

    def test_plain_http_on_the_websocket_route_says_what_it_wants(self) -> None:
        server = school()
        self.addCleanup(server.stop)
        answer = call(server, "GET", "/ws", headers=bearer(token()))
        self.assertEqual((answer.status, answer.headers["upgrade"]), (426, "websocket"))
        self.assertEqual(call(server, "POST", "/ws", {}, bearer(token())).code, "method_not_allowed")


if __name__ == "__main__":
    unittest.main()
