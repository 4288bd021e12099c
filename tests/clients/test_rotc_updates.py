"""The ROTC grading system as its own document describes it: `/ws/updates/`, `/api/events`, its producers and its sync events.

The tests are named after the requirements C1 to C30 of that document; its JSON examples stand here word for word.
"""

import contextlib
import json
import os
import shutil
import sqlite3
import subprocess
import unittest

from campus import PUBLISHER, bearer, call, configuration, metric, token
from readers import Sse, Ws, ids, is_event
from server import Server, wait_until
from test_foreign_clients import Program, frame_in, node_command

SCOPES = ["publish", "roster", "grading", "notifications", "metrics", "admin"]
CADET, OTHER, STAFF, ADMIN = 1, 2, 10, 11
CADET_ID, OTHER_ID = 1, 2

GRADE = json.loads("""{
    "cadet_id": 1, "type": "merit", "points": 5, "merit_points": 25, "demerit_points": 10, "reason": "Outstanding performance",
    "attendance_present": 15, "prelim_score": 85.5, "midterm_score": 90.0, "final_score": null
}""")
ATTENDANCE = json.loads("""{
    "cadet_id": 1, "training_day_id": 5, "status": "present", "attendance_present": 16, "time_in": "08:00:00", "time_out": null
}""")
EXAM = json.loads("""{
    "cadet_id": 1, "prelim_score": 85.5, "midterm_score": 90.0, "final_score": 88.0, "changed_scores": {"final_score": 88.0}
}""")
ADDED = {"id", "channel", "seq", "timestamp"}


def rotc(*options: str, **changes: dict | list) -> Server:
    """A server with two cadets, one of the training staff and an admin."""
    keys = [{"name": "campus", "key": PUBLISHER, "scopes": SCOPES}]
    server = Server(*options, config=configuration(**{"api_key": keys, **changes})).start()
    people = [
        {"person_id": CADET, "name": "Cadet One", "role": "cadet", "cadet_id": CADET_ID},
        {"person_id": OTHER, "name": "Cadet Two", "role": "cadet", "cadet_id": OTHER_ID},
        {"person_id": STAFF, "name": "Sergeant", "role": "training_staff"},
        {"person_id": ADMIN, "name": "Colonel", "role": "admin"},
    ]
    answer = call(server, "POST", "/api/roster/import", {"people": people}, bearer(PUBLISHER))
    assert answer.status == 200, answer
    return server


def updates(server: Server, person: int = CADET, **options: object) -> Ws:
    """Connected, and greeted."""
    ws = Ws(server, token(person), path="/ws/updates/", **options)
    ws.until("connection_established")
    return ws


def ask(server: Server, method: str, path: str, body: object = None, credential: str = PUBLISHER) -> dict:
    answer = call(server, method, path, body, bearer(credential))
    assert answer.status in (200, 201), (method, path, answer)
    return answer.json


def broadcast(server: Server, function: str, **arguments: object) -> dict:
    return ask(server, "POST", f"/api/broadcast/{function}", arguments)


def printed(raw: str) -> str:
    """A frame's text without what may be added at top level, spaced as `json.dumps` does: keys keep their order, numbers their spelling."""
    frame = json.loads(raw, parse_float=Spelled)
    return json.dumps({name: value for name, value in frame.items() if name not in ADDED})


class Spelled(float):
    """A number that remembers how it was written."""

    def __new__(cls, text: str) -> "Spelled":
        number = super().__new__(cls, text)
        number.text = text
        return number

    def __repr__(self) -> str:
        return self.text


class Updates(unittest.TestCase):
    @classmethod
    def setUpClass(cls) -> None:
        cls.server = rotc()
        cls.addClassCleanup(cls.server.stop)

    def test_c01_the_websocket_takes_the_token_from_the_query(self) -> None:
        with Ws(self.server, token(CADET), path="/ws/updates/") as ws:
            self.assertEqual(ws.frame()["type"], "connection_established")

    def test_c02_the_event_stream_takes_the_token_from_the_authorization_header(self) -> None:
        with Sse(self.server, token(CADET)) as stream:
            self.assertEqual(stream.status, 200)
            self.assertTrue(stream.answer.headers["content-type"].startswith("text/event-stream"))

    def test_c03_a_person_reads_their_own_their_roles_and_as_a_cadet_the_cadets_channel(self) -> None:
        with updates(self.server) as ws:
            for channel in ("user_1", "role_cadet", "cadet_1", "user.1", "role:cadet", "cadet:1"):
                ws.say("subscribe", channels=[channel])
                self.assertEqual(ws.frame()["type"], "subscribed", channel)
            for channel in ("user_2", "role_admin", "role_training_staff", "cadet_2"):
                ws.say("subscribe", channels=[channel])
                self.assertIn("forbidden", ws.frame()["message"], channel)

    def test_c04_c11_a_ping_is_answered_by_a_pong_with_its_timestamp(self) -> None:
        with updates(self.server) as ws:
            ws.send('{"type": "ping", "timestamp": 1234567890}')
            self.assertEqual(json.loads(ws.socket.recv(timeout=10)), {"type": "pong", "timestamp": 1234567890})

    def test_c05_a_replay_request_rewinds_to_an_id_and_zero_is_the_beginning(self) -> None:
        with updates(self.server) as ws:
            first = broadcast(self.server, "grade_update", cadet_id=CADET_ID, grade_data={"type": "merit", "points": 1})["id"]
            second = broadcast(self.server, "grade_update", cadet_id=CADET_ID, grade_data={"type": "merit", "points": 2})["id"]
            ws.until(lambda frame: frame.get("id") == second)
            ws.say("replay_request", last_event_id=first)
            begin = len(ws.seen)
            self.assertEqual(ws.until("replay_complete")["count"], 1)
            self.assertEqual(ids(ws.seen[begin:]), [second])
            ws.say("replay_request", last_event_id=0)
            begin = len(ws.seen)
            complete = ws.until("replay_complete")
            self.assertEqual((complete["from"], complete["gap"]), (0, False))
            self.assertLessEqual({first, second}, set(ids(ws.seen[begin:])))

    def test_c06_the_first_frame_is_the_documents_own(self) -> None:
        with Ws(self.server, token(CADET), path="/ws/updates/") as ws:
            expect = {"type": "connection_established", "message": "WebSocket connection established", "user_id": 1, "role": "cadet"}
            self.assertEqual(printed(ws.socket.recv(timeout=10)), json.dumps(expect))

    def check_golden(self, function: str, parameter: str, data: dict, kind: str) -> None:
        given = {name: value for name, value in data.items() if name != "cadet_id"}
        with updates(self.server) as ws, updates(self.server, OTHER) as other, updates(self.server, STAFF) as staff:
            broadcast(self.server, function, cadet_id=CADET_ID, **{parameter: given})
            for reader in (ws, staff):
                self.assertEqual(printed(reader.socket.recv(timeout=10)), json.dumps({"type": kind, "data": data}))
            self.assertEqual(other.settle(), [])

    def test_c07_a_grade_update_is_the_documents_own(self) -> None:
        self.check_golden("grade_update", "grade_data", GRADE, "grade_update")
        self.check_golden("grade_update", "grade_data", {**GRADE, "type": "demerit"}, "grade_update")

    def test_c08_an_attendance_update_is_the_documents_own(self) -> None:
        self.check_golden("attendance_update", "attendance_data", ATTENDANCE, "attendance_update")

    def test_c09_an_exam_score_update_is_the_documents_own(self) -> None:
        self.check_golden("exam_score_update", "exam_data", EXAM, "exam_score_update")

    def test_c10_a_notification_has_its_own_id_and_is_for_its_person_alone(self) -> None:
        with updates(self.server) as ws, updates(self.server, OTHER) as other:
            ask(self.server, "POST", "/api/notifications", {"user_id": CADET, "message": "New message from admin"})
            frame = ws.until("notification")
            self.assertEqual(list(frame["data"]), ["id", "message", "type", "is_read", "created_at"])
            self.assertEqual((frame["data"]["message"], frame["data"]["type"]), ("New message from admin", "admin_message"))
            self.assertIs(frame["data"]["is_read"], False)
            self.assertRegex(frame["data"]["created_at"], r"^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ$")
            self.assertEqual(other.settle(), [])

    def test_c12_an_error_is_a_sentence(self) -> None:
        with updates(self.server) as ws:
            for text in ("not json", "[]", '{"type":"dance"}', '{"type":"replay_request"}'):
                ws.send(text)
                frame = json.loads(ws.socket.recv(timeout=10))
                self.assertEqual((frame["type"], list(frame)), ("error", ["type", "message"]), text)

    def test_c13_a_block_of_the_stream_has_the_cadet_and_the_time_at_top_level(self) -> None:
        with Sse(self.server, token(CADET)) as stream:
            stream.block()
            number = broadcast(self.server, "grade_update", cadet_id=CADET_ID, grade_data={"type": "merit", "points": 5})["id"]
            block = stream.block()
            self.assertEqual(set(block), {"id", "data"})
            self.assertEqual(block["id"], str(number))
            frame = json.loads(block["data"])
            plain = [name for name in frame if name not in ADDED - {"timestamp"}]
            self.assertEqual(plain, ["type", "cadet_id", "data", "timestamp"])
            self.assertEqual((frame["cadet_id"], frame["data"]), (1, {"cadet_id": 1, "type": "merit", "points": 5}))

    def test_c14_every_producer_function_is_a_route(self) -> None:
        with updates(self.server) as ws, updates(self.server, OTHER) as other:
            notice = {"id": 123, "message": "New message from admin", "type": "admin_message", "is_read": False,
                      "created_at": "2024-01-15T10:30:00Z"}
            broadcast(self.server, "notification", user_ids=[CADET], notification=notice)
            self.assertEqual(ws.until("notification")["data"], notice)
            broadcast(self.server, "message", user_ids=[CADET, OTHER], message="Formation at 8", type="formation")
            for reader in (ws, other):
                data = reader.until("notification")["data"]
                self.assertEqual((data["message"], data["type"]), ("Formation at 8", "formation"))
            broadcast(self.server, "sync_event", event_type="grade_update", cadet_id=CADET_ID, payload={"points": 3})
            self.assertEqual(ws.until("grade_update")["data"], {"points": 3})
            self.assertEqual(other.settle(), [])

    def test_c14_every_producer_function_is_a_command_of_the_terminal(self) -> None:
        with updates(self.server) as ws:
            for words in (
                ("grade-update", "--cadet-id", "1", "--data", '{"type":"merit","points":4}'),
                ("attendance-update", "--cadet-id", "1", "--data", '{"status":"late"}'),
                ("exam-score-update", "--cadet-id", "1", "--data", '{"final_score":88.0}'),
                ("message", "--user-id", "1", "--message", "Parade", "--type", "admin_message"),
            ):
                self.run_campanile("publish", *words, "--url", self.server.url(""))
            events = ws.events(4)
            self.assertEqual([event["type"] for event in events],
                             ["grade_update", "attendance_update", "exam_score_update", "notification"])
            self.assertEqual(events[0]["data"], {"cadet_id": 1, "type": "merit", "points": 4})

    def run_campanile(self, *words: str) -> str:
        return campanile(self.server, *words)

    def test_c24_wscat_as_the_document_prints_it(self) -> None:
        url = f"ws://{self.server.address}/ws/updates/?token={token(CADET)}"
        with Program(shutil.which("wscat"), "-c", url, "--no-color") as program:
            self.assertEqual(frame_in(program.line("connection_established"))["user_id"], 1)
            program.type('{"type": "ping", "timestamp": 1234567890}')
            self.assertEqual(frame_in(program.line("pong")), {"type": "pong", "timestamp": 1234567890})
            program.type('{"type": "replay_request", "last_event_id": 0}')
            self.assertEqual(frame_in(program.line("replay_complete"))["from"], 0)

    def test_c25_curl_as_the_document_prints_it(self) -> None:
        header = f"Authorization: Bearer {token(CADET)}"
        with Program("curl", "-sN", "-H", header, self.server.url("/api/events")) as program:
            program.line("id: ")
            before = broadcast(self.server, "grade_update", cadet_id=CADET_ID, grade_data={"type": "merit", "points": 6})
            self.assertEqual(program.line("id: "), f"id: {before['id']}")
            self.assertEqual(json.loads(program.line("data: ").removeprefix("data: "))["type"], "grade_update")

    def test_c27_isolation_by_role_and_cadet_also_in_what_is_replayed(self) -> None:
        marks = [broadcast(self.server, "grade_update", cadet_id=cadet, grade_data={"type": "merit", "points": cadet})["id"]
                 for cadet in (CADET_ID, OTHER_ID)]
        for person, sees in ((CADET, marks[:1]), (OTHER, marks[1:]), (STAFF, marks), (ADMIN, marks)):
            with updates(self.server, person) as ws:
                ws.say("replay_request", last_event_id=marks[0] - 1)
                begin = len(ws.seen)
                ws.until("replay_complete")
                self.assertEqual([number for number in ids(ws.seen[begin:]) if number in marks], sees, person)

    def test_c30_http_and_websocket_share_a_port_and_an_error_costs_only_itself(self) -> None:
        with updates(self.server) as ws:
            ws.send("{")
            self.assertEqual(ws.frame()["type"], "error")
            self.assertEqual(call(self.server, "GET", "/healthz").status, 200)
            broadcast(self.server, "grade_update", cadet_id=CADET_ID, grade_data={"type": "merit", "points": 7})
            self.assertEqual(ws.until("grade_update")["data"]["points"], 7)


def campanile(server: Server, *words: str, fails: bool = False) -> str:
    """Runs the command line in the server's folder with the platform's key."""
    done = subprocess.run(
        [os.environ["CAMPANILE_BIN"], *words], cwd=server.folder.name, capture_output=True, text=True, timeout=60,
        env={**os.environ, "CAMPANILE_KEY": PUBLISHER, "CAMPANILE_STORE": server.store},
    )
    assert (done.returncode != 0) == fails, (words, done.returncode, done.stdout, done.stderr)
    return done.stdout


class Grading(unittest.TestCase):
    """What Django's signals were to do: a write over REST changes the row and tells everybody, in one commit."""

    @classmethod
    def setUpClass(cls) -> None:
        cls.server = rotc()
        cls.addClassCleanup(cls.server.stop)
        for cadet in (CADET_ID, OTHER_ID):
            ask(cls.server, "PUT", f"/api/cadets/{cadet}", {"name": f"Cadet {cadet}"})

    def test_c07_a_merit_over_rest_tells_the_whole_sheet(self) -> None:
        with updates(self.server) as ws:
            ask(self.server, "POST", "/api/cadets/1/merits", {"type": "merit", "points": 5, "reason": "Outstanding performance"},
                token(STAFF))
            data = ws.until("grade_update")["data"]
            self.assertEqual(list(data), list(GRADE))
            self.assertEqual((data["cadet_id"], data["type"], data["points"], data["reason"]), (1, "merit", 5, "Outstanding performance"))

    def test_c08_attendance_over_rest(self) -> None:
        ask(self.server, "PUT", "/api/training-days/5", {"date": "2024-01-15", "title": "Drill"}, token(STAFF))
        with updates(self.server) as ws:
            ask(self.server, "PUT", "/api/training-days/5/attendance/1", {"status": "present", "time_in": "08:00:00"}, token(STAFF))
            data = ws.until("attendance_update")["data"]
            self.assertEqual(list(data), list(ATTENDANCE))
            self.assertEqual((data["status"], data["attendance_present"], data["time_in"], data["time_out"]),
                             ("present", 1, "08:00:00", None))

    def test_c09_exam_scores_over_rest_name_what_changed(self) -> None:
        with updates(self.server, OTHER) as ws:
            sheet = ask(self.server, "GET", "/api/cadets/2", credential=token(STAFF))
            ask(self.server, "PUT", "/api/cadets/2/exam-scores", {"final_score": 88.0, "version": sheet["version"]}, token(STAFF))
            data = ws.until("exam_score_update")["data"]
            self.assertEqual(list(data), list(EXAM))
            self.assertEqual(data["changed_scores"], {"final_score": 88.0})

    def test_whoever_grades_by_an_old_version_gets_409_with_what_is_true_now(self) -> None:
        sheet = ask(self.server, "GET", "/api/cadets/1", credential=token(STAFF))
        first = {"prelim_score": 85.5, "version": sheet["version"]}
        ask(self.server, "PUT", "/api/cadets/1/exam-scores", first, token(STAFF))
        late = call(self.server, "PUT", "/api/cadets/1/exam-scores", {"prelim_score": 60, "version": sheet["version"]},
                    bearer(token(ADMIN)))
        self.assertEqual((late.status, late.code), (409, "stale_version"))
        self.assertEqual(late.json["current"]["prelim_score"], 85.5)
        self.assertGreater(late.json["current"]["version"], sheet["version"])

    def test_a_cadet_reads_their_own_sheet_and_writes_none(self) -> None:
        self.assertEqual(call(self.server, "GET", "/api/cadets/1", headers=bearer(token(CADET, cadet_id=CADET_ID))).status, 200)
        self.assertEqual(call(self.server, "GET", "/api/cadets/2", headers=bearer(token(CADET, cadet_id=CADET_ID))).code, "forbidden")
        merit = {"type": "merit", "points": 100, "reason": "me"}
        self.assertEqual(call(self.server, "POST", "/api/cadets/1/merits", merit, bearer(token(CADET))).code, "forbidden")


class Approval(unittest.TestCase):
    def test_c21_c27_only_approved_users_connect_and_the_code_is_4001(self) -> None:
        with rotc() as server:
            ws = updates(server)
            ask(server, "DELETE", f"/api/roster/people/{CADET}/approval")
            self.assertEqual(ws.closed(), (4001, "not_approved"))
            meanwhile = broadcast(server, "grade_update", cadet_id=CADET_ID, grade_data={"type": "demerit", "points": 1})["id"]
            with Ws(server, token(CADET), path="/ws/updates/") as refused:
                self.assertEqual(refused.closed(), (4001, "not_approved"))
            with Ws(server, token(CADET)) as refused:
                self.assertEqual(refused.closed(), (4003, "not_approved"))
            self.assertEqual(Sse(server, token(CADET)).problem().code, "not_approved")
            ask(server, "PUT", f"/api/roster/people/{CADET}/approval")
            with updates(server) as back:
                back.say("replay_request", last_event_id=0)
                back.until("replay_complete")
                self.assertNotIn(meanwhile, ids(back.seen))
                after = broadcast(server, "grade_update", cadet_id=CADET_ID, grade_data={"type": "merit", "points": 1})["id"]
                self.assertEqual(back.until("grade_update")["id"], after)

    def test_c21_no_token_and_a_wrong_token_are_closed_with_4001(self) -> None:
        with rotc(auth={"first_message": False}) as server:
            for credential in (None, "wrong", token(CADET, secret="x" * 64), token(CADET, seconds=-60)):
                with Ws(server, credential, path="/ws/updates/") as ws:
                    self.assertEqual(ws.closed()[0], 4001, credential)
                    self.assertEqual(ws.seen, [])


class Guards(unittest.TestCase):
    @classmethod
    def setUpClass(cls) -> None:
        cls.server = rotc(allowed_origins=["lms.example"], limits={"messages_per_second": 5})
        cls.addClassCleanup(cls.server.stop)

    def test_c27_a_foreign_origin_is_refused_and_a_listed_host_is_not(self) -> None:
        with Ws(self.server, token(CADET), path="/ws/updates/", origin="https://evil.example") as ws:
            self.assertEqual(ws.closed(), (4003, "origin_not_allowed"))
        with updates(self.server, origin="https://lms.example") as ws:
            self.assertEqual(ws.settle(), [])

    def test_c27_messages_over_the_rate_are_refused_and_the_connection_lives_on(self) -> None:
        with updates(self.server) as ws:
            for number in range(40):
                ws.say("ping", timestamp=number)
            frames = [ws.frame() for _ in range(40)]
            self.assertIn("error", {frame["type"] for frame in frames})
            self.assertIn("rate_limited", next(frame["message"] for frame in frames if frame["type"] == "error"))
            self.assertEqual(frames[0], {"type": "pong", "timestamp": 0})

    def test_c28_the_number_of_connections_can_be_watched(self) -> None:
        before = metric(self.server, "connections")
        with updates(self.server, STAFF), updates(self.server, ADMIN):
            wait_until(lambda: metric(self.server, "connections") == before + 2, what="two more connections")


# The document's own reconnecting client (section Reconnection), with its address and token filled in and what it hears printed.
CLIENT = """
const token = process.argv[2], address = process.argv[3];
let reconnectDelay = 1000;
const maxReconnectDelay = 30000;
let lastReceivedEventId = 0;

function connect() {
  const ws = new WebSocket(`ws://${address}/ws/updates/?token=${token}`);

  ws.onopen = () => {
    console.log('Connected');
    reconnectDelay = 1000; // Reset delay on successful connection
    if (lastReceivedEventId) {
      ws.send(JSON.stringify({
        type: 'replay_request',
        last_event_id: lastReceivedEventId
      }));
    }
  };

  ws.onmessage = (message) => {
    const frame = JSON.parse(message.data);
    if (frame.id) lastReceivedEventId = frame.id;
    console.log(message.data);
  };

  ws.onclose = () => {
    console.log('Disconnected, reconnecting...');
    setTimeout(connect, reconnectDelay);
    reconnectDelay = Math.min(reconnectDelay * 2, maxReconnectDelay);
  };

  ws.onerror = (error) => {
    console.error('WebSocket error:', error.message);
  };
}
connect();
"""


class Reconnecting(unittest.TestCase):
    def test_c22_c23_the_documents_own_client_comes_back_and_asks_for_what_it_missed(self) -> None:
        server = rotc()
        self.addCleanup(server.stop)
        script = server.path / "client.mjs"
        script.write_text(CLIENT)
        with Program(*node_command(), str(script), token(CADET), server.address) as program:
            program.line("connection_established")
            server.kill()
            program.line("Disconnected, reconnecting...")
            server.start()
            number = broadcast(server, "grade_update", cadet_id=CADET_ID, grade_data={"type": "merit", "points": 8})["id"]
            frame = frame_in(program.line("grade_update"))
            self.assertEqual(frame["id"], number)


class SyncEvents(unittest.TestCase):
    """Rows that any program writes with plain SQL."""

    @classmethod
    def setUpClass(cls) -> None:
        cls.server = rotc()
        cls.addClassCleanup(cls.server.stop)

    def insert(self, *rows: tuple[str, int | None, str]) -> None:
        with contextlib.closing(sqlite3.connect(self.server.path / "school.db", timeout=10)) as database:
            database.executemany("INSERT INTO sync_events (event_type, cadet_id, payload) VALUES (?, ?, ?)", rows)
            database.commit()

    def unprocessed(self) -> int:
        with contextlib.closing(sqlite3.connect(self.server.path / "school.db", timeout=10)) as database:
            return database.execute("SELECT COUNT(*) FROM sync_events WHERE NOT processed").fetchone()[0]

    def test_c15_a_row_becomes_the_event_with_its_payload_as_given(self) -> None:
        payload = '{"type": "merit", "points": 5, "merit_points": 25, "demerit_points": 10}'
        with updates(self.server) as ws:
            self.insert(("grade_update", CADET_ID, payload))
            self.assertEqual(ws.until("grade_update")["data"], json.loads(payload))
            wait_until(lambda: self.unprocessed() == 0, what="the mark on the row")

    def test_c16_c28_rows_are_taken_in_batches_and_by_hand_and_the_count_is_told(self) -> None:
        self.server.end()
        self.insert(*[("attendance_update", CADET_ID, json.dumps({"status": "present", "mark": mark})) for mark in range(250)],
                    ("grade_update", None, "{}"), ("no_such_type", CADET_ID, "{}"))
        told = json.loads(campanile(self.server, "process-sync-events", "--batch-size", "100", "--json",
                                    "--config", str(self.server.path / "campanile.toml")))
        self.assertEqual((told["processed"], told["failed"]), (250, 2))
        self.assertEqual(self.unprocessed(), 0)
        again = json.loads(campanile(self.server, "process-sync-events", "--json",
                                     "--config", str(self.server.path / "campanile.toml")))
        self.assertEqual((again["processed"], again["failed"]), (0, 0))
        self.server.start()
        with updates(self.server) as ws:
            ws.say("replay_request", last_event_id=0)
            ws.until("replay_complete", 30)
            marks = [frame["data"]["mark"] for frame in ws.seen if is_event(frame) and "mark" in frame["data"]]
            self.assertEqual(marks, list(range(250)))


class Operating(unittest.TestCase):
    def test_c18_a_development_server_needs_nothing_else(self) -> None:
        with Server() as server:
            self.assertEqual(call(server, "GET", "/readyz").status, 200)

    def test_c26_connections_and_errors_are_logged_under_a_name_of_their_own(self) -> None:
        with rotc(log={"level": "info", "levels": {"ws": "debug"}}) as server:
            with updates(server) as ws:
                ws.send("{")
                ws.until("error")
            wait_until(lambda: "campanile::ws" in server.log_text(), what="a line of the component ws")

    def test_c29_the_troubleshooting_list_is_answered_one_by_one(self) -> None:
        with rotc() as server:
            text = campanile(server, "doctor", "--url", server.url(""), "--config", str(server.path / "campanile.toml"),
                             "--token", token(CADET), "--origin", server.url(""))
            for topic in ("token", "approved", "origin", "store", "worker", "sync"):
                self.assertIn(topic, text.lower())


if __name__ == "__main__":
    unittest.main()
