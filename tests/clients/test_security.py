"""The threat model as a user meets it; docs/security.md names these tests."""

import json
import os
import subprocess
import unittest
from concurrent.futures import ThreadPoolExecutor

from bytes_on_the_wire import Raw
from campus import PUBLISHER, announce, bearer, call, http_connection, note, open_connections, publish, school, token, vectors
from readers import Sse, Ws, ids, poll, poll_from
from server import Server, free_port, wait_until

SECONDS_EXPECTED = 20

STRANGER = "https://stranger.example"
ROSTER_COURSES = "/api/roster/people/1/courses"


class Binding(unittest.TestCase):
    def ends(self, listen: str, *options: str) -> tuple[int, str]:
        """A server that must refuse to start: its status and what it said."""
        server = Server(config={"auth": {"hs256_secret": os.urandom(32).hex()}})
        self.addCleanup(server.folder.cleanup)
        (server.path / "campanile.toml").write_text(f'[auth]\nhs256_secret = "{server.config["auth"]["hs256_secret"]}"\n')
        command = [os.environ["CAMPANILE_BIN"], "serve", "--config", "campanile.toml", "--store", server.store, "--listen", listen]
        ended = subprocess.run([*command, *options], cwd=server.path, capture_output=True, text=True, timeout=20, check=False)
        return ended.returncode, ended.stderr

    def test_plain_http_is_not_served_where_others_can_reach_it(self) -> None:
        port = free_port()
        for listen in (f"0.0.0.0:{port}", f"[::]:{port}", f"192.168.7.7:{port}", f"203.0.113.5:{port}"):
            status, said = self.ends(listen)
            self.assertEqual(status, 1, said)
            for word in ("certificate_file", "trusted_proxies", "127.0.0.1", "--insecure-public-bind"):
                self.assertIn(word, said)

    def test_who_insists_is_warned(self) -> None:
        # An address that is not this machine's: the check is passed, and binding fails after it.
        status, said = self.ends(f"203.0.113.5:{free_port()}", "--insecure-public-bind")
        self.assertEqual(status, 1)
        self.assertIn("everybody on the way reads the tokens", said)
        self.assertIn("listening on 203.0.113.5", said)


class Addresses(unittest.TestCase):
    """Whom the limits count: the client, as far as somebody trusted says who that is."""

    def statuses(self, server: Server, lists: list[dict]) -> list[int]:
        return [call(server, "GET", ROSTER_COURSES, headers=headers).status for headers in lists]

    def test_behind_a_trusted_proxy_each_client_has_its_own_limit_and_nobody_makes_up_another(self) -> None:
        server = school(trusted_proxies=["127.0.0.1/32"], limits={"rest_per_hour_anonymous": 2}, log={"level": "debug"})
        self.addCleanup(server.stop)
        forged = [{"X-Forwarded-For": f"10.9.8.{place}, 198.51.100.7"} for place in range(4)]
        self.assertEqual(self.statuses(server, forged), [401, 401, 429, 429])
        self.assertEqual(self.statuses(server, [{"Forwarded": "for=198.51.100.7"}] * 2), [429, 429])
        self.assertEqual(self.statuses(server, [{"X-Forwarded-For": "198.51.100.8"}] * 3), [401, 401, 429])
        garbage = [{"X-Forwarded-For": "a b"}, {"X-Forwarded-For": "unknown"}, {"Forwarded": "for=_me"}]
        self.assertEqual(self.statuses(server, garbage), [401, 401, 429], "the proxy's own")
        network = [{"X-Forwarded-For": f"2001:db8::{place}"} for place in range(1, 4)]
        self.assertEqual(self.statuses(server, network), [401, 401, 429], "a household's IPv6 addresses are one")
        server.end()
        self.assertIn("198.51.100.7", server.log_text())
        self.assertNotIn("10.9.8.", server.log_text())

    def test_a_stranger_s_word_about_its_address_is_not_read(self) -> None:
        server = school(limits={"rest_per_hour_anonymous": 2})
        self.addCleanup(server.stop)
        forged = [{"X-Forwarded-For": f"198.51.100.{place}", "X-Forwarded-Proto": "https"} for place in range(4)]
        self.assertEqual(self.statuses(server, forged), [401, 401, 429, 429])
        answer = call(server, "GET", "/healthz", headers=forged[0])
        self.assertIsNone(answer.headers["strict-transport-security"])

    def test_a_thousand_pupils_behind_one_address_work_while_a_stranger_there_is_limited(self) -> None:
        server = school(limits={"rest_per_hour_anonymous": 3, "rest_per_hour_signed_in": 3})
        self.addCleanup(server.stop)
        self.assertEqual(self.statuses(server, [{}] * 5), [401] * 3 + [429] * 2)

        def visits(pupils: range) -> list[int]:
            connection = http_connection(server, 20)
            seen = []
            for pupil in pupils:
                connection.request("GET", f"/api/roster/people/{pupil}/courses", headers=bearer(token(pupil)))
                answer = connection.getresponse()
                seen.append((answer.status, answer.headers["ratelimit-remaining"], len(answer.read()) > 0))
            connection.close()
            return seen

        with ThreadPoolExecutor(4) as pool:
            seen = [one for part in pool.map(visits, [range(place, 1000 + place, 4) for place in range(1, 5)]) for one in part]
        self.assertEqual(len(seen), 1000)
        self.assertNotIn(429, {status for status, _, _ in seen})
        self.assertEqual({remaining for _, remaining, _ in seen}, {"2"})
        self.assertEqual(self.statuses(server, [{}]), [429])

    def test_tickets_are_limited_by_account(self) -> None:
        server = school(limits={"tickets_per_minute": 2})
        self.addCleanup(server.stop)
        answers = [call(server, "POST", "/api/ticket", headers=bearer(token(1))) for _ in range(3)]
        self.assertEqual([answer.status for answer in answers], [201, 201, 429])
        self.assertEqual([answer.headers["ratelimit-remaining"] for answer in answers], ["1", "0", "0"])
        self.assertEqual(answers[2].code, "rate_limited")
        self.assertTrue(0 < answers[2].retry_after_s <= 30)
        self.assertEqual(call(server, "POST", "/api/ticket", headers=bearer(token(2))).status, 201)


class Pages(unittest.TestCase):
    """What a page of somebody else's can do in a signed-in person's browser."""

    @classmethod
    def setUpClass(cls) -> None:
        cls.server = school(allowed_origins=["https://lms.example"])
        cls.addClassCleanup(cls.server.stop)

    def test_a_foreign_page_gets_no_websocket_stream_or_poll_even_with_a_token(self) -> None:
        for carried in ({"token": token()}, {"bearer_token": token()}, {"protocols": ["bearer", token()]}, {}):
            with Ws(self.server, origin=STRANGER, **carried) as ws:
                self.assertEqual(ws.closed(), (4003, "origin_not_allowed"))
                self.assertEqual(ws.seen, [])
        with Sse(self.server, token(), headers={"Origin": STRANGER}) as sse:
            self.assertEqual((sse.status, sse.problem().code), (403, "origin_not_allowed"))
        self.assertEqual(open_connections(self.server), 0)

    def test_a_foreign_page_changes_nothing(self) -> None:
        headers = bearer(PUBLISHER, Origin=STRANGER, Cookie="sessionid=abc")
        before = poll(self.server, token(), since=0).json["cursor"]
        self.assertEqual(publish(self.server, note("forged"), Origin=STRANGER).code, "origin_not_allowed")
        self.assertEqual(call(self.server, "PUT", "/api/roster/courses/7", {"title": "x"}, headers).code, "origin_not_allowed")
        self.assertEqual(poll(self.server, token(), since=0).json["cursor"], before)

    def test_a_cookie_alone_is_nobody(self) -> None:
        for name in ("sessionid", "token", "access_token", "Authorization", "jwt"):
            headers = {"Cookie": f"{name}={token()}", "Origin": "https://lms.example"}
            self.assertEqual(call(self.server, "GET", "/api/poll", headers=headers).code, "no_credential")

    def test_no_answer_sends_the_address_line_on(self) -> None:
        for path in ("/", f"/api/poll?token={token()}", "/nowhere?token=x"):
            headers = call(self.server, "GET", path).headers
            self.assertEqual((headers["referrer-policy"], headers["cache-control"]), ("no-referrer", "no-store"))


class Reading(unittest.TestCase):
    """A cursor is a place in the log, and no key to it."""

    @classmethod
    def setUpClass(cls) -> None:
        cls.server = school()
        cls.addClassCleanup(cls.server.stop)

    def test_a_guessed_cursor_shows_nothing_of_others(self) -> None:
        numbers = announce(self.server, "exams of course 8", channel="course:8")
        others = publish(self.server, {"type": "progress_update", "channel": "user:2", "data": {"course_id": 8, "percent": 5}})
        numbers.append(others.json["id"])
        # Person 1 is in course 7 alone. Every cursor around the events is a guess.
        for since in [0, *range(max(0, numbers[0] - 2), numbers[-1] + 1)]:
            events, _ = poll_from(self.server, token(1), since)
            self.assertFalse(set(ids(events)) & set(numbers))
            self.assertFalse({event["channel"] for event in events} - {"course:7", "user:1"} - {"role:student"})
        with Ws(self.server, token(1)) as ws:
            ws.until("connection_established")
            ws.ask("replay_request", "replay_complete", last_event_id=0)
            self.assertFalse(set(ids(ws.seen)) & set(numbers))
        events, _ = poll_from(self.server, token(2), 0)
        self.assertTrue(set(numbers) <= set(ids(events)), "who is due them gets them")

    def test_claims_and_fields_that_nobody_asked_for_change_nothing(self) -> None:
        put = lambda path, body: call(self.server, "PUT", path, body, bearer(PUBLISHER))  # noqa: E731
        person = "/api/roster/people/1"
        for extra in ({"is_admin": True}, {"scopes": ["publish"]}, {"person_id": 3}, {"__proto__": {"role": "admin"}}):
            answer = put(person, {"name": "Person 1", "role": "student", **extra})
            self.assertEqual(answer.code, "invalid_data", extra)
        body = {"title": "x", "body": "x"}
        for extra in ({"id": 1}, {"seq": 1}, {"timestamp": "2020-01-01T00:00:00.000Z"}, {"recorded_at_ms": 1}, {"effects": []}):
            answer = publish(self.server, {"type": "announcement", "channel": "course:7", "data": body, **extra})
            self.assertEqual(answer.status, 422, extra)
        # The roster knows this person as a student, whatever a platform's token says.
        answer = call(self.server, "PUT", "/api/roster/courses/9", {"title": "Mine"}, bearer(token(1, role="admin", scopes=["roster"])))
        self.assertEqual(answer.code, "forbidden")
        answer = call(self.server, "PUT", "/api/roster/courses/9", {"title": "Mine"}, bearer(token(3, role="student")))
        self.assertEqual(answer.status, 200, "and this one as an admin")


class Injection(unittest.TestCase):
    @classmethod
    def setUpClass(cls) -> None:
        cls.server = school(log={"level": "debug"})
        cls.addClassCleanup(cls.server.stop)

    def test_no_value_forges_a_field_of_a_stream(self) -> None:
        path = vectors("own", "sse-streams.json")
        if path is None:
            print("vectors: skipped: CAMPANILE_VECTORS names no folder (own/sse-streams.json)")
            cases = [{"field": "data", "value": "a\rdata: forged\r\r\n\nid: 9\n\n"}]
        else:
            cases = json.loads(path.read_text())["encoder"]
            print(f"vectors: sse-streams.json: {len(cases)} values that an encoder must neutralise", flush=True)
        with Sse(self.server, token()) as sse:
            sse.block()
            for case in cases:
                value = case["value"]
                (number,) = [publish(self.server, note(value)).json["id"]]
                block = sse.block()
                self.assertEqual(set(block), {"id", "data"}, case)
                self.assertEqual((block["id"], json.loads(block["data"])["data"]), (str(number), {"text": value}))
                # Where an id or a name goes, none of it is taken.
                self.assertEqual(publish(self.server, note("x", kind=value)).code, "unknown_event_type")
                if case["field"] == "id":
                    self.assertEqual(poll(self.server, token(), since=value).code, "invalid_cursor")
        # Line ends between tokens, where JSON allows them.
        raw = b'{"type":"note","channel":"course:7","data":{"text":\r\n"x"\n,\r"id: 9":\n\n"data: forged"}}'
        with Sse(self.server, token()) as sse:
            sse.block()
            self.assertEqual(publish(self.server, raw).status, 201)
            self.assertEqual(set(sse.block()), {"id", "data"})

    def test_no_value_forges_a_line_of_the_log(self) -> None:
        forged = "2026-01-01T00:00:00Z ERROR forged"
        with Raw(self.server) as raw:
            raw.send(f"GET /api/poll?since=1%0a{forged.replace(' ', '%20')}&client=%1b[31m HTTP/1.1\r\nHost: x\r\n"
                     "X-Request-Id: a\x1b[31mb\r\n\r\n".encode())
            raw.head()
        for name in ("User-Agent", "Origin", "X-Request-Id", "Idempotency-Key", "X-Forwarded-For"):
            call(self.server, "GET", "/nowhere", headers={name: f"x\t{forged}"})
        call(self.server, "PUT", f"/api/roster/people/{'%0a' + forged.replace(' ', '%20')}", {"name": "x"}, bearer(PUBLISHER))
        publish(self.server, note(f"\n{forged}\n", kind=f"x\n{forged}"))
        lines = self.server.log_text().splitlines()
        self.assertFalse([line for line in lines if line.startswith(forged)], "a line of somebody else's")
        self.assertNotIn("\x1b[31m", self.server.log_text())

    def test_the_request_id_leads_from_the_answer_to_the_log(self) -> None:
        answer = call(self.server, "GET", "/nowhere", headers={"X-Request-Id": "ticket-4711.a_b"})
        self.assertEqual((answer.headers["x-request-id"], answer.json["request_id"]), ("ticket-4711.a_b",) * 2)
        wait_until(lambda: "ticket-4711.a_b" in self.server.log_text(), what="the line in the log")


if __name__ == "__main__":
    unittest.main()
