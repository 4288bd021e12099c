"""Two servers on one PostgreSQL: one log, whoever writes and wherever a client reads."""

import os
import subprocess
import time
import unittest
import uuid
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from campus import announce, bearer, call, configuration, found_school, note, publish, registration, token
from readers import Sse, Ws, ids, is_event, poll, poll_from
from server import Server, wait_until

SECONDS_EXPECTED = 20

# Promise 8: without any bus, what one node commits reaches the other by reading the log.
OTHER_NODE_S = 2


class Database:
    """A database of its own on the PostgreSQL that scripts/with-postgres started."""

    def __init__(self) -> None:
        self.server, _, _ = os.environ["CAMPANILE_TEST_POSTGRES"].rpartition("/")
        self.name = f"clients_{uuid.uuid4().hex[:12]}"
        self._run(f"CREATE DATABASE {self.name}")

    @property
    def address(self) -> str:
        return f"{self.server}/{self.name}"

    def _run(self, sql: str) -> None:
        psql = str(Path(os.environ["CAMPANILE_TEST_POSTGRES_BIN"]) / "psql")
        subprocess.run([psql, "-qX", "-v", "ON_ERROR_STOP=1", f"{self.server}/postgres", "-c", sql], check=True, timeout=30)

    def drop(self) -> None:
        self._run(f"DROP DATABASE {self.name} WITH (FORCE)")


class TwoNodes(unittest.TestCase):
    @classmethod
    def setUpClass(cls) -> None:
        if not os.environ.get("CAMPANILE_TEST_POSTGRES"):
            print("two nodes on PostgreSQL are left out: CAMPANILE_TEST_POSTGRES is not set (scripts/with-postgres sets it)")
            raise unittest.SkipTest("no PostgreSQL")
        database = Database()
        cls.addClassCleanup(database.drop)
        cls.a = cls.node(database)
        found_school(cls.a)
        cls.b = cls.node(database)

    @classmethod
    def node(cls, database: Database) -> Server:
        limits = {"messages_per_second": 1000, "drain_ms": 2000, "reconnect_spread_ms": 300}
        server = Server(config=configuration(limits=limits), store=database.address)
        cls.addClassCleanup(server.stop)
        return server.start()

    def test_a_publish_on_one_node_reaches_clients_of_the_other_within_two_seconds(self) -> None:
        for here, there in ((self.a, self.b), (self.b, self.a)):
            with Ws(there, token(1)) as ws, Sse(there, token(1)) as sse:
                ws.until("connection_established"), sse.block()
                for turn in range(5):
                    began = time.monotonic()
                    numbers = announce(here, f"across {turn}")
                    self.assertEqual(ids(ws.events(1, seconds=OTHER_NODE_S)), numbers)
                    self.assertLess(time.monotonic() - began, OTHER_NODE_S)
                    self.assertEqual(ids(sse.events(1)), numbers)

    def test_publishes_on_both_at_once_have_one_order_without_holes_on_both(self) -> None:
        with Ws(self.a, token(2)) as by_a, Ws(self.b, token(2)) as by_b:
            by_a.until("connection_established"), by_b.until("connection_established")
            with ThreadPoolExecutor(8) as pool:
                nodes = [self.a, self.b] * 40
                receipts = list(pool.map(lambda node: announce(node, "one", "two"), nodes))
            numbers = sorted(number for receipt in receipts for number in receipt)
            self.assertEqual(numbers, list(range(numbers[0], numbers[0] + len(numbers))), "dense")
            self.assertTrue(all(second == first + 1 for first, second in receipts), "a batch stays together")
            events_a, events_b = by_a.events(len(numbers)), by_b.events(len(numbers))
            self.assertEqual(events_a, events_b)
            self.assertEqual(ids(events_a), numbers)
            self.assertEqual([event["seq"] for event in events_a], list(range(events_a[0]["seq"], events_a[0]["seq"] + len(numbers))))
            stamps = [event["timestamp"] for event in events_a]
            self.assertEqual(stamps, sorted(stamps))

    def test_a_withdrawal_on_one_node_stops_delivery_on_the_other(self) -> None:
        with Ws(self.b, token(5)) as ws:
            ws.until("connection_established")
            revoked = registration(self.a, "DELETE", 5).json["id"]
            announce(self.a, "after the withdrawal")
            announce(self.b, "after it here too")
            granted = registration(self.a, "PUT", 5).json["id"]
            (last,) = announce(self.b, "back again")
            self.assertEqual(ids(ws.events(3, seconds=5)), [revoked, granted, last])

    def test_a_cursor_resumes_on_the_other_node(self) -> None:
        numbers = announce(self.a, *(f"cursor {turn}" for turn in range(10)))
        seen = ids(poll(self.a, token(6), since=numbers[0] - 1).json["events"][:3])
        with Ws(self.b, token(6), since=seen[-1]) as ws:
            seen += ids(ws.events(3))
        with Sse(self.a, token(6), last_event_id=seen[-1]) as sse:
            seen += ids(sse.events(2))
        # At once after a publish elsewhere: a cursor that is ahead of this node, but not of the log, is no gap.
        (newest,) = announce(self.a, "the newest")
        with Ws(self.b, token(6), since=newest) as ws:
            (after,) = announce(self.b, "after the newest")
            ws.until(is_event, seconds=5)
            self.assertEqual(ids(ws.seen), [after])
            self.assertNotIn("gap", [said["type"] for said in ws.seen])
        events, _ = poll_from(self.b, token(6), seen[-1])
        self.assertEqual(seen + ids(events), [*numbers, newest, after])

    def test_a_ticket_of_one_node_opens_the_other_once(self) -> None:
        ticket = call(self.a, "POST", "/api/ticket", headers=bearer(token(7))).json["ticket"]
        with Ws(self.b, ticket=ticket) as ws:
            self.assertEqual(ws.frame()["user_id"], 7)
        with Ws(self.a, ticket=ticket) as ws:
            self.assertEqual(ws.closed()[0], 4001)

    def test_an_idempotency_key_counts_on_both_nodes(self) -> None:
        key = {"Idempotency-Key": uuid.uuid4().hex}
        first = publish(self.a, note("once"), **key)
        again = publish(self.b, note("once"), **key)
        self.assertEqual((again.status, again.json), (201, first.json))
        self.assertEqual(publish(self.b, note("twice"), **key).code, "idempotency_conflict")

    def test_a_client_of_a_node_that_is_killed_goes_on_at_the_other(self) -> None:
        with Ws(self.b, token(8)) as ws:
            ws.until("connection_established")
            numbers = announce(self.a, "one", "two")
            ws.events(2, seconds=5)
            self.b.kill()
            numbers += announce(self.a, "while the other is dead")
            with Ws(self.a, token(8), since=numbers[1]) as other:
                self.assertEqual(ids(other.events(1)), numbers[2:])
        self.b.start()
        with Sse(self.b, token(8), last_event_id=numbers[0]) as sse:
            self.assertEqual(ids(sse.events(2)), numbers[1:])

    def test_hostile_json_in_data_comes_through_postgresql_unchanged(self) -> None:
        texts = ["\\u0000", "\\ud800", "\\udfff\\ud800", "é\\u00e9", "\\/", "\U0001f514", "1E400", "-0.0", "1.0000000000000000000001"]
        (head,) = announce(self.a, "what follows is hostile")
        for text in texts:
            value = text if text[0] in "-1" else f'"{text}"'
            body = f'{{"type":"note","channel":"course:7","data":{{"text":{value}}}}}'.encode()
            self.assertEqual(publish(self.a, body).status, 201, text)
        wait_until(lambda: len(poll(self.b, token(1), since=head).json["events"]) == len(texts), what="all of them")
        raw = poll(self.b, token(1), since=head).body.decode()
        for text in texts:
            self.assertIn(f'"data":{{"text":{text}}}' if text[0] in "-1" else f'"data":{{"text":"{text}"}}', raw)


if __name__ == "__main__":
    unittest.main()
