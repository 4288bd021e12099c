"""A server that is told to end tells its clients when to come back, and ends inside its grace."""

import http.client
import json
import threading
import time
import unittest
from concurrent.futures import ThreadPoolExecutor

from bytes_on_the_wire import Raw
from campus import PEOPLE, PUBLISHER, announcement, bearer, flood, metric, open_connections, school, token
from readers import Sse, Ws, ids, poll, poll_from
from server import wait_until

DRAIN_MS = 3000
SPREAD_MS = 2000
# What the process may need beside the drain: the last requests, the runtime, a busy machine.
MARGIN_S = 1.5


class Drain(unittest.TestCase):
    def setUp(self) -> None:
        self.server = school(limits={"drain_ms": DRAIN_MS, "reconnect_spread_ms": SPREAD_MS})
        self.addCleanup(self.server.stop)

    def test_every_websocket_is_told_when_to_come_back_spread_over_time(self) -> None:
        readers = [Ws(self.server, token(1 + place % PEOPLE)) for place in range(60)]
        for reader in readers:
            reader.until("connection_established")
        ending, status = self.end_beside()
        waits = []
        for reader in readers:
            self.assertEqual(reader.closed(), (4010, "server_draining"))
            last = reader.seen[-1]
            self.assertEqual((last["type"], last["code"]), ("reconnect", "server_draining"))
            waits.append(last["retry_after_ms"])
            reader.leave()
        self.assertEndsInTime(ending, status)
        self.assertTrue(all(0 < wait <= SPREAD_MS for wait in waits))
        self.assertGreater(max(waits) - min(waits), SPREAD_MS / 2)
        self.assertGreater(len(set(waits)), 40)

    def test_streams_and_polls_are_told_too(self) -> None:
        head = poll(self.server, token(1)).json["cursor"]
        with Sse(self.server, token(1)) as sse, ThreadPoolExecutor(1) as pool:
            sse.block()
            waiting = pool.submit(poll, self.server, token(2), since=head, wait=60)
            wait_until(lambda: open_connections(self.server) == 2, what="both")
            ending, status = self.end_beside()
            (last,) = sse.messages()
            self.assertEqual((last["event"], last["code"]), ("draining", "server_draining"))
            self.assertTrue(0 < last["retry_after_ms"] <= SPREAD_MS)
            self.assertEqual(sse.retry_ms, last["retry_after_ms"])
            answer = waiting.result(timeout=10)
            self.assertEqual((answer.status, answer.code), (503, "server_draining"))
            self.assertGreaterEqual(answer.retry_after_s, 1)
        self.assertEndsInTime(ending, status)

    def test_publishes_under_way_are_answered_truthfully_and_kept(self) -> None:
        answered: list[int] = []
        stop = threading.Event()

        def publisher(place: int) -> None:
            connection = http.client.HTTPConnection("127.0.0.1", self.server.port, timeout=10)
            turn = 0
            while not stop.is_set():
                turn += 1
                body = json.dumps(announcement(f"{place} {turn}"))
                try:
                    connection.request("POST", "/api/events", body, bearer(PUBLISHER))
                    answer = connection.getresponse()
                    said = json.loads(answer.read())
                except (OSError, http.client.HTTPException):
                    return
                if answer.status == 201:
                    answered.append(said["id"])

        threads = [threading.Thread(target=publisher, args=(place,)) for place in range(4)]
        with Ws(self.server, token(1)) as ws:
            ws.until("connection_established")
            for thread in threads:
                thread.start()
            ws.events(20)
            ending, status = self.end_beside()
            self.assertEqual(ws.closed(), (4010, "server_draining"))
            seen = ids(ws.seen)
        self.assertEndsInTime(ending, status)
        stop.set()
        for thread in threads:
            thread.join()
        self.server.start()
        events, _ = poll_from(self.server, token(1), seen[-1], pages=500)
        self.assertEqual(sorted(answered), sorted(set(answered)))
        self.assertTrue(set(answered) <= set(seen + ids(events)), "acknowledged and lost")

    def test_clients_who_do_not_read_and_half_open_ones_do_not_hold_the_end_up(self) -> None:
        flood(self.server, 12)
        with Raw(self.server, receive_bytes=4096) as ws, Raw(self.server, receive_bytes=4096) as sse, Raw(self.server) as half, \
                Raw(self.server) as idle, Raw(self.server) as unknown:
            ws.handshake(f"/ws?token={token(2)}&since=0")
            sse.send(f"GET /api/events?since=0&token={token(3)} HTTP/1.1\r\nHost: x\r\n\r\n".encode())
            half.send(b"GET /api/events HTTP/1.1\r\nHost:")
            idle.send(b"GET /healthz HTTP/1.1\r\nHost: x\r\n\r\n")
            idle.head()
            unknown.handshake("/ws")
            wait_until(lambda: open_connections(self.server) == 2, what="both")
            wait_until(lambda: metric(self.server, "events_delivered_total") > 100, what="what they do not read")
            ending, status = self.end_beside()
            self.assertEndsInTime(ending, status)

    def test_told_twice_it_ends_at_once(self) -> None:
        flood(self.server, 12)
        with Raw(self.server, receive_bytes=4096) as sse:
            sse.send(f"GET /api/events?since=0&token={token(3)} HTTP/1.1\r\nHost: x\r\n\r\n".encode())
            wait_until(lambda: metric(self.server, "events_delivered_total") > 100, what="what it does not read")
            process = self.server.process
            process.terminate()
            wait_until(lambda: "draining" in self.server.log_text(), what="the drain")
            began = time.monotonic()
            process.terminate()
            self.assertEqual(process.wait(timeout=5), 0)
            self.assertLess(time.monotonic() - began, 1)

    def end_beside(self) -> tuple[threading.Thread, list]:
        """Sends SIGTERM; the thread notes exit status and time when it has ended."""
        process, began, status = self.server.process, time.monotonic(), []
        process.terminate()
        thread = threading.Thread(target=lambda: status.extend([process.wait(), time.monotonic() - began]))
        thread.start()
        return thread, status

    def assertEndsInTime(self, thread: threading.Thread, status: list) -> None:
        thread.join(timeout=DRAIN_MS / 1000 + 10)
        self.assertEqual(status[0], 0)
        self.assertLess(status[1], DRAIN_MS / 1000 + MARGIN_S)
        self.server.process = None


if __name__ == "__main__":
    unittest.main()
