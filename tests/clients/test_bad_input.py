"""Bad input over the wire: everything is refused with a documented code, and the process lives and answers."""

import base64
import json
import os
import re
import socket
import struct
import threading
import time
import unittest
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from bytes_on_the_wire import BINARY, CLOSE, PING, TEXT, Raw, frame
from campus import (
    PUBLISHER, announce, bearer, call, configuration, found_school, open_connections, publish, school, token, vectors,
)
from readers import Sse, Ws, poll
from server import Server, wait_until

SECONDS_EXPECTED = 45

DOCUMENTED = set(re.findall(r"^\| `(\w+)` \| \d{3} \|", (Path(__file__).parents[2] / "PROTOCOL.md").read_text(), re.MULTILINE))


class BadInput(unittest.TestCase):
    """A server that must still be the same process at the end, and answer."""

    changes: dict = {}

    @classmethod
    def setUpClass(cls) -> None:
        if cls is BadInput:
            raise unittest.SkipTest("the base of the classes below")
        cls.server = school(**cls.changes)
        cls.addClassCleanup(cls.server.stop)
        cls.pid = cls.server.pid

    def tearDown(self) -> None:
        self.assertEqual(self.server.pid, self.pid)
        self.assertIsNone(self.server.process.poll(), "the server has ended")
        (number,) = announce(self.server, "still here")
        self.assertEqual(poll(self.server, token(), since=number - 1).json["events"][0]["id"], number)
        self.assertNotIn("panicked", self.server.log_text())


class JsonTestSuite(BadInput):
    """The 318 files of nst/JSONTestSuite, as a body, inside of a body, and as a text frame."""

    changes = {"limits": {"messages_per_second": 1_000_000, "rest_per_hour_anonymous": 1_000_000}}

    @classmethod
    def setUpClass(cls) -> None:
        folder = vectors("json-test-suite", "test_parsing")
        if folder is None:
            print("the JSON test suite is left out: CAMPANILE_VECTORS names no folder with it")
            raise unittest.SkipTest("no vectors")
        cls.files = [(path.name, path.read_bytes()) for path in sorted(folder.glob("*.json"))]
        super().setUpClass()

    def test_every_file_is_there(self) -> None:
        kinds = [name[0] for name, _ in self.files]
        print(f"vectors: json-test-suite: {len(kinds)} files, in five places of the protocol", flush=True)
        self.assertEqual((kinds.count("y"), kinds.count("n"), kinds.count("i")), (95, 188, 35))

    def test_as_a_body_none_is_a_publish(self) -> None:
        for name, content in self.files:
            with self.subTest(name):
                answer = publish(self.server, content)
                self.assertIn(answer.code, {"malformed_json", "invalid_data"})
                if name.startswith("n_"):
                    self.assertIn(answer.status, (400, 422))

    def test_as_data_good_json_comes_out_as_it_went_in_and_bad_json_is_refused(self) -> None:
        accepted = 0
        with Ws(self.server, token()) as reader:
            reader.until("connection_established")
            for name, content in self.files:
                with self.subTest(name):
                    answer = publish(self.server, b'{"type":"note","channel":"course:7","data":{"value":' + content + b"}}")
                    if answer.status == 201:
                        self.assertFalse(name.startswith("n_"), "bad JSON was stored")
                        accepted += 1
                        raw = reader.socket.recv(timeout=10)
                        sent = content.decode().replace("\n", " ").replace("\r", " ")
                        # Byte for byte, but for line ends, which SSE cannot carry.
                        self.assertIn('"data":{"value":' + sent + "}", raw)
                    else:
                        self.assertFalse(name.startswith("y_"), answer)
                        self.assertIn(answer.code, {"malformed_json", "invalid_data"})
        self.assertGreaterEqual(accepted, 95)

    def test_as_fields_of_a_command_they_never_fail_the_server(self) -> None:
        for name, content in self.files:
            with self.subTest(name):
                body = b'{"title":' + content + b"}"
                answer = call(self.server, "PUT", "/api/roster/courses/900", body, bearer(PUBLISHER))
                self.assertLess(answer.status, 500)
                if answer.status != 200:
                    self.assertIn(answer.code, DOCUMENTED)
                elif name.startswith("n_"):
                    self.fail("bad JSON was stored")

    def test_as_a_text_frame_each_is_answered_with_an_error_and_the_connection_lives(self) -> None:
        ended = 0
        raw = None
        for name, content in self.files:
            with self.subTest(name):
                if raw is None:
                    raw = Raw(self.server)
                    raw.handshake(f"/ws?token={token()}")
                    raw.frame()
                raw.send(frame(TEXT, content))
                opcode, payload = raw.frame()
                if opcode == CLOSE:
                    code = struct.unpack("!H", payload[:2])[0]
                    # Not UTF-8, or more than 64 KiB.
                    self.assertIn((code, payload[2:]), {(1007, b"invalid_utf8"), (4009, b"message_too_big")})
                    is_utf8 = len(content.decode(errors="ignore").encode()) == len(content)
                    self.assertEqual(code, 4009 if is_utf8 else 1007)
                    raw.socket.close()
                    raw, ended = None, ended + 1
                else:
                    said = json.loads(payload)
                    self.assertEqual((opcode, said["type"]), (TEXT, "error"))
                    self.assertIn(said["code"], {"malformed_json", "unknown_frame", "invalid_data"})
        self.assertLess(ended, 60)
        if raw:
            raw.send(frame(TEXT, b'{"type":"ping","timestamp":1}'))
            self.assertEqual(raw.frame(), (TEXT, b'{"type":"pong","timestamp":1}'))
            raw.socket.close()

    def test_as_fields_of_frames_they_never_end_the_connection(self) -> None:
        shapes = [
            b'{"type":"ping","timestamp":%s}', b'{"type":"replay_request","last_event_id":%s}', b'{"type":"subscribe","channels":%s}',
            b'{"type":"command","ref":%s,"name":"save_course","data":{}}', b'{"type":"command","ref":1,"name":"save_course","data":%s}',
            b'{"type":"signal","signal":"x","channel":"course:7","data":%s}', b'{"type":"refresh","token":%s}',
        ]
        for shape in shapes:
            with Raw(self.server) as raw:
                raw.handshake(f"/ws?token={token()}")
                sent = 0
                for name, content in self.files:
                    text = shape.replace(b"%s", content)
                    if len(text) < 60_000 and len(text.decode(errors="ignore").encode()) == len(text):
                        raw.send(frame(TEXT, text))
                        sent += 1
                raw.send(frame(TEXT, b'{"type":"ping","timestamp":"the end"}'))
                while (said := raw.frame())[1] != b'{"type":"pong","timestamp":"the end"}':
                    self.assertEqual(said[0], TEXT)
                    json.loads(said[1].decode())
                self.assertGreater(sent, 250)


class Frames(BadInput):
    changes = {"limits": {"messages_per_second": 100_000}}

    def closes(self, data: bytes, code: int, reason: str) -> None:
        with Raw(self.server) as raw:
            raw.handshake(f"/ws?token={token()}")
            raw.frame()
            raw.send(data)
            self.assertEqual(raw.close_code(), (code, reason))

    def test_text_that_is_not_utf8_closes_1007(self) -> None:
        for text in (b"\xff", b"\xc0\xaf", b"\xed\xa0\x80", b"\xf4\x90\x80\x80", b'{"type":"ping","timestamp":"\xe2\x82"}'):
            self.closes(frame(TEXT, text), 1007, "invalid_utf8")
        # Cut within a character it is fine, unless the rest does not come.
        self.closes(frame(TEXT, b"\xe2\x82", fin=False) + frame(0, b"(", fin=True), 1007, "invalid_utf8")
        with Raw(self.server) as raw:
            raw.handshake(f"/ws?token={token()}")
            raw.frame()
            text = '{"type":"ping","timestamp":"€"}'.encode()
            raw.send(frame(TEXT, text[:29], fin=False) + frame(PING, b"between") + frame(0, text[29:]))
            self.assertEqual(raw.frame(), (10, b"between"))
            self.assertEqual(json.loads(raw.frame()[1]), {"type": "pong", "timestamp": "€"})

    def test_a_binary_frame_closes_1003(self) -> None:
        self.closes(frame(BINARY, b'{"type":"ping"}'), 1003, "binary_not_supported")

    def test_more_than_64_kib_closes_4009_and_the_announcement_of_it_is_enough(self) -> None:
        self.closes(frame(TEXT, b" " * (64 * 1024 + 1)), 4009, "message_too_big")
        self.closes(struct.pack("!BBQI", 0x81, 0xFF, 1 << 40, 0), 4009, "message_too_big")
        self.closes(frame(TEXT, b" " * 60_000, fin=False) + frame(0, b" " * 6_000), 4009, "message_too_big")
        with Raw(self.server) as raw:
            raw.handshake(f"/ws?token={token()}")
            raw.frame()
            filler = 64 * 1024 - len('{"type":"ping","timestamp":""}')
            raw.send(frame(TEXT, b'{"type":"ping","timestamp":"' + b"x" * filler + b'"}'))
            self.assertEqual(len(raw.frame()[1]), 64 * 1024, "exactly 64 KiB are allowed")

    def test_more_than_1024_fragments_close_4009(self) -> None:
        self.closes(frame(TEXT, b"", fin=False) + frame(0, b"", fin=False) * 1100, 4009, "too_many_fragments")

    def test_frames_that_break_rfc_6455_close_1002(self) -> None:
        wrong = {
            "unmasked": frame(TEXT, b"{}", masked=False), "reserved bit": b"\xc1\x80\0\0\0\0", "reserved opcode": b"\x83\x80\0\0\0\0",
            "fragmented ping": frame(PING, b"", fin=False), "ping of 126": frame(PING, b"x" * 126),
            "continuation of nothing": frame(0, b"x"), "text inside text": frame(TEXT, b"a", fin=False) + frame(TEXT, b"b"),
            "length not minimal": b"\x81\xfe\x00\x01\0\0\0\0x", "negative length": b"\x81\xff" + b"\xff" * 8 + b"\0\0\0\0",
            "close of one byte": frame(CLOSE, b"\x03"), "close 1005": frame(CLOSE, struct.pack("!H", 1005)),
            "close 999": frame(CLOSE, struct.pack("!H", 999)),
        }
        for name, data in wrong.items():
            with self.subTest(name):
                self.closes(data, 1002, "protocol_error")

    def test_the_shared_frame_vectors_close_as_they_say(self) -> None:
        path = vectors("own", "websocket-frames.json")
        if path is None:
            print("the WebSocket frame vectors are left out: CAMPANILE_VECTORS names no folder with them")
            self.skipTest("no vectors")
        ours = {1009: 4009}
        held = 0
        for vector in json.loads(path.read_text())["invalid"]:
            if "frames" not in vector or "expect_close" not in vector or vector.get("needs"):
                continue
            with self.subTest(vector["id"]), Raw(self.server) as raw:
                raw.handshake(f"/ws?token={token()}")
                raw.frame()
                raw.send(b"".join(bytes.fromhex(text) for text in vector["frames"]))
                said = raw.close_code()
                self.assertIsNotNone(said)
                # Where the vector leaves the answer open we refuse.
                expected = vector["expect_close"] or 1002
                self.assertEqual(said[0], ours.get(expected, expected), vector["why"])
                held += 1
        print(f"vectors: websocket-frames.json: {held} invalid sequences over the wire", flush=True)
        self.assertGreaterEqual(held, 15)

    def test_a_close_frame_is_answered_with_its_own_code(self) -> None:
        for code in (1000, 1001, 3000, 4999):
            with Raw(self.server) as raw:
                raw.handshake(f"/ws?token={token()}")
                raw.send(frame(CLOSE, struct.pack("!H", code) + b"bye"))
                self.assertEqual(raw.close_code()[0], code)
                self.assertTrue(raw.is_ended())

    def test_a_frame_byte_by_byte_is_the_same_frame(self) -> None:
        with Raw(self.server) as raw:
            raw.handshake(f"/ws?token={token()}")
            raw.frame()
            raw.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            for byte in frame(TEXT, b'{"type":"ping","timestamp":5}'):
                raw.send(bytes([byte]))
            self.assertEqual(raw.frame()[1], b'{"type":"pong","timestamp":5}')

    def test_frames_with_unknown_types_and_fields_are_errors_and_no_more(self) -> None:
        with Ws(self.server, token()) as ws:
            ws.until("connection_established")
            said = {
                '{"type":"sing"}': "unknown_frame", '{"type":7}': "malformed_json", "{}": "malformed_json", "[]": "malformed_json",
                '"ping"': "malformed_json", '["ping",1]': "malformed_json", "": "malformed_json", '{"type":"ping"': "malformed_json",
                '{"type":"subscribe","channels":["course:7"],"extra":1}': "invalid_data",
                '{"type":"subscribe","channels":7}': "invalid_data",
                '{"type":"replay_request"}': "invalid_data", '{"type":"replay_request","last_event_id":1.5}': "invalid_cursor",
                '{"type":"signal","signal":"x","channel":"nowhere"}': "invalid_data", '{"type":"command"}': "invalid_data",
                '{"type":"refresh"}': "invalid_data", '{"type":"connection_established"}': "unknown_frame",
                '{"type":"ping","type":"ping"}': "malformed_json", "[" * 30_000: "malformed_json",
            }
            for text, code in said.items():
                with self.subTest(text[:60]):
                    ws.send(text)
                    self.assertEqual(ws.until("error")["code"], code)


class HostileTokens(BadInput):
    """own/jwt-attacks.json with its own keys. Their time was 2023, so that none may be let in today; the right answer is a refusal."""

    @classmethod
    def setUpClass(cls) -> None:
        path = vectors("own", "jwt-attacks.json")
        if path is None:
            print("the hostile tokens are left out: CAMPANILE_VECTORS names no file with them")
            raise unittest.SkipTest("no vectors")
        cls.attacks = json.loads(path.read_text())
        keys = [key for key in cls.attacks["jwks"]["keys"] if key.get("use") == "sig"]
        entries = [{"algorithm": key["alg"], "kid": key["kid"], "jwk_file": f"{place}.jwk"} for place, key in enumerate(keys)]
        entries.append({"algorithm": "HS256", "secret": cls.attacks["hmac_secret"]})
        auth = {"key": entries, "issuer": cls.attacks["iss"], "audience": cls.attacks["aud"], "lifetime_s_max": 86_400}
        cls.server = Server(config=configuration(auth=auth, limits={"rest_per_hour_anonymous": 100_000}))
        cls.addClassCleanup(cls.server.stop)
        for place, key in enumerate(keys):
            (cls.server.path / f"{place}.jwk").write_text(json.dumps(key))
        found_school(cls.server.start())
        cls.pid = cls.server.pid

    def tearDown(self) -> None:
        self.assertIsNone(self.server.process.poll(), "the server has ended")
        announce(self.server, "still here")

    def test_each_is_refused_by_every_transport_and_place(self) -> None:
        for attack in self.attacks["tokens"]:
            given = attack["token"]
            with self.subTest(attack["id"]):
                if not given or "\n" in given or len(given) > 16_000:
                    # It cannot stand in a header; in the first message it can.
                    with Ws(self.server) as ws:
                        ws.say("auth", token=given)
                        self.assertIn(ws.closed(), [(4001, "invalid_token"), (4009, "message_too_big"), (4001, "no_credential")])
                    continue
                answer = poll(self.server, given)
                self.assertEqual(answer.status, 401)
                # Only a token that is right but for its time may be told so.
                right = {"expired_token"} if attack["expect"] == "accept" else {"expired_token", "invalid_token"}
                self.assertIn(answer.code, right)
                with Ws(self.server, token=given) as ws:
                    self.assertEqual(ws.closed(), (4001, answer.code))
                with Sse(self.server, given) as sse:
                    self.assertEqual(sse.problem().code, answer.code)
                if len(given) < 4000:
                    with Ws(self.server) as ws:
                        ws.say("auth", token=given)
                        self.assertEqual(ws.closed(), (4001, answer.code))
        self.assertEqual(open_connections(self.server), 0)

    def test_attacks_on_signature_and_algorithm_are_invalid_and_not_merely_expired(self) -> None:
        attacks = {attack["id"]: attack["token"] for attack in self.attacks["tokens"]}
        for name in ("alg-none", "alg-null", "sig-empty", "sig-other-key", "es256-der-sig", "confusion-hs256-pem-no-newline",
                     "alg-mismatch-key", "alg-not-allowed-rs512", "kid-number", "padding-added", "trailing-dot", "dup-alg",
                     "noncanonical-tail"):
            self.assertEqual(poll(self.server, attacks[name]).code, "invalid_token", name)


class Http(BadInput):
    changes = {"limits": {"rest_per_hour_anonymous": 1_000_000}}

    def test_garbage_instead_of_http_is_answered_or_cut(self) -> None:
        for garbage in (b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03", b"\0" * 500, b"GET\r\n\r\n", b"hello\r\n\r\n",
                        b"GET / HTTP/9.9\r\n\r\n",
                        b"GET /\r\n\r\n", b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", os.urandom(4000), b"GET / HTTP/1.1\r\nNo colon\r\n\r\n",
                        b"GET / HTTP/1.1\r\nHost: x\r\nContent-Length: -1\r\n\r\n", b"\r\n" * 1000):
            with self.subTest(garbage[:20]), Raw(self.server, seconds=12) as raw:
                try:
                    raw.send(garbage)
                    raw.socket.shutdown(socket.SHUT_WR)
                except OSError:
                    continue
                self.assertTrue(raw.is_ended())

    def test_request_smuggling_shapes_are_refused(self) -> None:
        head = b"POST /api/events HTTP/1.1\r\nHost: x\r\n"
        for lines in (b"Content-Length: 5\r\nTransfer-Encoding: chunked\r\n", b"Content-Length: 5\r\nContent-Length: 6\r\n",
                      b"Transfer-Encoding: chunked, identity\r\n"):
            with Raw(self.server) as raw:
                raw.send(head + lines + b"\r\n0\r\n\r\nGET /healthz HTTP/1.1\r\nHost: x\r\n\r\n")
                answers = b""
                raw.socket.settimeout(2)
                try:
                    while data := raw.socket.recv(65536):
                        answers += data
                except OSError:
                    pass
                self.assertNotIn(b"\r\n\r\nok\n", answers, lines)

    def test_a_head_over_32_kib_is_refused(self) -> None:
        for head in (b"GET / HTTP/1.1\r\nHost: x\r\n" + b"X: " + b"y" * 200_000, b"GET /" + b"y" * 200_000,
                     b"GET / HTTP/1.1\r\nHost: x\r\n" + b"".join(b"X%d: y\r\n" % place for place in range(20_000)) + b"\r\n"):
            with Raw(self.server) as raw:
                try:
                    raw.send(head)
                    first = raw.socket.recv(200)
                except OSError:
                    continue
                self.assertRegex(first, rb"^HTTP/1.1 4(31|14|00)|^$")

    def test_wrong_queries_paths_and_headers_are_refused_with_a_code_or_ignored(self) -> None:
        good = bearer(token())
        for path in ("/api/poll?since=%ff", "/api/poll?since=1&since=2", "/api/poll?%00=%00", "/api/poll?since=" + "9" * 400,
                     "/api/poll?wait=1e999", "/api/poll?wait=-0", "/api/poll?channels=,", "/api/poll?epoch=-1",
                     "/api/poll?client=" + "c" * 5000,
                     "/api/poll?channels=" + ",".join(["course:7"] * 2000), "/%2e%2e/etc/passwd", "//", "/api/events/",
                     "/api/roster/people/%00/courses",
                     "/api/roster/people/%ff/courses", "/api/roster/people/" + "p" * 300 + "/courses"):
            with self.subTest(path[:60]):
                answer = call(self.server, "GET", path, headers=good)
                self.assertLess(answer.status, 500)
                if answer.status >= 400:
                    self.assertIn(answer.code, DOCUMENTED)
        for header, value in (("Authorization", "Basic dTpw"), ("Authorization", "Bearer"), ("Authorization", "Bearer  "),
                              ("Authorization", "\xff"), ("Last-Event-ID", "x" * 5000), ("Origin", "\xff"),
                              ("Origin", "javascript:alert(1)")):
            answer = call(self.server, "GET", "/api/poll", headers={**good, header: value})
            self.assertIn(answer.code, {"no_credential", "invalid_token", "invalid_cursor", "origin_not_allowed"}, (header, value))

    def test_clients_that_vanish_leave_nothing_behind(self) -> None:
        for _ in range(50):
            raw = Raw(self.server)
            raw.handshake(f"/ws?token={token(2)}")
            raw.reset()
            raw = Raw(self.server)
            raw.send(f"GET /api/events?token={token(3)} HTTP/1.1\r\nHost: x\r\n\r\n".encode())
            raw.head()
            raw.reset()
            raw = Raw(self.server)
            raw.send(f"GET /api/poll?since=0&wait=60&channels=user:4&token={token(4)} HTTP/1.1\r\nHost: x\r\n\r\n".encode())
            raw.reset()
        wait_until(lambda: open_connections(self.server) == 0, 10, "no connection")

    def test_ten_thousand_quick_connects_leave_the_server_as_it_was(self) -> None:
        def storm(part: int) -> None:
            shapes = [
                b"", b"GET /ws HT", b"GET /healthz HTTP/1.1\r\nHost: x\r\n\r\n",
                b"GET /ws?token=wrong HTTP/1.1\r\nHost: x\r\nUpgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Version: 13\r\n"
                b"Sec-WebSocket-Key: " + base64.b64encode(os.urandom(16)) + b"\r\n\r\n",
            ]
            for turn in range(1250):
                raw = Raw(self.server)
                if shape := shapes[(part + turn) % len(shapes)]:
                    raw.send(shape)
                    if turn % 3 and len(shape) > 20:
                        raw.socket.recv(4096)
                # Reset, so that ten thousand ports do not linger.
                raw.reset()

        with ThreadPoolExecutor(8) as pool:
            list(pool.map(storm, range(2)))
            before_kib, files = self.server.memory_kib(), self.open_files()
            list(pool.map(storm, range(8)))
        wait_until(lambda: self.open_files() <= files + 5, 15, "every socket closed")
        self.assertLess(self.server.memory_kib() - before_kib, 16 * 1024)
        self.assertEqual(open_connections(self.server), 0)

    def open_files(self) -> int:
        return len(os.listdir(f"/proc/{self.server.pid}/fd"))


class Slowness(BadInput):
    """Clients who take their time; each test waits for one of the server's limits of seconds."""

    def test_connections_that_say_nothing_are_cut_in_time(self) -> None:
        began = time.monotonic()
        silent = [Raw(self.server, seconds=20) for _ in range(200)]
        for place, raw in enumerate(silent):
            if place % 2:
                raw.send(b"GET /api/events HTTP/1.1\r\nHo")
        # Meanwhile others are served.
        self.assertEqual(call(self.server, "GET", "/healthz", timeout=2).status, 200)
        self.assertTrue(all(raw.is_ended() for raw in silent))
        self.assertLess(time.monotonic() - began, 15)
        for raw in silent:
            raw.socket.close()

    def test_a_request_that_comes_a_byte_a_second_is_cut_in_time(self) -> None:
        began = time.monotonic()
        handshake = f"GET /ws?token={token()} HTTP/1.1\r\nHost: x\r\nUpgrade: websocket\r\n".encode()
        with Raw(self.server, seconds=1) as raw:
            for byte in handshake:
                try:
                    raw.send(bytes([byte]))
                    if not raw.socket.recv(1000):
                        break
                except TimeoutError:
                    continue
                except OSError:
                    break
        self.assertTrue(5 < time.monotonic() - began < 15, time.monotonic() - began)


class SlowBody(BadInput):
    def test_a_body_that_never_comes_is_not_waited_for_forever(self) -> None:
        head = f"POST /api/events HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer {PUBLISHER}\r\nContent-Length: 1000\r\n\r\n"
        with Raw(self.server, seconds=40) as raw:
            raw.send(head.encode() + b"{")
            self.assertIn(b" 400 ", raw.head().splitlines()[0])


class ManyAtOnce(BadInput):
    changes = {"limits": {"connects_per_second": 5000}}

    def test_a_thousand_readers_get_an_announcement_each_while_bad_clients_rage(self) -> None:
        stop = threading.Event()

        def rage() -> None:
            while not stop.is_set():
                try:
                    with Raw(self.server) as raw:
                        raw.handshake(f"/ws?token={token(5)}")
                        raw.send(os.urandom(200))
                        raw.close_code()
                        raw.reset()
                except OSError:
                    pass

        readers = []
        for place in range(1000):
            raw = Raw(self.server, seconds=20)
            raw.send(f"GET /api/events?token={token(f'school-{place // 40}')} HTTP/1.1\r\nHost: x\r\n\r\n".encode())
            readers.append(raw)
        for raw in readers:
            raw.head()
        raging = [threading.Thread(target=rage) for _ in range(3)]
        for thread in raging:
            thread.start()
        people = {"people": [{"person_id": f"school-{n}", "name": "S", "role": "student"} for n in range(25)],
                  "registrations": [{"course_id": 7, "person_id": f"school-{n}"} for n in range(25)]}
        self.assertEqual(call(self.server, "POST", "/api/roster/import", people, bearer(PUBLISHER)).status, 200)
        (number,) = announce(self.server, "for a thousand")
        for raw in readers:
            while f"id: {number}\n".encode() not in raw.pending:
                self.assertTrue(raw.read_more())
            self.assertEqual(raw.pending.count(b"for a thousand"), 1)
        stop.set()
        for thread in raging:
            thread.join()
        for raw in readers:
            raw.reset()


if __name__ == "__main__":
    unittest.main()
