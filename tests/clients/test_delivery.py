"""One cursor across three transports; heartbeats, gaps, signals, views, commands, and readers who do not read."""

import contextlib
import json
import sqlite3
import struct
import time
import unittest

from bytes_on_the_wire import PING, PONG, TEXT, Raw, frame
from campus import announce, call, flood, metric, note, open_connections, publish, registration, school, token
from readers import Sse, Ws, ids, is_event, poll, poll_from
from server import stands_still, wait_until
from websockets.exceptions import ConnectionClosed

SECONDS_EXPECTED = 25


class OneCursor(unittest.TestCase):
    @classmethod
    def setUpClass(cls) -> None:
        cls.server = school(limits={"messages_per_second": 1000})
        cls.addClassCleanup(cls.server.stop)

    def test_a_reader_goes_from_transport_to_transport_with_one_cursor(self) -> None:
        server, given = self.server, token(2)
        seen: list[int] = []
        with Ws(server, given) as ws:
            ws.until("connection_established")
            published = announce(server, *(f"ws {turn}" for turn in range(10)))
            seen += ids(ws.events(10))
        published += announce(server, *(f"nobody listens {turn}" for turn in range(5)))
        with Sse(server, given, last_event_id=seen[-1]) as sse:
            seen += ids(sse.events(5))
            published += announce(server, *(f"sse {turn}" for turn in range(5)))
            seen += ids(sse.events(5))
            self.assertEqual(sse.last_event_id, str(published[-1]))
        published += announce(server, *(f"again nobody {turn}" for turn in range(5)))
        events, cursor = poll_from(server, given, seen[-1])
        seen += ids(events)
        published += announce(server, *(f"before ws {turn}" for turn in range(5)))
        with Ws(server, given) as ws:
            ws.until("connection_established")
            ws.say("replay_request", last_event_id=cursor)
            seen += ids(ws.events(5))
            done = ws.until("replay_complete")
            self.assertEqual((done["from"], done["count"], done["gap"]), (cursor, 5, False))
            published += announce(server, "live again")
            seen += ids(ws.events(1))
        self.assertEqual(seen, published)

    def test_every_connect_answer_carries_the_head(self) -> None:
        (head,) = announce(self.server, "the newest")
        self.assertEqual(poll(self.server, token()).json, {
            "events": [], "cursor": head, "epoch": 1, "gap": None, "next_poll_ms": 0, "more": False,
        })
        with Ws(self.server, token()) as ws, Sse(self.server, token()) as sse:
            self.assertEqual(ws.frame()["cursor"], head)
            self.assertEqual(sse.block()["id"], str(head))

    def test_a_replay_is_the_same_by_every_transport_and_spelling(self) -> None:
        first, *rest = announce(self.server, *(f"replayed {turn}" for turn in range(300)))
        by_poll, _ = poll_from(self.server, token(), first)
        self.assertEqual(ids(by_poll), rest)
        instant = by_poll[0]["timestamp"]
        since = [first, f" {first}"]
        for cursor in since:
            with Ws(self.server, token(), since=cursor) as ws:
                self.assertEqual(ws.events(len(rest)), by_poll)
                self.assertEqual(ws.until("replay_complete")["count"], len(rest))
            with Sse(self.server, token(), since=cursor) as sse:
                self.assertEqual(sse.events(len(rest)), by_poll)
        with Ws(self.server, token(), since=instant) as ws:
            # Everything of that instant, which is that of the whole batch.
            self.assertEqual(ids(ws.events(len(rest) + 1)), [first, *rest])

    def test_a_replay_request_rewinds_in_the_middle_of_live_delivery(self) -> None:
        with Ws(self.server, token()) as ws:
            ws.until("connection_established")
            numbers = announce(self.server, "x", "y", "z")
            ws.events(3)
            ws.say("replay_request", last_event_id=numbers[0])
            more = announce(self.server, "w")
            self.assertEqual(ids(ws.events(3)), [*numbers[1:], *more])
            ws.say("replay_request", last_event_id=str(numbers[2]))
            self.assertEqual(ids(ws.events(1)), more)
            self.assertEqual(ws.ask("replay_request", "error", last_event_id="soon")["code"], "invalid_cursor")
            self.assertEqual(ws.ask("replay_request", "error", last_event_id=-1)["code"], "invalid_cursor")

    def test_a_cursor_beyond_the_head_is_told_as_a_gap_to_that_client_alone(self) -> None:
        with Ws(self.server, token(4)) as bystander:
            bystander.until("connection_established")
            (head,) = announce(self.server, "the head")
            beyond = head + 1000
            expected = {"type": "gap", "from": beyond, "to": head, "reason": "cursor_ahead"}
            with Ws(self.server, token(), since=beyond) as ws:
                ws.until("connection_established")
                self.assertEqual(ws.frame(), expected)
                (number,) = announce(self.server, "after the gap")
                self.assertEqual(ws.until("replay_complete")["gap"], True)
                self.assertEqual(ws.until(is_event)["id"], number)
            with Sse(self.server, token(), last_event_id=beyond) as sse:
                self.assertEqual(sse.message(), {**expected, "to": number})
            page = poll(self.server, token(), since=beyond, wait=0).json
            self.assertEqual((page["gap"]["reason"], page["gap"]["to"], page["cursor"]), ("cursor_ahead", number, number))
            with Ws(self.server, token()) as ws:
                ws.until("connection_established")
                self.assertEqual(ws.ask("replay_request", "gap", last_event_id=2**60)["reason"], "cursor_ahead")
            bystander.events(2)
            self.assertNotIn("gap", [said["type"] for said in bystander.settle() + bystander.seen])

    def test_a_poll_waits_and_answers_as_soon_as_something_is_due(self) -> None:
        head = poll(self.server, token(6)).json["cursor"]
        began = time.monotonic()
        page = poll(self.server, token(6), since=head, wait=1, channels="user:6").json
        self.assertTrue(0.9 < time.monotonic() - began < 2)
        self.assertEqual((page["events"], page["more"]), ([], False))
        self.assertGreaterEqual(page["cursor"], head)
        for wrong in ("soon", "-1", "nan"):
            self.assertEqual(poll(self.server, token(6), since=head, wait=wrong).code, "invalid_data")

    def test_a_poll_page_has_at_most_500_events_and_says_that_there_are_more(self) -> None:
        first, *rest = announce(self.server, *(f"page {turn}" for turn in range(1000)))
        page = poll(self.server, token(), since=first, wait=0).json
        self.assertTrue(0 < len(page["events"]) <= 500)
        self.assertTrue(page["more"])
        self.assertEqual(page["cursor"], page["events"][-1]["id"])
        self.assertEqual(ids(poll_from(self.server, token(), first)[0]), rest)

    def test_only_the_asked_channels_are_read_and_unsubscribe_takes_away(self) -> None:
        with Ws(self.server, token(2), channels="course:8,user.2") as ws:
            ws.until("connection_established")
            announce(self.server, "not asked for")
            (asked,) = announce(self.server, "asked for", channel="course:8")
            self.assertEqual(ids(ws.settle()) or ids(ws.events(1)), [asked])
            self.assertEqual(ws.ask("subscribe", "subscribed", channels=["course_7"])["channels"], ["course:7"])
            (added,) = announce(self.server, "now asked for")
            self.assertEqual(ws.until(is_event)["id"], added)
            self.assertEqual(ws.ask("unsubscribe", "unsubscribed", channels=["course:8"])["channels"], ["course:8"])
            announce(self.server, "not any more", channel="course:8")
            (last,) = announce(self.server, "still")
            self.assertEqual(ws.until(is_event)["id"], last)
            # What was taken away stays away in a replay.
            ws.say("replay_request", last_event_id=asked - 1)
            ws.until("replay_complete")
            replayed = [said["channel"] for said in ws.seen[-4:] if is_event(said)]
            self.assertEqual(set(replayed), {"course:7"})
            for channels, code in ((["course:9"], "forbidden"), (["user:1"], "forbidden"), (["nowhere"], "invalid_data")):
                self.assertEqual(ws.ask("subscribe", "error", channels=channels)["code"], code)

    def test_a_withdrawn_person_gets_nothing_of_the_course_any_more_and_gets_it_again_when_back(self) -> None:
        with Ws(self.server, token(5)) as ws, Sse(self.server, token(5)) as sse:
            ws.until("connection_established"), sse.block()
            (before,) = announce(self.server, "before")
            revoked = registration(self.server, "DELETE", 5).json["id"]
            announce(self.server, "while away")
            granted = registration(self.server, "PUT", 5).json["id"]
            (after,) = announce(self.server, "after")
            expected = [before, revoked, granted, after]
            self.assertEqual(ids(ws.events(4)), expected)
            self.assertEqual(ids(sse.events(4)), expected)
            # Live they had `before`; after the new grant it is not due to them any more, however they ask.
            for _ in range(2):
                events, _ = poll_from(self.server, token(5), before - 1)
                self.assertEqual(ids(events), [revoked, granted, after])
                self.server.restart()


class Conversation(unittest.TestCase):
    @classmethod
    def setUpClass(cls) -> None:
        cls.server = school()
        cls.addClassCleanup(cls.server.stop)

    def test_ping_is_answered_with_its_own_timestamp(self) -> None:
        with Ws(self.server, token()) as ws:
            ws.until("connection_established")
            for timestamp in (1234567890, "now", 1.5, None, {"any": ["thing"]}):
                self.assertEqual(ws.ask("ping", "pong", timestamp=timestamp), {"type": "pong", "timestamp": timestamp})

    def test_a_signal_reaches_the_others_in_the_channel_and_is_not_stored(self) -> None:
        with Ws(self.server, token(2)) as sender, Ws(self.server, token(4)) as member, Ws(self.server, token(1)) as outsider:
            head = [reader.until("connection_established") for reader in (sender, member, outsider)][0]["cursor"]
            sender.say("signal", signal="typing", channel="course:8", data={"n": 1})
            said = member.until("signal")
            self.assertEqual(said, {"type": "signal", "signal": "typing", "channel": "course:8", "from": 2, "data": {"n": 1}})
            self.assertEqual(sender.settle(), [])
            self.assertEqual(outsider.settle(), [])
            self.assertEqual(outsider.ask("signal", "error", signal="typing", channel="course:8")["code"], "forbidden")
            self.assertEqual(poll(self.server, token(4), since=head, wait=0).json["events"], [])

    def test_the_view_course_size_is_shown_whole_and_then_follows(self) -> None:
        with Ws(self.server, token(4)) as ws:
            ws.until("connection_established")
            picture = ws.ask("subscribe", "view", view="course_size", key="8")
            self.assertEqual((picture["view"], picture["key"]), ("course_size", "8"))
            size = picture["data"]["registered"]
            self.assertGreaterEqual(size, 6)
            done = registration(self.server, "PUT", 1, course=8).json
            follows = ws.until("view")
            self.assertEqual(follows["data"], {"registered": size + 1})
            self.assertGreaterEqual(follows["as_of"], done["id"])
            registration(self.server, "DELETE", 1, course=8)
            self.assertEqual(ws.until("view")["data"], {"registered": size})
            for fields, code in (({"view": "weather", "key": "8"}, "unknown_view"), ({"view": "course_size"}, "invalid_data"),
                                 ({"view": "course_size", "key": "9"}, "forbidden")):
                self.assertEqual(ws.ask("subscribe", "error", **fields)["code"], code)

    def test_a_command_by_frame_is_the_same_door_as_http(self) -> None:
        data = {"course_id": 8, "person_id": 9}
        with Ws(self.server, token(3)) as admin, Ws(self.server, token(9)) as person, Ws(self.server, token(1)) as student:
            for reader in (admin, person, student):
                reader.until("connection_established")
            command = {"name": "register_person", "data": data, "idempotency_key": "once"}
            said = admin.ask("command", "reply", ref="a1", **command)
            self.assertEqual((said["ref"], said["ok"], said["data"]["changed"]), ("a1", True, True))
            self.assertEqual(person.until("registered")["id"], said["id"])
            # The same key gives the same answer; another body is a conflict.
            again = admin.ask("command", "reply", ref={"n": 2}, **command)
            self.assertEqual(again, {**said, "ref": {"n": 2}})
            conflict = admin.ask("command", "reply", ref=3, **{**command, "data": {**data, "role": "teacher"}})
            self.assertEqual((conflict["ok"], conflict["code"]), (False, "idempotency_conflict"))
            refused = {
                "unknown_command": ("sing", {}), "invalid_data": ("register_person", {"course_id": 8}),
                "not_found": ("register_person", {**data, "course_id": 404}),
            }
            for code, (name, fields) in refused.items():
                reply = admin.ask("command", "reply", ref=code, name=name, data=fields)
                self.assertEqual((reply["ok"], reply["code"]), (False, code))
            self.assertEqual(student.ask("command", "reply", ref=1, name="register_person", data=data)["code"], "forbidden")

    def test_ids_keep_their_json_type_on_the_whole_way(self) -> None:
        body = {"type": "progress_update", "channel": "user:1", "data": {"course_id": "7", "lesson_id": 3, "percent": 12.5}}
        with Ws(self.server, token()) as ws:
            ws.until("connection_established")
            self.assertEqual(publish(self.server, body).status, 201)
            self.assertEqual(ws.until("progress_update")["data"], body["data"])

    def test_more_than_ten_messages_a_second_are_refused_and_a_flood_ends_the_connection(self) -> None:
        with Ws(self.server, token(7)) as ws:
            ws.until("connection_established")
            for turn in range(60):
                ws.say("ping", timestamp=turn)
            answers = [ws.frame() for _ in range(60)]
            codes = [said.get("code") for said in answers if said["type"] == "error"]
            self.assertTrue(20 <= len(answers) - len(codes) <= 30, "a burst of twenty, and what a moment adds")
            self.assertEqual(set(codes), {"rate_limited"})
            # It may be closed while the last are still being said.
            with contextlib.suppress(ConnectionClosed):
                for turn in range(150):
                    ws.say("ping", timestamp=turn)
            self.assertEqual(ws.closed(), (4029, "rate_limited"))
            self.assertEqual((ws.seen[-1]["type"], ws.seen[-1]["code"]), ("reconnect", "rate_limited"))

    def test_the_same_client_replaces_its_own_connection_and_no_other(self) -> None:
        with Ws(self.server, token(8), client="tab-1") as first, Ws(self.server, token(8), client="tab-2") as other, \
                Ws(self.server, token(10), client="tab-1") as stranger:
            for reader in (first, other, stranger):
                reader.until("connection_established")
            with Ws(self.server, token(8), client="tab-1") as second:
                second.until("connection_established")
                self.assertEqual(first.closed(), (1000, "replaced"))
                (number,) = announce(self.server, "after the replacement")
                for reader in (second, other, stranger):
                    self.assertEqual(reader.until(is_event)["id"], number)
            with Sse(self.server, token(8), client="tab-2") as sse:
                sse.block()
                self.assertEqual(other.closed(), (1000, "replaced"), "whatever the transport")

    def test_a_poll_that_the_same_client_replaces_is_answered(self) -> None:
        head = poll(self.server, token(11)).json["cursor"]
        before = open_connections(self.server)
        with Raw(self.server) as raw:
            path = f"/api/poll?since={head}&wait=30&client=phone&channels=user:11"
            raw.send(f"GET {path} HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer {token(11)}\r\n\r\n".encode())
            wait_until(lambda: open_connections(self.server) > before, what="the waiting poll")
            poll(self.server, token(11), since=head, wait=0, client="phone")
            answer = raw.head().decode()
            self.assertNotIn("server_draining", answer + raw.pending.decode(), "nothing drains here")


class Times(unittest.TestCase):
    """Heartbeats, pongs and idle connections, with small times."""

    @classmethod
    def setUpClass(cls) -> None:
        limits = {"heartbeat_ms": 400, "pong_ms": 600, "sse_heartbeat_ms": 300, "stalled_ms": 1500}
        cls.server = school(limits=limits)
        cls.addClassCleanup(cls.server.stop)

    def test_a_websocket_heartbeat_carries_the_cursor_up_to_which_everything_due_was_sent(self) -> None:
        with Ws(self.server, token(1)) as ws:
            hello = ws.until("connection_established")
            self.assertEqual(hello["heartbeat_ms"], 400)
            (mine,) = announce(self.server, "mine")
            (foreign,) = announce(self.server, "not mine", channel="course:8")
            self.assertEqual(ws.until(is_event)["id"], mine)
            # It moves past what is not this reader's business.
            ws.until(lambda said: said["type"] == "heartbeat" and said["cursor"] == foreign, seconds=2)

    def test_a_stream_heartbeat_is_a_block_with_only_an_id(self) -> None:
        with Sse(self.server, token(1)) as sse:
            sse.block()
            (foreign,) = announce(self.server, "not mine", channel="course:8")
            blocks = [sse.block() for _ in range(2)]
            self.assertIn({"id": str(foreign)}, blocks)

    def test_a_connection_without_a_pong_is_gone_after_its_time(self) -> None:
        began = time.monotonic()
        with Raw(self.server) as raw:
            raw.handshake(f"/ws?token={token(2)}")
            pings = 0
            while (said := raw.frame())[0] != 8:
                pings += said[0] == PING
            self.assertEqual((struct.unpack("!H", said[1][:2])[0], said[1][2:]), (4008, b"pong_timeout"))
            self.assertGreaterEqual(pings, 1)
        self.assertTrue(0.9 < time.monotonic() - began < 2)
        wait_until(lambda: open_connections(self.server) == 0, what="no connection")

    def test_any_byte_keeps_a_connection_alive(self) -> None:
        with Raw(self.server) as raw:
            raw.handshake(f"/ws?token={token(2)}")
            until = time.monotonic() + 2.5
            while time.monotonic() < until:
                opcode, _ = raw.frame()
                self.assertNotEqual(opcode, 8)
                raw.send(frame(PONG))

    def test_a_reader_who_takes_no_byte_for_too_long_is_closed(self) -> None:
        with Raw(self.server, receive_bytes=4096) as raw:
            raw.handshake(f"/ws?token={token(2)}")
            flood(self.server, 12)
            until = time.monotonic() + 15
            # Its pongs come, only its eyes are shut.
            while open_connections(self.server) and time.monotonic() < until:
                try:
                    raw.send(frame(PONG))
                except OSError:
                    break
                time.sleep(0.1)
            wait_until(lambda: open_connections(self.server) == 0, what="the end of the reader")

    def check_stalled_stream(self, given: str) -> None:
        flood(self.server, 12)
        with Raw(self.server, receive_bytes=4096) as raw:
            raw.send(f"GET /api/events?since=0&token={given} HTTP/1.1\r\nHost: x\r\n\r\n".encode())
            wait_until(lambda: open_connections(self.server) == 1, what="the stream")
            wait_until(lambda: open_connections(self.server) == 0, 6, "the end of the stream")

    def test_a_stream_that_takes_no_byte_for_too_long_is_closed_too(self) -> None:
        self.check_stalled_stream(token(2))

    def test_a_stream_that_nobody_reads_ends_with_its_token_all_the_same(self) -> None:
        self.check_stalled_stream(token(2, seconds=2))


class Gaps(unittest.TestCase):
    """Retention: what is no longer kept is told, to whom it concerns."""

    def test_a_cursor_below_what_was_pruned_gets_a_gap_and_another_gets_none(self) -> None:
        kept = {"name": "note", "channel_kind": "course", "class": "technical", "keep_newest": 3}
        server = school(event_type=[kept])
        self.addCleanup(server.stop)
        notes = publish(server, {"events": [note(place) for place in range(10)]}).json["events"]
        numbers = [event["id"] for event in notes]
        (foreign,) = announce(server, "of another type and course", channel="course:8")
        # Maintenance runs every ten minutes: pretend that it has not for a while.
        server.end()
        with contextlib.closing(sqlite3.connect(server.path / "school.db")) as store, store:
            store.execute("UPDATE schedule SET tick_ms = 0")
        server.start()
        wait_until(lambda: "events were pruned" in server.log_text(), what="pruning")
        # What was pruned is still in that server's memory.
        server.restart()
        for restarts in range(2):
            with self.subTest(restarts=restarts):
                gap = {"type": "gap", "from": numbers[1], "to": numbers[6], "reason": "retention"}
                with Ws(server, token(1), since=numbers[1]) as ws:
                    ws.until("connection_established")
                    self.assertEqual(ws.frame(), gap)
                    self.assertEqual(ids(ws.events(3)), numbers[7:])
                    self.assertEqual(ws.until("replay_complete")["gap"], True)
                with Sse(server, token(1), last_event_id=numbers[1]) as sse:
                    self.assertEqual(sse.message(), gap)
                    self.assertEqual(ids(sse.events(3)), numbers[7:])
                page = poll(server, token(1), since=numbers[1], wait=0).json
                self.assertEqual((page["gap"]["reason"], page["gap"]["from"], page["gap"]["to"]), ("retention", numbers[1], numbers[6]))
                self.assertEqual(ids(page["events"]), numbers[7:])
                # Whose cursor is beyond it, or who does not read the channel, is told of no gap.
                page = poll(server, token(1), since=numbers[6], wait=0).json
                self.assertEqual((page["gap"], ids(page["events"])), (None, numbers[7:]))
                page = poll(server, token(2), since=numbers[1], wait=0, channels="course:8").json
                self.assertEqual((page["gap"], ids(page["events"])), (None, [foreign]))
            server.restart()


class SlowReaders(unittest.TestCase):
    """A reader who does not read hurts nobody, and loses nothing."""

    def setUp(self) -> None:
        self.server = school(limits={"messages_per_second": 10_000, "tail_bytes": 2 * 1024 * 1024})
        self.addCleanup(self.server.stop)
        # What publishing itself takes is taken before memory is looked at.
        flood(self.server, 12)

    def test_everything_comes_later_from_the_log_and_nobody_else_waits(self) -> None:
        with Raw(self.server, receive_bytes=4096, seconds=30) as slow, Ws(self.server, token(3)) as fast:
            slow.handshake(f"/ws?token={token(2)}")
            self.assertIn(b"connection_established", slow.frame()[1])
            fast.until("connection_established")
            before_kib = self.server.memory_kib()
            numbers = []
            delays = []
            for _ in range(24):
                began = time.monotonic()
                numbers += flood(self.server, 1)
                fast.events(128)
                delays.append(time.monotonic() - began)
            grown_kib = self.server.memory_kib() - before_kib
            self.assertLess(grown_kib, 16 * 1024, "24 MiB wait for one reader, and they wait in the log")
            self.assertLess(sorted(delays)[len(delays) // 2], 1.0)
            got = []
            while len(got) < len(numbers):
                opcode, payload = slow.frame()
                if opcode == TEXT and is_event(said := json.loads(payload)):
                    got.append(said["id"])
            self.assertEqual(got, numbers)
            self.assertGreaterEqual(metric(self.server, "fell_behind_total"), 1)

    def test_a_slow_stream_gets_everything_too(self) -> None:
        with Sse(self.server, token(2), seconds=30) as slow, Ws(self.server, token(3)) as fast:
            slow.block()
            fast.until("connection_established")
            before_kib = self.server.memory_kib()
            numbers = []
            for _ in range(16):
                numbers += flood(self.server, 1)
                fast.events(128)
            self.assertLess(self.server.memory_kib() - before_kib, 16 * 1024)
            self.assertEqual(ids(slow.events(len(numbers))), numbers)

    def test_a_poll_without_wait_reads_history_that_is_no_longer_in_memory(self) -> None:
        numbers = flood(self.server, 4)
        events, _ = poll_from(self.server, token(2), numbers[0] - 1, pages=200)
        self.assertEqual(ids(events), numbers)

    def check_memory(self, raw: Raw, data: bytes, seconds: float, most_kib: int) -> None:
        """Sends the same again and again without ever reading; the server's memory stays below, whatever becomes of the connection."""
        before_kib, until = self.server.memory_kib(), time.monotonic() + seconds
        raw.socket.settimeout(0.5)
        grown_kib = 0
        while time.monotonic() < until:
            try:
                raw.send(data)
            except TimeoutError:
                pass  # The server does not take any more: that bounds it as well.
            except OSError:
                break
            grown_kib = max(grown_kib, self.server.memory_kib() - before_kib)
            self.assertLess(grown_kib, most_kib)
        self.assertEqual(call(self.server, "GET", "/healthz").status, 200)

    def test_protocol_pings_of_a_client_that_does_not_read_do_not_pile_up_as_pongs(self) -> None:
        with Raw(self.server, receive_bytes=4096) as raw:
            raw.handshake(f"/ws?token={token(2)}")
            self.check_memory(raw, frame(PING, b"p" * 125) * 500, 4, 32 * 1024)

    def test_answers_to_a_client_that_does_not_read_do_not_pile_up(self) -> None:
        with Raw(self.server, receive_bytes=4096) as raw:
            raw.handshake(f"/ws?token={token(2)}")
            ping = json.dumps({"type": "ping", "timestamp": "x" * 60_000}).encode()
            self.check_memory(raw, frame(TEXT, ping), 4, 16 * 1024)

    def test_history_is_read_in_pages_bounded_in_bytes(self) -> None:
        """A page is bounded by its bytes as well as by its events: of the largest events 256 are 16 MiB, for each reader."""
        for _ in range(8):
            self.assertEqual(publish(self.server, {"events": [note("x" * 60_000)] * 64}).status, 201)
        before_kib = self.server.memory_kib()
        readers = []
        try:
            for place in range(20):
                raw = Raw(self.server, receive_bytes=4096)
                readers.append(raw)
                if place % 2:
                    raw.handshake(f"/ws?token={token(2)}&since=0")
                else:
                    raw.send(f"GET /api/events?since=0&token={token(2)} HTTP/1.1\r\nHost: x\r\n\r\n".encode())
            stands_still(lambda: metric(self.server, "events_delivered_total"))
            self.assertLess(self.server.memory_kib() - before_kib, len(readers) * 2048)
        finally:
            for raw in readers:
                raw.reset()

    def test_poll_answers_that_nobody_reads_are_bounded_in_bytes_and_number(self) -> None:
        """A poll's session ends with its answer, and so neither a cap nor a clock holds those who do not take it."""
        for _ in range(8):
            self.assertEqual(publish(self.server, {"events": [note("x" * 60_000)] * 64}).status, 201)
        before_kib, head = self.server.memory_kib(), poll(self.server, token(2)).json["cursor"]
        readers = []
        try:
            for _ in range(20):
                raw = Raw(self.server, receive_bytes=4096)
                readers.append(raw)
                query = f"since={head - 512}&wait=0&token={token(2)}"
                raw.send(f"GET /api/poll?{query} HTTP/1.1\r\nHost: x\r\n\r\n".encode())
            for raw in readers:
                self.assertIn(b" 200 ", raw.head().splitlines()[0])
            self.assertLess(self.server.memory_kib() - before_kib, len(readers) * 2048)
        finally:
            for raw in readers:
                raw.reset()

    def test_signals_for_a_client_that_does_not_read_do_not_pile_up(self) -> None:
        with Raw(self.server, receive_bytes=4096) as raw, Ws(self.server, token(4)) as sender:
            raw.handshake(f"/ws?token={token(2)}&channels=course:8")
            sender.until("connection_established")
            before_kib = self.server.memory_kib()
            for _ in range(300):
                sender.say("signal", signal="pointer", channel="course:8", data="x" * 60_000)
                sender.settle()
            self.assertLess(self.server.memory_kib() - before_kib, 12 * 1024, "18 MB of signals")

    def test_a_client_that_does_not_read_cannot_hold_more_connections_than_its_cap(self) -> None:
        server = school(limits={"connections_per_user": 2})
        self.addCleanup(server.stop)
        flood(server, 12)
        held: list[Raw] = []
        try:
            for _ in range(8):
                raw = Raw(server, receive_bytes=4096)
                held.append(raw)
                # The same client each time, so that each replaces the one before it instead of meeting the cap.
                raw.handshake(f"/ws?token={token(2)}&since=0&client=greedy")
            wait_until(lambda: open_connections(server) <= 2, 10, "at most two connections")
        finally:
            for raw in held:
                raw.reset()


if __name__ == "__main__":
    unittest.main()
