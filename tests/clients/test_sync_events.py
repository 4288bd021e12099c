"""Rows that another program writes into sync_events, or into a table of its own, reach clients: with the server, and by hand."""

import contextlib
import json
import os
import sqlite3
import subprocess
import tempfile
import unittest
from pathlib import Path

from campus import configuration, school, token
from readers import Ws, poll
from server import Server, wait_until
from test_two_nodes import Database

DUTY = {"name": "duty_posted", "channel_kind": "user", "class": "technical"}


def row(store: Path, sql: str, *values: object) -> list:
    """What another program does with its own driver."""
    with contextlib.closing(sqlite3.connect(store, timeout=10)) as connection, connection:
        return connection.execute(sql, values).fetchall()


def post(store: Path, person: int, duty: str) -> str:
    payload = json.dumps({"user_id": person, "duty": duty})
    row(store, "INSERT INTO sync_events (event_type, payload) VALUES (?, ?)", "duty_posted", payload)
    return payload


class SyncEvents(unittest.TestCase):
    def start(self, **changes: dict | list) -> Server:
        types = [*configuration()["event_type"], DUTY]
        server = school(event_type=types, limits={"drain_ms": 500}, **changes)
        self.addCleanup(server.stop)
        return server

    def by_hand(self, server: Server, *options: str) -> dict:
        command = [os.environ["CAMPANILE_BIN"], "process-sync-events", "--json", "--config", str(server.path / "campanile.toml")]
        done = subprocess.run(
            [*command, "--store", server.store, *options], capture_output=True, text=True, cwd=server.folder.name, timeout=60
        )
        self.assertEqual(done.returncode, 0, done.stderr)
        return json.loads(done.stdout)

    def test_a_row_of_another_program_reaches_the_person_that_its_payload_names(self) -> None:
        server = self.start()
        with Ws(server, token(1)) as ws:
            ws.until("connection_established")
            payload = post(server.path / "school.db", 1, "colours")
            (event,) = ws.events(1)
        self.assertEqual((event["type"], event["channel"], event["data"]), ("duty_posted", "user:1", json.loads(payload)))
        waiting = "SELECT COUNT(*) FROM sync_events WHERE NOT processed"
        wait_until(lambda: row(server.path / "school.db", waiting) == [(0,)], what="the mark")

    def test_rows_are_processed_by_hand_once_while_no_server_runs(self) -> None:
        server = self.start()
        server.end()
        for duty in ("colours", "gate", "mess"):
            post(server.path / "school.db", 2, duty)
        row(server.path / "school.db", "INSERT INTO sync_events (event_type, payload) VALUES ('none_such', '{}')")
        self.assertEqual(self.by_hand(server, "--batch-size", "2"), {"processed": 3, "failed": 1, "unmarked": 0})
        self.assertEqual(self.by_hand(server, "--source", "own"), {"processed": 0, "failed": 0, "unmarked": 0})
        server.start()
        events = poll(server, token(2), since=0).json["events"]
        self.assertEqual([event["data"]["duty"] for event in events if event["type"] == "duty_posted"], ["colours", "gate", "mess"])

    def test_a_table_of_the_platform_is_read_where_it_is(self) -> None:
        folder = tempfile.TemporaryDirectory(prefix="campanile-lms-")
        self.addCleanup(folder.cleanup)
        lms = Path(folder.name) / "lms.db"
        row(lms, 'CREATE TABLE "Change" (nr INTEGER PRIMARY KEY, kind TEXT, cadet INT, body TEXT, done INT DEFAULT 0, made TEXT)')
        source = {
            "name": "lms", "store": f"sqlite://{lms}", "table": '"Change"', "id": "nr", "event_type": "kind", "cadet_id": "cadet",
            "payload": "body", "processed": "done", "created_at": "made", "poll_ms": 50,
        }
        server = self.start(sync_source=[source])
        with Ws(server, token(1)) as ws:
            ws.until("connection_established")
            row(lms, "INSERT INTO \"Change\" (kind, body) VALUES ('duty_posted', '{\"user_id\": 1, \"duty\": \"gate\"}')")
            (event,) = ws.events(1)
        self.assertEqual(event["data"], {"user_id": 1, "duty": "gate"})
        wait_until(lambda: row(lms, 'SELECT done FROM "Change"') == [(1,)], what="the mark")


class OnPostgres(unittest.TestCase):
    """Two servers on one PostgreSQL, which look at the table once an hour: what arrives sooner was told by the database."""

    @classmethod
    def setUpClass(cls) -> None:
        if not os.environ.get("CAMPANILE_TEST_POSTGRES"):
            raise unittest.SkipTest("CAMPANILE_TEST_POSTGRES is not set (scripts/with-postgres sets it)")
        cls.database = Database()
        cls.addClassCleanup(cls.database.drop)
        changes = {"event_type": [*configuration()["event_type"], DUTY], "sync_source": [{"poll_ms": 3_600_000}]}
        cls.servers = []
        for _ in range(2):
            server = school(store=cls.database.address, limits={"drain_ms": 500}, **changes)
            cls.addClassCleanup(server.stop)
            cls.servers.append(server)
        wait_until(lambda: cls.psql("SELECT COUNT(*) FROM pg_trigger WHERE tgname = 'campanile_sync_notify'") == "1")
        wait_until(lambda: cls.psql("SELECT COUNT(*) FROM pg_stat_activity WHERE query LIKE 'LISTEN%'") == "2", what="both listen")

    @classmethod
    def psql(cls, sql: str) -> str:
        psql = str(Path(os.environ["CAMPANILE_TEST_POSTGRES_BIN"]) / "psql")
        command = [psql, "-qXAt", "-v", "ON_ERROR_STOP=1", cls.database.address, "-c", sql]
        return subprocess.run(command, capture_output=True, text=True, check=True, timeout=30).stdout.strip()

    def test_rows_reach_clients_of_both_servers_once_in_their_order_without_polling(self) -> None:
        with Ws(self.servers[0], token(1)) as one, Ws(self.servers[1], token(1)) as other:
            one.until("connection_established"), other.until("connection_established")
            for turn in range(3):
                self.psql(
                    "INSERT INTO sync_events (event_type, payload) SELECT 'duty_posted', "
                    f"json_build_object('user_id', 1, 'duty', {turn} * 250 + number) FROM generate_series(1, 250) AS number"
                )
                told = [[event["data"]["duty"] for event in ws.events(250)] for ws in (one, other)]
                self.assertEqual(told, [list(range(turn * 250 + 1, turn * 250 + 251))] * 2)
        self.assertEqual(self.psql("SELECT COUNT(*) FROM sync_events WHERE NOT processed OR error IS NOT NULL"), "0")
        self.assertEqual(self.psql("SELECT COUNT(*) FROM event WHERE type = 'duty_posted'"), "750")


if __name__ == "__main__":
    unittest.main()
