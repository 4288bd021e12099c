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


if __name__ == "__main__":
    unittest.main()
