"""TLS served directly: every transport over it, slow and wrong clients, and a certificate that changes under way."""

import base64
import contextlib
import os
import resource
import select
import signal
import socket
import ssl
import struct
import time
import unittest

from bytes_on_the_wire import CLOSE
from campus import announce, call, configuration, flood, found_school, metric, note, open_connections, publish, token
from certificates import Authority
from cryptography import x509
from readers import Sse, Ws, ids, poll, poll_from
from server import Server, stands_still, wait_until

SECONDS_EXPECTED = 30


def tls_school(authority: Authority, is_rsa: bool = False, **changes: dict | list) -> Server:
    config = configuration(tls={"certificate_file": "chain.pem", "key_file": "key.pem"}, **changes)
    server = Server(config=config, trust=authority.trust())
    authority.issue(server.path, is_rsa)
    return found_school(server.start())


def connected(server: Server, receive_bytes: int | None = None, context: ssl.SSLContext | None = None) -> ssl.SSLSocket:
    plain = socket.socket()
    if receive_bytes is not None:
        plain.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, receive_bytes)
    plain.settimeout(20)
    plain.connect(("127.0.0.1", server.port))
    # A cut without a close_notify must show as an error.
    return (context or server.trust).wrap_socket(plain, server_hostname="127.0.0.1", suppress_ragged_eofs=False)


def upgrade(server: Server, path: str) -> bytes:
    key = base64.b64encode(os.urandom(16)).decode()
    return (f"GET {path} HTTP/1.1\r\nHost: {server.address}\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
            f"Sec-WebSocket-Key: {key}\r\nSec-WebSocket-Version: 13\r\n\r\n").encode()


def unsent_bytes(server: Server, client: ssl.SSLSocket) -> int:
    """What the kernel has taken from the server for this client, and the client has not."""
    ends = f":{server.port:04X}", f":{client.getsockname()[1]:04X}"
    with open("/proc/net/tcp") as table:
        rows = (line.split() for line in table)
        return next(int(row[4].partition(":")[0], 16) for row in rows if row[1].endswith(ends[0]) and row[2].endswith(ends[1]))


def serial_number(server: Server) -> int:
    with connected(server) as client:
        return x509.load_der_x509_certificate(client.getpeercert(binary_form=True)).serial_number


class Served(unittest.TestCase):
    @classmethod
    def setUpClass(cls) -> None:
        cls.authority = Authority()
        cls.server = tls_school(cls.authority, limits={"tail_bytes": 4 * 1024 * 1024})
        cls.addClassCleanup(cls.server.stop)

    def test_every_transport_speaks_over_tls(self) -> None:
        with Ws(self.server, token(1)) as ws, Sse(self.server, token(2)) as sse:
            ws.until("connection_established"), sse.block()
            (number,) = announce(self.server, "over TLS")
            self.assertEqual([ws.events(1)[0]["id"], sse.events(1)[0]["id"]], [number, number])
            self.assertEqual(poll(self.server, token(3), since=number - 1).json["events"][0]["id"], number)
            self.assertEqual(ws.ask("ping", "pong", timestamp="x" * 60_000)["timestamp"], "x" * 60_000)
        self.assertEqual(call(self.server, "GET", "/healthz").headers["strict-transport-security"], "max-age=31536000")

    def test_megabytes_come_whole_live_and_from_history(self) -> None:
        since = announce(self.server, "before")[0]
        with Ws(self.server, token(1)) as ws:
            ws.until("connection_established")
            numbers = flood(self.server, 2)
            self.assertEqual(ids(ws.events(len(numbers))), numbers)
        with Ws(self.server, token(1), since=since) as ws, Sse(self.server, token(2), since=since) as sse:
            self.assertEqual(ids(ws.events(len(numbers))), numbers)
            self.assertEqual(ids(sse.events(len(numbers))), numbers)
        self.assertEqual(ids(poll_from(self.server, token(3), since)[0]), numbers)

    def test_a_client_that_stops_reading_for_a_while_loses_nothing(self) -> None:
        with connected(self.server, receive_bytes=4096) as client:
            client.sendall(upgrade(self.server, f"/ws?token={token(4)}"))
            before = metric(self.server, "events_delivered_total")
            numbers = flood(self.server, 6)
            stands_still(lambda: metric(self.server, "events_delivered_total") - before)
            heard = bytearray()
            last = f'"id":{numbers[-1]},'.encode()
            while last not in heard[-20_000:]:
                heard += client.recv(65536)
            places = [heard.find(f'"id":{number},'.encode()) for number in numbers]
            self.assertTrue(all(place > 0 for place in places) and places == sorted(places))

    def test_what_a_full_socket_left_inside_of_tls_follows_when_the_client_reads_on(self) -> None:
        with connected(self.server, receive_bytes=4096) as client:
            client.sendall(upgrade(self.server, f"/ws?token={token(6)}"))
            wait_until(lambda: open_connections(self.server) == 1, what="the connection")
            # More than the client's own buffers hold.
            for _ in range(4):
                number = publish(self.server, note("x" * 50_000)).json["id"]
            stands_still(lambda: unsent_bytes(self.server, client))
            is_whole = True
            while is_whole:
                whole = unsent_bytes(self.server, client) + 50_000
                number = publish(self.server, note("x" * 50_000)).json["id"]
                try:
                    wait_until(lambda: unsent_bytes(self.server, client) >= whole, 0.5)
                except AssertionError:
                    is_whole = False
            # The kernel took a part of the last event; the rest is sealed, and nothing else comes that would push it out.
            heard = bytearray()
            while b'"timestamp"' not in heard.partition(f'"id":{number},'.encode())[2]:
                heard += client.recv(1 << 20)

    def test_both_versions_are_spoken_and_older_ones_are_not(self) -> None:
        for version, spoken in ((ssl.TLSVersion.TLSv1_3, "TLSv1.3"), (ssl.TLSVersion.TLSv1_2, "TLSv1.2")):
            context = self.authority.trust()
            context.minimum_version = context.maximum_version = version
            context.set_alpn_protocols(["h2", "http/1.1"])
            with connected(self.server, context=context) as client:
                self.assertEqual((client.version(), client.selected_alpn_protocol()), (spoken, "http/1.1"))
                client.sendall(upgrade(self.server, f"/ws?token={token()}"))
                self.assertIn(b" 101 ", client.recv(1000))
        old = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
        old.check_hostname, old.verify_mode = False, ssl.CERT_NONE
        old.set_ciphers("ALL:@SECLEVEL=0")
        old.minimum_version, old.maximum_version = ssl.TLSVersion.TLSv1, ssl.TLSVersion.TLSv1_1
        with self.assertRaises((ssl.SSLError, ConnectionError)):
            connected(self.server, context=old)

    def test_sessions_are_resumed(self) -> None:
        context = self.authority.trust()
        context.maximum_version = ssl.TLSVersion.TLSv1_2
        with connected(self.server, context=context) as first:
            session = first.session
        plain = socket.create_connection(("127.0.0.1", self.server.port), timeout=10)
        with context.wrap_socket(plain, server_hostname="127.0.0.1", session=session) as again:
            self.assertTrue(again.session_reused)

    def test_the_goodbye_is_a_close_frame_and_then_tls_s_own(self) -> None:
        with connected(self.server) as client:
            client.sendall(upgrade(self.server, "/ws?token=wrong"))
            heard = b""
            # An end without close_notify would raise here.
            while data := client.recv(65536):
                heard += data
                if heard.endswith(b"invalid_token"):
                    client.sendall(bytes([0x80 | CLOSE, 0x82, 0, 0, 0, 0]) + struct.pack("!H", 4001))
        self.assertIn(struct.pack("!H", 4001) + b"invalid_token", heard)

    def test_plain_http_on_the_tls_port_is_closed_cleanly(self) -> None:
        with socket.create_connection(("127.0.0.1", self.server.port), timeout=10) as plain:
            plain.sendall(b"GET /healthz HTTP/1.1\r\nHost: x\r\n\r\n")
            heard = b""
            while data := plain.recv(1000):
                heard += data
        self.assertLess(len(heard), 10, heard)
        self.assertNotIn(b"ok", heard)

    def test_garbage_and_half_records_end_and_the_server_lives(self) -> None:
        for place in range(60):
            with connected(self.server) as client, contextlib.suppress(OSError):
                if place % 2:
                    client.sendall(upgrade(self.server, f"/ws?token={token()}"))
                # Below TLS: bytes that no key has sealed.
                os.write(client.fileno(), os.urandom(200))
                while client.recv(65536):
                    pass
        wait_until(lambda: open_connections(self.server) == 0, what="every connection ended")
        self.assertNotIn("panicked", self.server.log_text())


class Slow(unittest.TestCase):
    def test_a_handshake_that_does_not_end_is_cut_while_others_are_served(self) -> None:
        server = tls_school(Authority())
        self.addCleanup(server.stop)
        began = time.monotonic()
        silent = [socket.create_connection(("127.0.0.1", server.port), timeout=20) for _ in range(100)]
        for place, client in enumerate(silent):
            if place % 2:
                client.sendall(bytes.fromhex("16030100c8010000c40303"))
        self.assertEqual(call(server, "GET", "/healthz", timeout=2).status, 200)
        for client in silent:
            with contextlib.suppress(ConnectionResetError):
                while client.recv(1000):
                    pass
            client.close()
        self.assertTrue(8 < time.monotonic() - began < 14, time.monotonic() - began)

    def test_beyond_4096_handshakes_at_once_whoever_comes_is_cut_and_later_served(self) -> None:
        soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
        resource.setrlimit(resource.RLIMIT_NOFILE, (min(hard, 20_000), hard))
        self.addCleanup(resource.setrlimit, resource.RLIMIT_NOFILE, (soft, hard))
        server = tls_school(Authority())
        self.addCleanup(server.stop)
        silent = [socket.create_connection(("127.0.0.1", server.port), timeout=20) for _ in range(4096 + 30)]
        ended = select.poll()
        for client in silent:
            ended.register(client, select.POLLIN | select.POLLHUP)
        # Well within the 10 s that a handshake may take.
        wait_until(lambda: len(ended.poll(0)) >= 30, 5, "the cut of 30")
        self.assertEqual(len(ended.poll(0)), 30)
        for client in silent:
            client.close()
        wait_until(lambda: self.answers(server), 10, "an answer")

    def answers(self, server: Server) -> bool:
        with contextlib.suppress(OSError):
            return call(server, "GET", "/healthz", timeout=2).status == 200
        return False

    def test_a_peer_that_takes_no_byte_is_cut_on_every_transport(self) -> None:
        server = tls_school(Authority(), limits={"stalled_ms": 1500})
        self.addCleanup(server.stop)
        flood(server, 12)
        for path in ("/ws?since=0&", "/api/events?since=0&"):
            with connected(server, receive_bytes=4096) as client:
                client.sendall(upgrade(server, f"{path}token={token(5)}"))
                client.recv(1)
                began = time.monotonic()
                wait_until(lambda: open_connections(server) == 0, 20, f"the end of {path}")
                self.assertLess(time.monotonic() - began, 15)


class Certificates(unittest.TestCase):
    def test_a_new_certificate_is_taken_over_and_no_connection_drops(self) -> None:
        authority = Authority()
        server = tls_school(authority, is_rsa=True)
        self.addCleanup(server.stop)
        first = serial_number(server)
        with Ws(server, token(1)) as ws:
            ws.until("connection_established")
            # Half of a pair: it does not fit, and what was there stays.
            key = (server.path / "key.pem").read_bytes()
            authority.issue(server.path)
            (server.path / "key.pem").write_bytes(key)
            server.process.send_signal(signal.SIGHUP)
            wait_until(lambda: "the old one stays" in server.log_text(), what="the warning")
            self.assertEqual(serial_number(server), first)
            (server.path / "chain.pem").write_text("no certificate")
            server.process.send_signal(signal.SIGHUP)
            wait_until(lambda: server.log_text().count("the old one stays") >= 2, what="the second warning")
            self.assertEqual(serial_number(server), first)
            second = authority.issue(server.path)
            wait_until(lambda: serial_number(server) == second, 15, "the new certificate without being told")
            self.assertIsNone(server.process.poll())
            (number,) = announce(server, "still connected")
            self.assertEqual(ws.events(1)[0]["id"], number)
        self.assertNotIn("PRIVATE KEY", server.log_text())

    def test_a_start_with_files_that_do_not_fit_says_which(self) -> None:
        for write, sentence in (
            (lambda folder: None, "tls.certificate_file"),
            (lambda folder: (Authority().issue(folder), (folder / "key.pem").unlink()), "tls.key_file"),
            (lambda folder: (Authority().issue(folder), (folder / "key.pem").write_text("x")), "tls.key_file"),
            (lambda folder: (Authority().issue(folder), (folder / "chain.pem").write_text("")), "chain.pem"),
        ):
            server = Server(config=configuration(tls={"certificate_file": "chain.pem", "key_file": "key.pem"}))
            write(server.path)
            with self.assertRaises(RuntimeError) as raised:
                server.start()
            self.assertIn(sentence, str(raised.exception))


if __name__ == "__main__":
    unittest.main()
