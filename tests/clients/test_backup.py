"""Backup and restore as an operator does them: while the server runs, verified, and with every client told what it missed."""

import json
import os
import re
import shutil
import stat
import subprocess
import threading
import unittest
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from campus import announce, school, token
from readers import Sse, Ws, ids
from server import Server, wait_until
from test_two_nodes import Database

ROOT = Path(__file__).resolve().parents[2]
# By how much ids jump with a restore, as docs/operations.md says.
IDS_SKIPPED = 1_000_000_000


def run(server: Server, *words: str, path: str = "") -> subprocess.CompletedProcess:
    """The command line beside a server, with PostgreSQL's own programs."""
    tools = os.environ.get("CAMPANILE_TEST_POSTGRES_BIN", "")
    path = path or f"{tools}{os.pathsep}{os.environ['PATH']}"
    env = {**os.environ, "PATH": path, "CAMPANILE_STORE": server.store}
    command = [os.environ["CAMPANILE_BIN"], *words]
    return subprocess.run(command, capture_output=True, text=True, cwd=server.folder.name, env=env, timeout=120)


class Stores:
    """The rules, for a store that the classes below name."""

    def store(self) -> str:
        raise NotImplementedError

    def start(self) -> Server:
        server = school(store=self.store(), limits={"drain_ms": 500, "reconnect_spread_ms": 100})
        self.addCleanup(server.stop)
        return server

    def answer(self, server: Server, *words: str) -> dict:
        done = run(server, *words, "--json")
        self.assertEqual(done.returncode, 0, done.stderr)
        return json.loads(done.stdout)

    def refused(self, server: Server, *words: str, **options: str) -> str:
        done = run(server, *words, **options)
        self.assertEqual(done.returncode, 1, done.stdout)
        self.assertEqual(done.stdout, "")
        return done.stderr

    def test_after_a_restore_every_client_is_told_of_the_new_epoch(self) -> None:
        server = self.start()
        kept = announce(server, "one", "two")
        backup = self.answer(server, "backup", "monday.backup")
        self.assertEqual((backup["head"], backup["epoch"]), (kept[-1], 1))
        lost = announce(server, "three", "four")
        server.end()
        restored = self.answer(server, "restore", "monday.backup", "--replace")
        floor = lost[-1] + IDS_SKIPPED
        self.assertEqual((restored["from_head"], restored["head"], restored["epoch"]), (kept[-1], floor, 2))
        server.start()
        with Ws(server, token(1), since=lost[-1]) as ws, Sse(server, token(1), last_event_id=kept[0]) as sse:
            gap = ws.until("gap")
            self.assertEqual((gap["from"], gap["to"], gap["reason"]), (lost[-1], floor, "epoch"))
            (fresh,) = announce(server, "five")
            self.assertEqual(fresh, floor + 1)
            self.assertEqual(ids(ws.events(1)), [fresh])
            self.assertEqual(ids(sse.events(1)), [fresh])
        with Ws(server, token(1), since=fresh) as ws:
            self.assertEqual(ws.until("replay_complete")["gap"], False)
        again = self.answer(server, "backup", "tuesday.backup")
        self.assertEqual((again["head"], again["epoch"], again["events"]), (fresh, 2, backup["events"] + 1))

    def test_a_backup_while_the_school_publishes_is_one_moment_of_the_log(self) -> None:
        server = self.start()
        announce(server, *(str(turn) for turn in range(200)))
        ended = threading.Event()

        def publish_on() -> int:
            last = 0
            while not ended.is_set():
                (last,) = announce(server, "on and on")
            return last

        with ThreadPoolExecutor(2) as pool:
            publishers = [pool.submit(publish_on) for _ in range(2)]
            try:
                backups = [self.answer(server, "backup", f"{turn}.backup") for turn in range(3)]
            finally:
                ended.set()
            last = max(publisher.result() for publisher in publishers)
        for backup in backups:
            self.assertEqual(backup["events"], backup["head"], "every event up to its head, and none beyond")
        heads = [backup["head"] for backup in backups]
        self.assertEqual(heads, sorted(heads))
        self.assertLessEqual(heads[-1], last)

    def test_a_backup_is_private_and_overwrites_nothing(self) -> None:
        server = self.start()
        self.answer(server, "backup", "once.backup")
        file = server.path / "once.backup"
        self.assertEqual(stat.S_IMODE(file.stat().st_mode), 0o600)
        before = file.read_bytes()
        self.assertIn("exists, and a backup never overwrites", self.refused(server, "backup", "once.backup"))
        self.assertEqual(file.read_bytes(), before)
        self.assertEqual([path.name for path in server.path.glob("*.partial")], [])

    def test_a_store_that_is_not_empty_or_in_use_is_not_replaced(self) -> None:
        server = self.start()
        kept = announce(server, "one")
        self.answer(server, "backup", "a.backup")
        self.assertIn("is in use", self.refused(server, "restore", "a.backup", "--replace"))
        server.end()
        self.assertIn("is not empty; --replace", self.refused(server, "restore", "a.backup"))
        (server.path / "broken.backup").write_bytes((server.path / "a.backup").read_bytes()[:3000])
        (server.path / "other.backup").write_text("no backup at all")
        for name in ("broken.backup", "other.backup", "missing.backup"):
            self.refused(server, "restore", name, "--replace")
        server.start()
        with Ws(server, token(1), since=kept[0] - 1) as ws:
            self.assertEqual(ids(ws.events(1)), kept, "everything is as it was")

    def test_the_commands_of_the_operations_page_do_what_it_says(self) -> None:
        server = self.start()
        text = (ROOT / "docs" / "operations.md").read_text()
        commands = re.findall(r"```(?:sh|text)\n(campanile (?:backup|restore) monday.*)\n```", text)
        self.assertEqual(len(commands), 3)
        announce(server, "one")
        backup, restore, replace = (command.split()[1:] for command in commands)
        done = run(server, *backup)
        self.assertIn("verified; the log ends at", done.stdout, done.stderr)
        if server.store.startswith("sqlite:"):
            done = run(server, *restore)
            self.assertIn("clients with older cursors are told to refetch", done.stdout, done.stderr)
        server.end()
        done = run(server, *replace)
        self.assertIn("clients with older cursors are told to refetch", done.stdout, done.stderr)
        server.start()


class OnSqlite(Stores, unittest.TestCase):
    def store(self) -> str:
        return ""

    def test_the_replaced_file_stays_beside_the_new_one(self) -> None:
        server = self.start()
        announce(server, "one")
        self.answer(server, "backup", "a.backup")
        server.end()
        self.answer(server, "restore", "a.backup", "--replace")
        self.assertEqual(len(list(server.path.glob("school.db.replaced-*"))), 1)
        (server.path / "school.db").unlink()
        self.assertEqual(self.answer(server, "restore", "a.backup")["epoch"], 2, "an absent store is an empty one")
        self.assertEqual(stat.S_IMODE((server.path / "school.db").stat().st_mode), 0o600)


    def test_what_a_lost_file_left_behind_is_not_read_into_the_restored_one(self) -> None:
        server = self.start()
        kept = announce(server, "one")
        self.answer(server, "backup", "a.backup")
        announce(server, "two", "three")
        server.kill()
        self.assertGreater((server.path / "school.db-wal").stat().st_size, 0)
        (server.path / "school.db").unlink()
        restored = self.answer(server, "restore", "a.backup")
        self.assertEqual((restored["from_head"], restored["head"]), (kept[-1], kept[-1] + IDS_SKIPPED))
        server.start()
        with Ws(server, token(1), since=0) as ws:
            ws.until("replay_complete")
            self.assertNotIn("three", str(ws.seen))
        self.assertEqual(announce(server, "four"), [kept[-1] + IDS_SKIPPED + 1])
        self.assertEqual(self.answer(server, "backup", "b.backup")["events"], restored["events"] + 1)

    def test_a_store_that_cannot_be_read_is_named_and_left(self) -> None:
        server = self.start()
        self.answer(server, "backup", "a.backup")
        server.end()
        (server.path / "school.db").write_text("a disk that lost its mind" * 100)
        # What stands in the write-ahead log would make it whole again.
        for ending in ("-wal", "-shm"):
            (server.path / f"school.db{ending}").unlink(missing_ok=True)
        self.assertIn("cannot be read", self.refused(server, "restore", "a.backup", "--replace"))
        (server.path / "school.db").rename(server.path / "lost.db")
        self.answer(server, "restore", "a.backup")


class OnPostgres(Stores, unittest.TestCase):
    def setUp(self) -> None:
        if not os.environ.get("CAMPANILE_TEST_POSTGRES"):
            raise unittest.SkipTest("CAMPANILE_TEST_POSTGRES is not set (scripts/with-postgres sets it)")

    def store(self) -> str:
        self.database = Database()
        self.addCleanup(self.database.drop)
        return self.database.address

    def psql(self, sql: str) -> str:
        psql = shutil.which("psql", path=os.environ["CAMPANILE_TEST_POSTGRES_BIN"])
        command = [psql, "-qXAt", "-v", "ON_ERROR_STOP=1", self.database.address, "-c", sql]
        return subprocess.run(command, capture_output=True, text=True, check=True, timeout=30).stdout.strip()

    def test_a_platform_s_own_tables_in_the_same_database_are_left_alone(self) -> None:
        server = self.start()
        self.psql("CREATE TABLE grade (id INT PRIMARY KEY); INSERT INTO grade VALUES (1)")
        self.answer(server, "backup", "a.backup")
        self.psql("INSERT INTO grade VALUES (2)")
        server.end()
        self.answer(server, "restore", "a.backup", "--replace")
        self.assertEqual(self.psql("SELECT COUNT(*) FROM grade"), "2")
        server.start()
        trigger = "SELECT COUNT(*) FROM pg_trigger WHERE tgname = 'campanile_sync_notify'"
        wait_until(lambda: self.psql(trigger) == "1", what="the trigger, which a start puts back")

    def test_a_missing_tool_is_named(self) -> None:
        server = self.start()
        said = self.refused(server, "backup", "a.backup", path="/nonexistent")
        self.assertIn("pg_dump is not on the PATH; it comes with PostgreSQL's client programs", said)
        self.assertEqual(list(server.path.glob("a.backup*")), [])

    def test_a_restore_that_fails_in_the_middle_leaves_everything_as_it_was(self) -> None:
        server = self.start()
        kept = announce(server, "one")
        self.answer(server, "backup", "a.backup")
        server.end()
        # Something of the platform's rests on a table of ours: it cannot be dropped.
        self.psql("CREATE VIEW newest AS SELECT MAX(id) FROM event")
        self.assertIn("psql failed", self.refused(server, "restore", "a.backup", "--replace"))
        server.start()
        with Ws(server, token(1), since=kept[0] - 1) as ws:
            self.assertEqual(ids(ws.events(1)), kept)


if __name__ == "__main__":
    unittest.main()
