"""The publish API: scopes, batches, idempotency, rates; and every documented error code, seen or explained."""

import http.client
import json
import re
import sqlite3
import unittest
import uuid
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from campus import COURSE, PUBLISHER, announce, announcement, bearer, call, caught_up, note, publish, registration, school, token
from readers import Ws, ids, poll
from server import wait_until
from test_refusals import HttpRefusal
from websockets.exceptions import InvalidStatus

NOTES_KEY, ROSTER_KEY, SLOW_KEY = (f"ck_{uuid.uuid4().hex}{uuid.uuid4().hex}" for _ in range(3))
KEYS = [
    {"name": "campus", "key": PUBLISHER, "scopes": ["publish", "roster", "metrics", "grading"]},
    {"name": "notes", "key": NOTES_KEY, "scopes": ["publish:note"]},
    {"name": "roster", "key": ROSTER_KEY, "scopes": ["roster"]},
    {"name": "slow", "key": SLOW_KEY, "scopes": ["publish"], "rate_per_second": 2},
]


class Publishing(unittest.TestCase):
    @classmethod
    def setUpClass(cls) -> None:
        cls.server = school(api_key=KEYS)
        cls.addClassCleanup(cls.server.stop)

    def head(self) -> int:
        caught_up(self.server)
        return poll(self.server, token()).json["cursor"]

    def refused(self, body: object, code: str, status: int, key: str = PUBLISHER, **headers: str) -> None:
        """Expects a refusal, and that nothing was written."""
        before = self.head()
        answer = publish(self.server, body, key, **headers)
        self.assertEqual((answer.status, answer.code), (status, code))
        self.assertEqual(self.head(), before)

    def test_one_publish_is_answered_with_its_place_in_the_log(self) -> None:
        first, second = (publish(self.server, note(place)) for place in range(2))
        self.assertEqual((first.status, list(first.json)), (201, ["id", "channel", "seq", "timestamp"]))
        self.assertEqual(second.json["id"], first.json["id"] + 1)
        self.assertEqual(second.json["seq"], first.json["seq"] + 1)
        event = poll(self.server, token(), since=first.json["id"] - 1, wait=5).json["events"][0]
        self.assertEqual(event, {"type": "note", **first.json, "data": {"text": 0}, "timestamp": first.json["timestamp"]})

    def test_a_batch_is_answered_in_its_order_and_stands_together(self) -> None:
        answer = publish(self.server, {"events": [note(place, f"course:{7 + place % 2}") for place in range(1000)]})
        numbers = [event["id"] for event in answer.json["events"]]
        self.assertEqual(numbers, list(range(numbers[0], numbers[0] + 1000)))
        self.assertEqual([event["channel"] for event in answer.json["events"][:2]], ["course:7", "course:8"])
        one = publish(self.server, {"events": [note("alone")]})
        self.assertEqual(list(one.json), ["events"], "a batch of one is a batch")

    def test_a_batch_with_one_wrong_event_writes_nothing(self) -> None:
        good = note("good")
        wrong = {
            "unknown_event_type": note("x", kind="rumour"), "unknown_channel": note("x", "planet:1"),
            "wrong_channel_kind": note("x", "user:1"), "invalid_data": {"type": "announcement", "channel": COURSE, "data": {}},
        }
        for code, event in wrong.items():
            for batch in ([event, good], [good, event, good], [good] * 999 + [event]):
                self.refused({"events": batch}, code, 422)
        answer = publish(self.server, {"events": [good, good, wrong["unknown_channel"]]})
        self.assertIn("events[2]", answer.json["message"])

    def test_a_scope_covers_its_types_and_nothing_else(self) -> None:
        self.assertEqual(publish(self.server, note("mine"), NOTES_KEY).status, 201)
        self.refused(announcement("not mine"), "forbidden", 403, NOTES_KEY)
        self.refused({"events": [note("mine"), announcement("not mine")]}, "forbidden", 403, NOTES_KEY)
        self.refused(note("x"), "forbidden", 403, ROSTER_KEY)
        self.refused(note("x"), "forbidden", 403, token(3, role="admin"))
        self.refused(note("x"), "invalid_token", 401, "ck_" + "0" * 48)
        self.refused(note("x"), "invalid_token", 401, PUBLISHER[:-1])
        self.assertEqual(call(self.server, "POST", "/api/events", note("x")).code, "no_credential")
        self.assertEqual(call(self.server, "POST", "/api/roster/import", {}, bearer(NOTES_KEY)).code, "forbidden")
        self.assertEqual(call(self.server, "GET", "/metrics", headers=bearer(ROSTER_KEY)).code, "forbidden")

    def test_what_is_not_a_publish_is_refused(self) -> None:
        data = {"title": "t", "body": "b"}
        for body, code, status in [
            (b"", "malformed_json", 400), (b"{", "malformed_json", 400), (b"\xff", "malformed_json", 400),
            ([], "invalid_data", 422), (b"null", "invalid_data", 422), ({}, "invalid_data", 422),
            ({"events": []}, "invalid_data", 422), ({**note("x"), "id": 5}, "invalid_data", 422),
            ({**note("x"), "events": [note("x")]}, "invalid_data", 422),
            ({"type": "announcement", "channel": COURSE, "data": {**data, "title": "x" * 201}}, "invalid_data", 422),
            ({"type": "announcement", "channel": COURSE, "data": {**data, "title": "two\nlines"}}, "invalid_data", 422),
            ({"type": "announcement", "channel": COURSE, "data": []}, "invalid_data", 422),
            ({"type": "progress_update", "channel": "user:1", "data": {"course_id": 7, "percent": 101}}, "invalid_data", 422),
            ({"type": "registered", "channel": "user:1", "data": {}}, "forbidden", 403),
            ({"events": [note("x")] * 1001}, "message_too_big", 413),
            (note("x" * 70_000), "message_too_big", 413),
            (b'{"type":"note","channel":"course:7","data":' + b"[" * 70 + b"]" * 70 + b"}", "invalid_data", 422),
        ]:
            with self.subTest(str(body)[:80]):
                self.refused(body, code, status)

    def test_membership_cannot_be_forged_by_publishing_its_events(self) -> None:
        fact = {"type": "registered", "channel": "user:1", "data": {"course_id": 8, "person_id": 1, "role": "student"}}
        answer = publish(self.server, fact)
        (number,) = announce(self.server, "for members of course 8", channel="course:8")
        self.assertNotIn(number, ids(poll(self.server, token(1), since=number - 1, wait=0).json["events"]))
        self.assertIn(answer.status, (201, 403, 422))

    def test_a_body_over_4_mib_is_refused(self) -> None:
        answer = publish(self.server, {"events": [note("x" * 60_000)] * 80})
        self.assertEqual((answer.status, answer.code), (413, "message_too_big"))

    def test_the_same_key_and_body_give_the_same_answer_and_write_once(self) -> None:
        key = uuid.uuid4().hex
        body = {"events": [note("once"), note("and once")]}
        first = publish(self.server, body, **{"Idempotency-Key": key})
        self.assertNotIn("idempotency-replayed", first.headers)
        before = self.head()
        for _ in range(3):
            again = publish(self.server, body, **{"Idempotency-Key": key})
            self.assertEqual((again.status, again.body), (201, first.body))
            self.assertEqual(again.headers["idempotency-replayed"], "true")
        self.assertEqual(self.head(), before)
        self.refused({"events": [note("another")]}, "idempotency_conflict", 409, **{"Idempotency-Key": key})
        # A byte is a difference: the body is compared as it came.
        self.refused(json.dumps(body, indent=1).encode(), "idempotency_conflict", 409, **{"Idempotency-Key": key})

    def test_an_idempotency_key_belongs_to_its_caller_and_route(self) -> None:
        key = {"Idempotency-Key": uuid.uuid4().hex}
        first = publish(self.server, note("x"), **key)
        other = publish(self.server, note("x"), NOTES_KEY, **key)
        self.assertNotEqual(first.json["id"], other.json["id"])
        course = call(self.server, "PUT", "/api/roster/courses/7", {"title": "Bell founding II"}, bearer(PUBLISHER, **key))
        self.assertEqual((course.status, course.json["changed"]), (200, True))

    def test_a_refusal_is_not_kept(self) -> None:
        key = {"Idempotency-Key": uuid.uuid4().hex}
        self.refused(note("x", "planet:1"), "unknown_channel", 422, **key)
        self.assertEqual(publish(self.server, note("x"), **key).status, 201)

    def test_keys_survive_a_kill(self) -> None:
        key = {"Idempotency-Key": uuid.uuid4().hex}
        first = publish(self.server, note("before the kill"), **key)
        self.server.kill()
        self.server.start()
        again = publish(self.server, note("before the kill"), **key)
        self.assertEqual((again.json, again.headers["idempotency-replayed"]), (first.json, "true"))

    def test_of_many_at_once_with_one_key_one_writes(self) -> None:
        key = {"Idempotency-Key": uuid.uuid4().hex}
        before = self.head()
        with ThreadPoolExecutor(16) as pool:
            answers = list(pool.map(lambda _: publish(self.server, note("race"), **key), range(32)))
        self.assertEqual({(answer.status, answer.body) for answer in answers}, {(201, answers[0].body)})
        self.assertEqual(sum("idempotency-replayed" not in answer.headers for answer in answers), 1)
        self.assertEqual(self.head(), before + 1)

    def test_a_key_has_1_to_255_printable_signs(self) -> None:
        self.assertEqual(publish(self.server, note("x"), **{"Idempotency-Key": "k" * 255}).status, 201)
        for wrong in ("", "k" * 256, "\xe9"):
            self.refused(note("x"), "invalid_data", 422, **{"Idempotency-Key": wrong})

    def test_over_its_rate_a_publisher_is_told_when_to_come_back_and_others_are_not_touched(self) -> None:
        answers = [publish(self.server, note(place), SLOW_KEY) for place in range(6)]
        statuses = [answer.status for answer in answers]
        self.assertEqual(statuses[:2], [201, 201])
        self.assertIn(429, statuses)
        refused = next(answer for answer in answers if answer.status == 429)
        self.assertEqual((refused.code, refused.retry_after_s), ("rate_limited", 1))
        self.assertEqual(publish(self.server, note("unhindered")).status, 201)
        wait_until(lambda: publish(self.server, note("back"), SLOW_KEY).status == 201, 2, "the next second")

    def test_many_publishers_at_once_get_dense_ids(self) -> None:
        def one(place: int) -> list[int]:
            connection = http.client.HTTPConnection("127.0.0.1", self.server.port, timeout=10)
            numbers = []
            for turn in range(25):
                connection.request("POST", "/api/events", json.dumps(note([place, turn])), bearer(PUBLISHER))
                numbers.append(json.loads(connection.getresponse().read())["id"])
            connection.close()
            return numbers

        before = self.head()
        with Ws(self.server, token()) as ws, ThreadPoolExecutor(8) as pool:
            ws.until("connection_established")
            per_publisher = list(pool.map(one, range(8)))
            expected = list(range(before + 1, before + 201))
            self.assertEqual(sorted(number for numbers in per_publisher for number in numbers), expected)
            self.assertTrue(all(numbers == sorted(numbers) for numbers in per_publisher))
            self.assertEqual(ids(ws.events(200)), expected)


class ErrorCodes(unittest.TestCase):
    """Every code of PROTOCOL.md's section 9: seen here, or with the reason why a client cannot be made to see it here."""

    ELSEWHERE = {
        "auth_timeout": "a close reason only; test_tokens and the protocol's table of close codes have it",
        "store_full": "needs a full disk: the journal's suite has it",
        "store_unavailable": "needs a database that vanishes: the journal's suite has it",
        "commit_unknown": "needs a connection that dies during COMMIT: the journal's suite has it",
        "command_timeout": "needs a command that is slow inside its transaction; there is none",
        "internal_error": "our fault: nothing is known that causes it",
        "server_draining": "test_refusals and test_drain have it",
        "not_approved": "test_credentials has it",
        "revoked_token": "test_credentials has it",
        "auth_unavailable": "test_credentials has it",
    }

    def test_every_documented_code_can_be_seen_with_its_status_or_is_explained(self) -> None:
        text = (Path(__file__).parents[2] / "PROTOCOL.md").read_text()
        section = text[text.index("## 9. Errors"):]
        documented = {code: int(status) for code, status in re.findall(r"^\| `(\w+)` \| (\d{3}) \|", section, re.MULTILINE)}
        self.assertGreater(len(documented), 25)
        seen = self.see_codes()
        for code, status in seen.items():
            with self.subTest(code):
                self.assertEqual(documented.get(code), status)
        self.assertEqual(set(documented) - set(seen), set(self.ELSEWHERE) - set(seen))
        print(f"\n{len(seen)} of {len(documented)} error codes were seen; not here: {', '.join(sorted(set(documented) - set(seen)))}")

    def see_codes(self) -> dict[str, int | None]:
        server = school(api_key=KEYS, allowed_origins=["https://lms.example"], limits={"lock_wait_ms": 300, "connections_per_user": 3})
        self.addCleanup(server.stop)
        seen: dict[str, int] = {}

        def see(answer) -> None:
            seen[answer.code] = answer.status

        person, service = bearer(token()), bearer(PUBLISHER)
        for body in (b"{", {}, note("x", kind="rumour"), note("x", "planet:1"), note("x", "user:1"), note("x" * 70_000)):
            see(publish(server, body))
        see(call(server, "GET", "/nowhere"))
        see(call(server, "DELETE", "/api/events"))
        for headers in ({}, bearer("wrong"), bearer(token(seconds=-60)), {**person, "Origin": "https://stranger.example"}, service):
            see(call(server, "GET", "/api/poll", headers=headers))
        see(call(server, "GET", "/api/poll?ticket=tk_1"))
        see(call(server, "GET", f"/api/poll?token={token(2)}", headers=person))
        see(call(server, "GET", "/api/poll?since=soon", headers=person))
        key = {"Idempotency-Key": "k"}
        publish(server, note("x"), **key)
        see(publish(server, note("y"), **key))
        for name in ("Grace", "Ida"):
            answer = call(server, "PUT", "/api/cadets/1", {"name": name}, service)
        see(answer)
        call(server, "DELETE", "/api/roster/people/5/approval", headers=service)
        see(poll(server, token(5)))
        for _ in range(5):
            if (answer := publish(server, note("x"), SLOW_KEY)).status != 201:
                see(answer)
        readers = [Ws(server, token(2)) for _ in range(3)]
        see(poll(server, token(2)))
        for reader in readers:
            reader.leave()
        # Another process holds the database's lock.
        lock = sqlite3.connect(server.path / "school.db", isolation_level=None)
        lock.execute("BEGIN IMMEDIATE")
        see(publish(server, note("x")))
        lock.execute("ROLLBACK")
        lock.close()
        self.assertEqual(publish(server, note("x")).status, 201, "and it goes on")
        with Ws(server, token(3)) as ws:
            documented_by_frame = {
                "unknown_frame": lambda: ws.ask("sing", "error"),
                "unknown_view": lambda: ws.ask("subscribe", "error", view="weather", key=1),
                "unknown_command": lambda: ws.ask("command", "reply", ref=1, name="sing"),
            }
            statuses = {"unknown_frame": 400, "unknown_view": 404, "unknown_command": 404}
            for code, ask in documented_by_frame.items():
                self.assertEqual(ask()["code"], code)
                # A frame has no status; the table's is that of the same code over HTTP.
                seen[code] = statuses[code]
        busy = school(route={"/ws": {"reject": "http"}}, limits={"connects_per_second": 1, "reconnect_spread_ms": 200})
        self.addCleanup(busy.stop)
        Ws(busy, token()).leave()
        with self.assertRaises(InvalidStatus) as refused:
            Ws(busy, token())
        see(HttpRefusal(refused.exception))
        return seen


class RestLimits(unittest.TestCase):
    def test_a_caller_without_a_valid_credential_is_limited_by_address_and_a_person_by_name(self) -> None:
        server = school(limits={"rest_per_hour_anonymous": 5, "rest_per_hour_signed_in": 5})
        self.addCleanup(server.stop)
        path = "/api/roster/people/1/courses"
        for headers in ({}, bearer("wrong"), bearer(token(1))):
            if headers != bearer("wrong"):
                statuses = [call(server, "GET", path, headers=headers).status for _ in range(6)]
                self.assertEqual(statuses[-1], 429)
                self.assertNotIn(429, statuses[:5])
        answer = call(server, "GET", path, headers=bearer("wrong"))
        self.assertEqual((answer.status, answer.code), (429, "rate_limited"))
        self.assertGreater(answer.retry_after_s, 300)
        self.assertNotEqual(call(server, "GET", path, headers=bearer(token(2))).status, 429, "another person is not concerned")
        self.assertEqual(publish(server, note("x")).status, 201, "nor is a service")
        self.assertEqual(poll(server, token(1)).status, 200, "nor are the real-time routes")


class Withdrawals(unittest.TestCase):
    def test_when_a_withdrawal_is_answered_it_holds(self) -> None:
        """The answer waits for this node: what is published right after it does not reach the person."""
        server = school()
        self.addCleanup(server.stop)
        with Ws(server, token(4)) as ws:
            ws.until("connection_established")
            for _ in range(25):
                revoked = registration(server, "DELETE", 4).json["id"]
                announce(server, "not for person 4")
                granted = registration(server, "PUT", 4).json["id"]
                (due,) = announce(server, "for person 4 again")
                self.assertEqual(ids(ws.events(3)), [revoked, granted, due])


if __name__ == "__main__":
    unittest.main()
