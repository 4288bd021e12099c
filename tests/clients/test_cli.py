"""The command line as an operator and a script use it: the real binary beside a real server."""

import contextlib
import csv
import http.server
import io
import json
import os
import signal
import socket
import sqlite3
import subprocess
import tempfile
import threading
import time
import unittest
import zipfile
from pathlib import Path

from campus import (
    PUBLISHER, announce, announcement, bearer, call, configuration, found_school, open_connections, publish, school, token,
)
from certificates import Authority, pem
from server import Server, free_port, wait_until
from test_two_nodes import Database

SECONDS_EXPECTED = 60


def environment(**changes: str) -> dict:
    """The environment without what would configure the command behind the test's back."""
    kept = {name: value for name, value in os.environ.items() if not name.startswith("CAMPANILE_")}
    return {**kept, **changes}


def cli(
    server: Server | None, *words: str, given: str = "", expect: int = 0, key: str = "", **variables: str
) -> subprocess.CompletedProcess:
    """Runs a command in the server's folder; its exit status must be the expected one."""
    env = environment(CAMPANILE_KEY=key, **variables) if key else environment(**variables)
    folder = server.folder.name if server else None
    done = subprocess.run(
        [os.environ["CAMPANILE_BIN"], *words], input=given, env=env, cwd=folder, capture_output=True, text=True, timeout=120
    )
    assert done.returncode == expect, (words, done.returncode, done.stdout, done.stderr)
    return done


def at(server: Server) -> list[str]:
    return ["--url", f"http://{server.address}"]


def stored(server: Server, kind: str = "announcement") -> int:
    """How many events of a type the log holds."""
    with contextlib.closing(sqlite3.connect(server.path / "school.db")) as store:
        return store.execute("SELECT COUNT(*) FROM event WHERE type = ?", [kind]).fetchone()[0]


class Help(unittest.TestCase):
    def test_every_command_explains_itself_and_the_overview_names_them(self) -> None:
        overview = cli(None, "--help").stdout
        for command in ("serve", "token", "publish", "tail", "import", "doctor", "selftest", "jobs", "backup", "restore",
                        "process-sync-events", "check-config", "config", "reload", "completions"):
            self.assertIn(f"\n  {command} ", overview)
            text = cli(None, command, "--help").stdout
            self.assertTrue(text.startswith(overview.partition(f"\n  {command} ")[2].partition("\n")[0].strip()), text)
            self.assertIn("Example", text)

    def test_without_arguments_it_shows_the_overview_and_is_a_usage_error(self) -> None:
        self.assertIn("Run:", cli(None, expect=2).stderr)
        self.assertIn("tip", cli(None, "tial", expect=2).stderr)

    def test_no_help_shows_a_secret_of_the_environment(self) -> None:
        secrets = {"CAMPANILE_TOKEN": "secret-token", "CAMPANILE_STORE": "postgres://a:secret-word@h/d"}
        for command in ("tail", "publish event", "doctor", "selftest", "jobs list", "serve"):
            self.assertNotIn("secret-", cli(None, *command.split(), "--help", key="ck_secret-key", **secrets).stdout)

    def test_completions_name_the_commands(self) -> None:
        for shell in ("bash", "zsh", "fish"):
            self.assertIn("selftest", cli(None, "completions", shell).stdout)
        bash = cli(None, "completions", "bash").stdout
        subprocess.run(["bash", "-n"], input=bash, text=True, check=True)

    def test_a_reader_who_goes_away_is_no_error(self) -> None:
        script = f"'{os.environ['CAMPANILE_BIN']}' completions bash | head -n 1; echo ${{PIPESTATUS[0]}}"
        done = subprocess.run(["bash", "-c", script], env=environment(), capture_output=True, text=True, timeout=30)
        self.assertEqual((done.stdout.splitlines()[-1], done.stderr), ("0", ""))


class Token(unittest.TestCase):
    @classmethod
    def setUpClass(cls) -> None:
        cls.server = school()
        cls.addClassCleanup(cls.server.stop)

    def test_it_prints_the_token_alone_and_the_server_accepts_it(self) -> None:
        done = cli(self.server, "token", "--user-id", "1")
        made = done.stdout.removesuffix("\n")
        self.assertRegex(made, r"^[\w-]+\.[\w-]+\.[\w-]+$")
        self.assertEqual(done.stderr, "")
        self.assertEqual(call(self.server, "GET", "/api/poll", headers=bearer(made)).status, 200)

    def test_its_claims_are_what_was_asked_for(self) -> None:
        words = ["--user-id", "ada", "--role", "cadet", "--cadet-id", "9", "--expires-in", "90s", "--not-approved", "--claim", "x=[1]"]
        said = json.loads(cli(self.server, "token", *words, "--json").stdout)
        claims = said["claims"]
        self.assertEqual((claims["user_id"], claims["role"], claims["cadet_id"]), ("ada", "cadet", 9))
        self.assertEqual((claims["is_approved"], claims["x"], claims["exp"] - claims["iat"]), (False, [1], 90))
        self.assertEqual(set(said), {"token", "claims", "expires_at"})

    def test_a_configuration_that_can_only_verify_says_so(self) -> None:
        with tempfile.TemporaryDirectory() as folder:
            config = Path(folder, "public.toml")
            config.write_text("[[auth.key]]\nalgorithm = 'RS256'\npem_file = 'public.pem'\n")
            self.assertIn("only public keys", cli(None, "token", "--user-id", "1", "--config", str(config), expect=1).stderr)
        cli(self.server, "token", "--user-id", "1", "--expires-in", "soon", expect=2)
        cli(self.server, "token", expect=2)

    def test_a_development_server_has_keys_of_its_own(self) -> None:
        with Server() as server:
            made = cli(server, "token", "--dev", "--store", server.store, "--user-id", "1").stdout.strip()
            self.assertEqual(call(server, "GET", "/api/poll", headers=bearer(made)).status, 200)
            words = ["--type", "announcement", "--channel", "course:7", "--data", '{"title":"a","body":"b"}']
            cli(server, "publish", "event", *words, "--dev", "--store", server.store, *at(server))
            cli(server, "tail", "--dev", "--store", server.store, "--user-id", "1", "--since", "0", "--count", "1", *at(server))
        with tempfile.TemporaryDirectory() as folder:
            words = ["token", "--dev", "--user-id", "1", "--store", f"sqlite://{folder}/none.db"]
            self.assertIn("serve --dev", cli(None, *words, expect=1).stderr)
            self.assertEqual(os.listdir(folder), [])


class LosesAnswers(threading.Thread):
    """Stands before a server, passes requests on, and loses the first answers."""

    def __init__(self, server: Server, lost: int) -> None:
        super().__init__(daemon=True)
        self.server, self.left, self.seen = server, lost, 0
        self.listener = socket.create_server(("127.0.0.1", free_port()))

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.listener.getsockname()[1]}"

    def run(self) -> None:
        with contextlib.suppress(OSError):
            while True:
                client, _ = self.listener.accept()
                with client:
                    self.one(client)

    def one(self, client: socket.socket) -> None:
        head = b""
        while b"\r\n\r\n" not in head:
            if not (more := client.recv(65536)):
                return
            head += more
        fields, _, body = head.partition(b"\r\n\r\n")
        length = next((int(line.split(b":")[1]) for line in fields.split(b"\r\n") if line.lower().startswith(b"content-length")), 0)
        while len(body) < length:
            body += client.recv(65536)
        self.seen += 1
        with socket.create_connection(("127.0.0.1", self.server.port)) as upstream:
            upstream.sendall(fields + b"\r\nConnection: close\r\n\r\n" + body)
            answer = b""
            while more := upstream.recv(65536):
                answer += more
        if self.left > 0:
            self.left -= 1
            return
        client.sendall(answer)


class StandIn(http.server.BaseHTTPRequestHandler):
    """A server that writes down what it is sent."""

    said: list[tuple[str, str]] = []

    def do_POST(self) -> None:  # noqa: N802
        body = self.rfile.read(int(self.headers["content-length"])).decode()
        self.said.append((self.path, body))
        assert self.headers["authorization"] == f"Bearer {PUBLISHER}" and self.headers["idempotency-key"]
        self.send_response(201)
        self.end_headers()
        self.wfile.write(b'{"id":1,"channel":"cadet:1","seq":1,"timestamp":"2026-01-15T10:30:00.000Z"}')

    def log_message(self, *_: object) -> None:
        pass


class Publish(unittest.TestCase):
    @classmethod
    def setUpClass(cls) -> None:
        cls.server = school()
        cls.addClassCleanup(cls.server.stop)

    def test_an_event_is_stored_and_its_data_passes_through(self) -> None:
        words = ["publish", "event", "--type", "note", "--channel", "course:7", *at(self.server)]
        said = json.loads(cli(self.server, *words, "--data", '{"n":1.50,"a":"ü"}', "--json", key=PUBLISHER).stdout)
        text = call(self.server, "GET", f"/api/poll?since={said['id'] - 1}", headers=bearer(token())).body.decode()
        self.assertIn('{"n":1.50,"a":"ü"}', text)
        line = cli(self.server, *words, "--data", "-", given='{"from":"stdin"}\n', key=PUBLISHER).stdout
        self.assertRegex(line, r"^event \d+ is stored in course:7")
        (self.server.path / "data.json").write_text('{"from":"file"}')
        cli(self.server, *words, "--data", "@data.json", key=PUBLISHER)

    def test_the_key_may_come_from_standard_input_or_a_file_and_is_never_told(self) -> None:
        words = ["publish", "event", "--type", "note", "--channel", "course:7", "--data", "{}", *at(self.server)]
        cli(self.server, *words, "--key", "-", given=f"{PUBLISHER}\n")
        wrong = "ck_" + "x" * 40
        (self.server.path / "key.txt").write_text(wrong)
        told = cli(self.server, *words, "--key", "@key.txt", expect=1).stderr
        self.assertIn("invalid_token", told)
        self.assertNotIn(wrong, told)
        self.assertIn("CAMPANILE_KEY", cli(self.server, *words, expect=2).stderr)

    def test_a_refusal_names_its_code_and_what_to_do(self) -> None:
        words = ["publish", "event", "--channel", "course:7", "--data", "{}", *at(self.server)]
        told = cli(self.server, *words, "--type", "nonsense", expect=1, key=PUBLISHER).stderr
        self.assertIn("`unknown_event_type`, 422", told)
        self.assertIn("[[event_type]]", told)
        for data in ("[]", "{", ""):
            told = cli(self.server, *words[:-4], "--type", "note", "--data", data, *at(self.server), expect=1, key=PUBLISHER).stderr
            self.assertIn("the data is", told)

    def test_a_file_goes_in_batches_and_sending_it_again_changes_nothing(self) -> None:
        lines = "\n".join(json.dumps(announcement(f"number {number}")) for number in range(1200))
        (self.server.path / "events.ndjson").write_text(lines)
        before = stored(self.server)
        words = ["publish", "batch", "events.ndjson", "--idempotency-key", "import-1", "--json", *at(self.server)]
        first = json.loads(cli(self.server, *words, key=PUBLISHER).stdout)
        self.assertEqual((first["events"], first["batches"], first["replayed"]), (1200, 3, 0))
        again = json.loads(cli(self.server, *words, key=PUBLISHER).stdout)
        self.assertEqual((again["replayed"], again["first_id"], again["last_id"]), (1200, first["first_id"], first["last_id"]))
        self.assertEqual(stored(self.server), before + 1200)

    def test_a_wrong_line_is_named_and_what_stood_before_it_is_told(self) -> None:
        good = json.dumps(announcement("good"))
        words = ["publish", "batch", *at(self.server)]
        told = cli(self.server, *words, given=f"{good}\n\n{{nonsense\n", expect=1, key=PUBLISHER).stderr
        self.assertIn("line 3: not JSON", told)
        refused = json.dumps({"type": "nonsense", "channel": "course:7", "data": {}})
        told = cli(self.server, *words, given="\n".join([good] * 500 + [good, refused]), expect=1, key=PUBLISHER).stderr
        self.assertIn("lines 501 to 502 were not published; 500 events before them were", told)

    def test_when_the_answer_was_lost_it_is_sent_again_and_stored_once(self) -> None:
        proxy = LosesAnswers(self.server, lost=1)
        proxy.start()
        self.addCleanup(proxy.listener.close)
        before = stored(self.server)
        lines = "\n".join(json.dumps(announcement(f"lost {number}")) for number in range(3))
        done = cli(self.server, "publish", "batch", "--url", proxy.url, "--json", given=lines, key=PUBLISHER)
        self.assertEqual((json.loads(done.stdout)["replayed"], proxy.seen), (3, 2))
        self.assertIn("attempt 2 of 6", done.stderr)
        self.assertEqual(stored(self.server), before + 3)

    def test_the_platforms_broadcasts_reach_the_cadet_and_the_staff(self) -> None:
        since = str(call(self.server, "GET", "/api/poll", headers=bearer(token())).json["cursor"])
        data = '{"type":"merit","points":5,"prelim_score":90.0,"final_score":null}'
        told = cli(self.server, "publish", "grade-update", "--cadet-id", "9", "--data", data, *at(self.server), key=PUBLISHER).stdout
        self.assertEqual(told, "1 event is stored\n")
        notified = ["publish", "message", "--user-id", "1,3", "--message", "Hello"]
        cli(self.server, *notified, *at(self.server), key=PUBLISHER)
        words = ["tail", "--since", since, "--json", "--count", "2", "--for", "30s", *at(self.server)]
        heard = [json.loads(line) for line in cli(self.server, *words, CAMPANILE_TOKEN=token(3)).stdout.splitlines()]
        self.assertEqual([(event["type"], event["channel"]) for event in heard], [("grade_update", "cadet:9"), ("notification", "user:3")])
        self.assertEqual(json.dumps(heard[0]["data"], separators=(",", ":")), '{"cadet_id":9,' + data[1:])

    def test_the_platforms_broadcasts_are_sent_as_their_functions_send_them(self) -> None:
        StandIn.said.clear()
        stand_in = http.server.HTTPServer(("127.0.0.1", free_port()), StandIn)
        threading.Thread(target=stand_in.serve_forever, daemon=True).start()
        self.addCleanup(stand_in.shutdown)
        url = ["--url", f"http://127.0.0.1:{stand_in.server_port}"]
        data = '{"points":5,"final_score":null,"prelim_score":90.0}'
        for words in (
            ["grade-update", "--cadet-id", "1", "--data", data],
            ["attendance-update", "--cadet-id", "c-9", "--data", data],
            ["exam-score-update", "--cadet-id", "1", "--data", data],
            ["notification", "--user-id", "1,2", "--user-id", "ada", "--data", data],
            ["message", "--user-id", "1", "--message", "Hello", "--type", "admin_message"],
            ["sync-event", "--event-type", "grade_update", "--cadet-id", "1", "--data", data],
        ):
            self.assertIn("event 1 is stored", cli(self.server, "publish", *words, *url, key=PUBLISHER).stdout)
        self.assertEqual(StandIn.said, [
            ("/api/broadcast/grade_update", f'{{"cadet_id":1,"grade_data":{data}}}'),
            ("/api/broadcast/attendance_update", f'{{"cadet_id":"c-9","attendance_data":{data}}}'),
            ("/api/broadcast/exam_score_update", f'{{"cadet_id":1,"exam_data":{data}}}'),
            ("/api/broadcast/notification", f'{{"user_ids":[1,2,"ada"],"notification":{data}}}'),
            ("/api/broadcast/message", '{"user_ids":[1],"message":"Hello","type":"admin_message"}'),
            ("/api/broadcast/sync_event", f'{{"event_type":"grade_update","cadet_id":1,"payload":{data}}}'),
        ])


class Follower:
    """`campanile tail` as a script reads it."""

    def __init__(self, server: Server, *words: str, credential: str = "") -> None:
        env = environment(CAMPANILE_TOKEN=credential or token())
        command = [os.environ["CAMPANILE_BIN"], "tail", *at(server), *words]
        self.process = subprocess.Popen(
            command, env=env, cwd=server.folder.name, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
        )

    def line(self) -> str:
        return self.process.stdout.readline().rstrip("\n")

    def end(self, expect: int = 0) -> tuple[str, str]:
        out, told = self.process.communicate(timeout=60)
        assert self.process.returncode == expect, (self.process.returncode, out, told)
        return out, told


class Tail(unittest.TestCase):
    @classmethod
    def setUpClass(cls) -> None:
        cls.server = school()
        cls.addClassCleanup(cls.server.stop)

    def head(self) -> str:
        return str(call(self.server, "GET", "/api/poll", headers=bearer(token())).json["cursor"])

    def test_on_every_transport_it_goes_on_after_a_restart_and_misses_nothing(self) -> None:
        for transport in ("ws", "sse", "poll"):
            with self.subTest(transport):
                since = self.head()
                tail = Follower(self.server, "--transport", transport, "--since", since, "--json", "--count", "4", "--for", "60s")
                ids = announce(self.server, "one", "two")
                seen = [json.loads(tail.line())["id"] for _ in range(2)]
                self.server.restart()
                ids += announce(self.server, "three", "four")
                out, told = tail.end()
                seen += [json.loads(line)["id"] for line in out.splitlines()]
                self.assertEqual(seen, ids)
                self.assertIn("trying again in", told)

    def test_on_the_seeds_route_it_goes_on_after_a_restart_too(self) -> None:
        for begins_now in (True, False):
            since = [] if begins_now else ["--since", self.head()]
            tail = Follower(self.server, "--path", "/ws/updates/", *since, "--json", "--count", "2", "--for", "60s")
            if begins_now:
                # Nothing else says that it stands: the reader's own connection is counted.
                wait_until(lambda: open_connections(self.server) == 1)
            first = announce(self.server, "before")
            self.assertEqual(json.loads(tail.line())["id"], first[0])
            self.server.restart()
            second = announce(self.server, "after")
            self.assertEqual(json.loads(tail.line())["id"], second[0])
            tail.end()

    def test_a_line_for_people_names_id_channel_and_data(self) -> None:
        since = self.head()
        number = announce(self.server, "for people")[0]
        out, _ = Follower(self.server, "--since", since, "--count", "1").end()
        self.assertRegex(out, rf"^\d{{4}}-\d\d-\d\dT[\d:.]+Z +#{number} course:7/\d+ announcement {{.title.: ?.for people.")

    def test_only_the_asked_types_and_channels_are_shown(self) -> None:
        since = self.head()
        publish(self.server, {"type": "note", "channel": "course:7", "data": {"n": 1}})
        publish(self.server, {"type": "announcement", "channel": "course:8", "data": {"title": "8", "body": "b"}})
        wanted = announce(self.server, "wanted")[0]
        words = ["--since", since, "--type", "announcement", "--channels", "course:7", "--json", "--count", "1"]
        out, _ = Follower(self.server, *words, credential=token(2)).end()
        self.assertEqual(json.loads(out)["id"], wanted)

    def test_a_gap_is_told(self) -> None:
        announce(self.server, "before the gap")
        for transport in ("ws", "sse", "poll"):
            tail = Follower(self.server, "--transport", transport, "--since", "999999", "--json", "--for", "30s")
            gap = json.loads(tail.line())
            self.assertEqual((gap["type"], gap["reason"]), ("gap", "cursor_ahead"), transport)
            tail.process.send_signal(signal.SIGINT)
            self.assertEqual(tail.end()[0], "")

    def test_it_ends_when_its_time_is_over_and_says_when_too_little_came(self) -> None:
        Follower(self.server, "--for", "300ms").end()
        _, told = Follower(self.server, "--for", "300ms", "--count", "2").end(expect=1)
        self.assertIn("0 of 2 events", told)

    def test_ctrl_c_ends_it_cleanly(self) -> None:
        for transport in ("ws", "sse", "poll"):
            since = self.head()
            tail = Follower(self.server, "--transport", transport, "--since", since)
            announce(self.server, "then it is there")
            self.assertIn("then it is there", tail.line())
            tail.process.send_signal(signal.SIGINT)
            self.assertEqual(tail.end(), ("", ""))

    def test_a_refused_token_is_told_without_being_shown(self) -> None:
        expired = token(seconds=-60)
        for transport in ("ws", "sse", "poll"):
            _, told = Follower(self.server, "--transport", transport, credential=expired).end(expect=1)
            self.assertIn("expired_token", told)
            self.assertNotIn(expired, told)

    def test_a_server_that_is_not_there_is_waited_for(self) -> None:
        server = school()
        self.addCleanup(server.stop)
        server.end()
        tail = Follower(server, "--since", "0", "--count", "1", "--for", "40s")
        self.assertIn("cannot be reached", tail.process.stderr.readline())
        server.start()
        announce(server, "at last")
        tail.end()

    def test_what_cannot_be_meant_is_a_usage_error(self) -> None:
        for words in (["--since", "yesterday"], ["--transport", "carrier-pigeon"], ["--count", "0"], ["--path", "ws"],
                      ["--transport", "sse", "--path", "/ws/"], ["--for", "5"], ["--url", "ftp://x"]):
            cli(self.server, "tail", *words, expect=2, CAMPANILE_TOKEN=token())
        cli(self.server, "tail", *at(self.server), expect=2)


class Jobs(unittest.TestCase):
    def setUp(self) -> None:
        self.server = school()
        self.addCleanup(self.server.stop)
        with contextlib.closing(sqlite3.connect(self.server.path / "school.db")) as store, store:
            for number, state in ((901, "dead"), (902, "dead"), (903, "ready")):
                # No worker knows this kind, so nobody takes them.
                store.execute(
                    "INSERT INTO job (id, queue, kind, payload, state, attempts, max_attempts, run_at_ms, last_error, created_at_ms,"
                    " finished_at_ms) VALUES (?, 'default', ?, '{}', ?, 3, 3, 0, 'no route to\x1b host', 0, ?)",
                    # Long ago would be swept out.
                    [number, "mail" if number != 902 else "other", state, int(time.time() * 1000) if state == "dead" else None],
                )
        self.store = ["--store", self.server.store]

    def listed(self, *words: str) -> list[dict]:
        done = cli(self.server, "jobs", "list", *words, "--json", *self.store)
        return [json.loads(line) for line in done.stdout.splitlines()]

    def test_jobs_are_listed_by_state_and_kind(self) -> None:
        self.assertEqual([job["id"] for job in self.listed("--kind", "mail")], [903, 901])
        dead = self.listed("--state", "dead")
        self.assertEqual([(job["id"], job["last_error"]) for job in dead], [(901, "no route to\x1b host"), (902, "no route to\x1b host")])
        self.assertEqual(dead[0]["created_at"], "1970-01-01T00:00:00.000Z")
        table = cli(self.server, "jobs", "list", *self.store)
        self.assertNotIn("\x1b", table.stdout)
        self.assertIn("2 dead", table.stderr)

    def test_dead_jobs_are_tried_again(self) -> None:
        cli(self.server, "jobs", "retry", "--all-dead", "--kind", "mail", *self.store)
        self.assertEqual([job["id"] for job in self.listed("--state", "dead")], [902])
        done = cli(self.server, "jobs", "retry", "902", "903", "--json", *self.store, expect=1)
        self.assertEqual(json.loads(done.stdout), {"retried": [902], "left_alone": [903]})

    def test_a_drop_must_be_confirmed(self) -> None:
        self.assertIn("--yes", cli(self.server, "jobs", "drop", "901", *self.store, expect=2).stderr)
        self.assertEqual(len(self.listed("--state", "dead")), 2)
        cli(self.server, "jobs", "drop", "901", "--yes", *self.store)
        cli(self.server, "jobs", "drop", "--all-dead", "--yes", *self.store)
        self.assertEqual(self.listed("--state", "dead"), [])
        cli(self.server, "jobs", "drop", *self.store, expect=2)

    def test_a_store_that_is_not_there_is_not_made(self) -> None:
        told = cli(self.server, "jobs", "list", "--store", "sqlite://nowhere.db", expect=1).stderr
        self.assertIn("no database at nowhere.db", told)
        self.assertFalse((self.server.path / "nowhere.db").exists())


def table(*rows: list) -> str:
    out = io.StringIO()
    csv.writer(out, lineterminator="\r\n").writerows(rows)
    return out.getvalue()


def export(version: str = "1.1", **changes: str) -> dict[str, str]:
    """The files of a small OneRoster export."""
    users = ["sourcedId", "status", "dateLastModified", "enabledUser", "orgSourcedIds", "role", "username", "givenName", "familyName"]
    files = {
        "manifest": table(
            ["propertyName", "value"], ["manifest.version", "1.0"], ["oneroster.version", version],
            *([f"file.{name}", "bulk"] for name in ("orgs", "courses", "classes", "users", "enrollments")), ["file.results", "absent"],
        ),
        "orgs": table(["sourcedId", "status", "name", "type"], ["s1", "", "Bell School", "school"]),
        "courses": table(["sourcedId", "title", "orgSourcedId"], ["k1", "Campanology", "s1"]),
        "classes": table(["sourcedId", "title", "courseSourcedId", "schoolSourcedId"], ["c1", "Campanology, 1b", "k1", "s1"]),
        "users": table(
            users, ["u1", "", "", "true", "s1", "student", "ada", "Ada", "Lovelace"],
            ["u2", "", "", "true", "s1", "teacher", "ben", "Ben", "Bell"],
        ),
        "enrollments": table(
            ["sourcedId", "status", "classSourcedId", "schoolSourcedId", "userSourcedId", "role"],
            ["e1", "", "c1", "s1", "u1", "student"], ["e2", "", "c1", "s1", "u2", "teacher"],
        ),
    }
    return {f"{name}.csv": text for name, text in {**files, **changes}.items()}


class Oneroster(unittest.TestCase):
    def setUp(self) -> None:
        self.server = school()
        self.addCleanup(self.server.stop)

    def bring(self, files: dict[str, str], expect: int = 0, packed: bool = False) -> str:
        where = self.server.path / ("export.zip" if packed else "export")
        if packed:
            with zipfile.ZipFile(where, "w", zipfile.ZIP_DEFLATED) as archive:
                for name, text in files.items():
                    archive.writestr(f"folder/{name}", text)
        else:
            where.mkdir(exist_ok=True)
            for name, text in files.items():
                (where / name).write_text(text)
        return cli(self.server, "import", "oneroster", str(where), "--store", self.server.store, expect=expect).stderr

    def courses(self, person: str) -> list[dict]:
        answer = call(self.server, "GET", f"/api/roster/people/{person}/courses", headers=bearer(PUBLISHER))
        return answer.json["courses"]

    def test_an_export_is_imported_beside_the_server_and_again_without_effect(self) -> None:
        self.assertIn("5 rows saved, 0 were so already, 0 broken", self.bring(export()))
        self.assertEqual(self.courses("u2"), [{"course_id": "c1", "role": "teacher"}])
        self.assertIn("0 rows saved, 5 were so already, 0 broken", self.bring(export(), packed=True))

    def test_an_archive_of_version_1_2_brings_roles_in_a_file_of_their_own(self) -> None:
        manifest = export("1.2")["manifest.csv"] + "file.roles,bulk\r\n"
        users = table(["sourcedId", "enabledUser", "username", "givenName", "familyName"], ["u1", "true", "a", "Ada", "L"], ["u2", "true", "b", "Ben", "B"])
        roles = table(
            ["sourcedId", "userSourcedId", "roleType", "role", "orgSourcedId"],
            ["r1", "u1", "secondary", "aide", "s1"], ["r2", "u1", "primary", "student", "s1"], ["r3", "u2", "primary", "teacher", "s1"],
        )
        self.bring(export("1.2", manifest=manifest, users=users, roles=roles), packed=True)
        with contextlib.closing(sqlite3.connect(self.server.path / "school.db")) as store:
            rows = store.execute("SELECT person_id, name, role FROM person WHERE person_id LIKE 'u%' ORDER BY 1").fetchall()
        self.assertEqual(rows, [("u1", "Ada L", "student"), ("u2", "Ben B", "teacher")])

    def test_wrong_rows_are_named_by_file_and_line_and_cost_only_themselves(self) -> None:
        lines = export()["enrollments.csv"] + "e3,,c9,s1,u1,student\r\ne4,,c1,s1,u9,student\r\ne5,,c1,s1,u1,janitor\r\n"
        told = self.bring(export(enrollments=lines), expect=1)
        self.assertIn("enrollments.csv:4: classSourcedId: not in classes.csv", told)
        self.assertIn("enrollments.csv:5: userSourcedId: not in users.csv", told)
        self.assertIn("enrollments.csv:6: role: one of", told)
        self.assertIn("5 rows saved, 0 were so already, 3 broken", told)

    def test_an_enrollment_that_is_to_be_deleted_ends(self) -> None:
        self.bring(export())
        self.bring(export(enrollments=export()["enrollments.csv"].replace("e1,,", "e1,tobedeleted,")))
        self.assertEqual(self.courses("u1"), [])
        self.assertEqual(len(self.courses("u2")), 1)
        told = self.bring(export(classes=table(
            ["sourcedId", "status", "title", "courseSourcedId", "schoolSourcedId"], ["c1", "tobedeleted", "C", "k1", "s1"],
        )))
        self.assertIn("1 classes are marked tobedeleted", told)

    def test_who_is_disabled_or_to_be_deleted_is_not_approved_and_no_import_approves_them(self) -> None:
        users = export()["users.csv"].replace("u1,,,true", "u1,,,false").replace("u2,,", "u2,tobedeleted,")

        def approved(files: dict[str, str]) -> list[bool]:
            self.bring(files)
            paths = [f"/api/roster/people/{person}" for person in ("u1", "u2")]
            return [call(self.server, "GET", path, headers=bearer(PUBLISHER)).json["is_approved"] for path in paths]

        self.assertEqual(approved(export()), [True, True])
        self.assertEqual(approved(export(users=users)), [False, False])
        self.assertEqual(approved(export()), [False, False])

    def test_what_is_no_export_is_refused_whole(self) -> None:
        self.assertIn("no manifest.csv", self.bring({}, expect=1))
        self.assertIn("oneroster.version", self.bring(export("9.9"), expect=1))
        files = export()
        del files["users.csv"]
        for path in (self.server.path / "export").iterdir():
            path.unlink()
        self.assertIn("promises users.csv", self.bring(files, expect=1))
        archive = self.server.path / "export.zip"
        self.bring(export(), packed=True)
        whole = archive.read_bytes()
        for broken in (b"", b"no archive", whole[:-30], whole.replace(b"PK\x03\x04", b"PK\x03\x05")):
            archive.write_bytes(broken)
            cli(self.server, "import", "oneroster", str(archive), "--store", self.server.store, expect=1)
        # A letter that somebody changed is found by the checksum, before anything is imported.
        with zipfile.ZipFile(archive, "w", zipfile.ZIP_STORED) as stored_archive:
            for name, text in export().items():
                stored_archive.writestr(name, text)
        archive.write_bytes(archive.read_bytes().replace(b"Lovelace", b"Lovelack"))
        told = cli(self.server, "import", "oneroster", str(archive), "--store", self.server.store, expect=1).stderr
        self.assertIn("checksum is wrong", told)
        self.assertEqual(call(self.server, "GET", "/api/roster/people/u1", headers=bearer(PUBLISHER)).json["name"], "Ada Lovelace")


class Doctor(unittest.TestCase):
    @classmethod
    def setUpClass(cls) -> None:
        cls.server = school(allowed_origins=["https://lms.example"])
        cls.addClassCleanup(cls.server.stop)

    def look(self, *words: str, expect: int = 0, server: Server | None = None, **variables: str) -> dict[str, dict]:
        server = server or self.server
        words = ["doctor", "--json", *at(server), "--store", server.store, *words]
        done = cli(server, *words, expect=expect, **variables)
        checks = {check["check"]: check for check in json.loads(done.stdout)["checks"]}
        for check in checks.values():
            self.assertTrue(check["verdict"] == "ok" or check["advice"], check)
        return checks

    def test_a_healthy_server_has_no_problem(self) -> None:
        announce(self.server, "lately")
        checks = self.look("--origin", "https://lms.example", CAMPANILE_TOKEN=token(), CAMPANILE_KEY=PUBLISHER)
        for check in ("configuration", "token keys", "API keys", "server", "readiness", "token", "person", "origin", "store",
                      "backplane", "producers", "events", "jobs", "SSE", "clock"):
            self.assertEqual(checks[check]["verdict"], "ok", checks[check])
        for check in ("disk", "sync_events", "workers", "memory", "processor", "descriptors"):
            self.assertIn(check, checks)

    def test_each_trouble_is_named_with_what_to_do(self) -> None:
        expired = token(seconds=-300)
        checks = self.look("--origin", "https://evil.example", CAMPANILE_TOKEN=expired, expect=1)
        self.assertIn("expired, 5 min ago", checks["token"]["found"])
        self.assertIn("allowed_origins", checks["origin"]["advice"])
        self.assertNotIn(expired, json.dumps(checks))
        checks = self.look(expect=1, CAMPANILE_TOKEN=token(secret="y" * 40))
        self.assertIn("hs256_secret", checks["token"]["advice"])
        checks = self.look("--user-id", "nobody")
        self.assertEqual(checks["person"]["verdict"], "warning")

    def test_a_person_who_is_not_approved_is_found(self) -> None:
        with contextlib.closing(sqlite3.connect(self.server.path / "school.db")) as store, store:
            store.execute("INSERT INTO membership (person, channel, granted_id) VALUES ('5', 'suspended:5', 0)")
        self.assertIn("not approved", self.look("--user-id", "5", expect=1)["person"]["found"])

    def test_a_server_that_is_down_and_a_store_that_is_not_there_are_told(self) -> None:
        server = school()
        self.addCleanup(server.stop)
        with contextlib.closing(sqlite3.connect(server.path / "school.db")) as store, store:
            store.execute(
                "INSERT INTO job (queue, kind, payload, state, attempts, max_attempts, run_at_ms, created_at_ms)"
                " VALUES ('default', 'mail', '{}', 'ready', 0, 3, 0, 0)"
            )
        server.end()
        checks = self.look(server=server, expect=1)
        self.assertIn("cannot be reached", checks["server"]["found"])
        self.assertIn("due for", checks["workers"]["found"])
        told = cli(server, "doctor", *at(server), "--store", f"sqlite://{server.folder.name}/none.db", expect=1).stdout
        self.assertIn("no database at", told)
        self.assertFalse((server.path / "none.db").exists())

    def test_a_configuration_that_cannot_be_read_is_the_first_problem(self) -> None:
        broken = self.server.path / "broken.toml"
        broken.write_text("[auth]\nhs256_secret = 'changeme'\n")
        checks = self.look("--config", str(broken), expect=1)
        self.assertEqual(checks["token keys"]["verdict"], "problem")
        self.assertNotIn("changeme", json.dumps(checks))
        broken.write_text("[nonsense]\n")
        checks = self.look("--config", str(broken), expect=1)
        self.assertEqual((list(checks), checks["configuration"]["verdict"]), (["configuration"], "problem"))


class Selftest(unittest.TestCase):
    def test_a_running_server_passes_and_the_times_are_told(self) -> None:
        server = school()
        self.addCleanup(server.stop)
        words = ["selftest", *at(server), "--store", server.store]
        report = json.loads(cli(server, *words, "--json", key=PUBLISHER).stdout)
        self.assertTrue(report["ok"], report)
        checks = {check["check"]: check for check in report["checks"]}
        for check in ("store", "worker", "server", "readiness", "WebSocket", "SSE", "long poll", "replay", "metrics"):
            self.assertEqual(checks[check]["verdict"], "ok", checks[check])
            self.assertLess(checks[check]["took_ms"], 20_000)
        self.assertIn("notification", checks)
        self.assertEqual(checks["error monitoring"]["verdict"], "warning")
        monitored = {"CAMPANILE_TELEMETRY__SENTRY_DSN": "https://key@sentry.example/42"}
        again = cli(server, *words, "--skip-store", key=PUBLISHER, **monitored).stdout
        self.assertRegex(again, "ok +error monitoring")
        # It disturbs nobody: what it published stands in an inbox of its own.
        with contextlib.closing(sqlite3.connect(server.path / "school.db")) as store:
            channels = store.execute("SELECT DISTINCT channel FROM event WHERE type IN ('progress_update', 'notification')").fetchall()
        self.assertEqual(channels, [("user:campanile-selftest",)])
        server.end()
        told = cli(server, *words, "--skip-store", key=PUBLISHER, expect=1).stdout
        self.assertIn("cannot be reached", told)

    def test_a_key_that_may_only_publish_is_enough(self) -> None:
        server = school(api_key=[{"name": "campus", "key": PUBLISHER, "scopes": ["publish", "roster"]}])
        self.addCleanup(server.stop)
        done = cli(server, "selftest", *at(server), "--skip-store", key=PUBLISHER)
        self.assertRegex(done.stdout, "cannot tell +metrics")

    def test_a_wrong_key_fails_and_is_not_told(self) -> None:
        server = school()
        self.addCleanup(server.stop)
        wrong = "ck_" + "y" * 40
        done = cli(server, "selftest", *at(server), "--store", server.store, "--skip-store", key=wrong, expect=1)
        self.assertIn("invalid_token", done.stdout)
        self.assertNotIn(wrong, done.stdout + done.stderr)


@unittest.skipUnless(os.environ.get("CAMPANILE_TEST_POSTGRES"), "scripts/with-postgres sets CAMPANILE_TEST_POSTGRES")
class OnPostgres(unittest.TestCase):
    """What works on the store itself works on PostgreSQL too."""

    def test_doctor_selftest_jobs_and_import(self) -> None:
        database = Database()
        self.addCleanup(database.drop)
        server = school(store=database.address)
        self.addCleanup(server.stop)
        password = database.address.split(":")[2].partition("@")[0]
        store = ["--store", server.store]
        for words in (["doctor", "--user-id", "1", *at(server)], ["selftest", *at(server)], ["jobs", "list"]):
            done = cli(server, *words, *store, "--json", key=PUBLISHER)
            self.assertNotIn(password, done.stdout + done.stderr)
        folder = server.path / "export"
        folder.mkdir()
        for name, text in export().items():
            (folder / name).write_text(text)
        self.assertIn("5 rows saved", cli(server, "import", "oneroster", str(folder), *store).stderr)
        wrong = server.store.replace(password, "wrong-password")
        told = cli(server, "doctor", *at(server), "--store", wrong, expect=1)
        self.assertNotIn("wrong-password", told.stdout + told.stderr)
        self.assertIn("PROBLEM      store", told.stdout)


class OverTls(unittest.TestCase):
    def test_every_transport_goes_over_tls_where_the_authority_is_trusted(self) -> None:
        authority = Authority()
        config = configuration(tls={"certificate_file": "chain.pem", "key_file": "key.pem"})
        server = Server(config=config, trust=authority.trust())
        authority.issue(server.path)
        found_school(server.start())
        self.addCleanup(server.stop)
        (server.path / "root.pem").write_bytes(pem(authority.root))
        # Without --url the scheme and port are those of the configuration.
        words = ["selftest", "--store", server.store, "--set", f"listen={server.address}"]
        report = json.loads(cli(server, *words, "--ca-file", "root.pem", "--json", key=PUBLISHER).stdout)
        checks = {check["check"]: check["verdict"] for check in report["checks"]}
        self.assertEqual([checks[name] for name in ("WebSocket", "SSE", "long poll", "replay")], ["ok"] * 4)
        told = cli(server, *words, "--skip-store", key=PUBLISHER, expect=1).stdout
        self.assertIn("--ca-file", told)
        self.assertIn("no certificate", cli(server, *words, "--ca-file", "campanile.toml", key=PUBLISHER, expect=1).stderr)


if __name__ == "__main__":
    unittest.main()
