"""Local stand-ins for what a server reports to: an OpenTelemetry collector and Sentry, both over plain HTTP."""

import contextlib
import gzip
import http.server
import json
import struct
import threading

from server import free_port, wait_until

# A proxy of the environment must not come between a server and a stand-in of this machine.
WITHOUT_PROXIES = ("env", *(part for name in ("http_proxy", "https_proxy", "all_proxy") for word in (name, name.upper())
                            for part in ("-u", word)))


class Collector:
    """Keeps the bodies that are posted to it, by path."""

    def __init__(self) -> None:
        self.posts: list[tuple[str, bytes]] = []
        collector = self

        class Handler(http.server.BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                body = self.rfile.read(int(self.headers["content-length"])) if "content-length" in self.headers else self.chunks()
                body = gzip.decompress(body) if self.headers.get("content-encoding") == "gzip" else body
                collector.posts.append((self.path, body))
                self.send_response(200)
                self.send_header("Content-Length", "0")
                self.end_headers()

            def chunks(self) -> bytes:
                whole = b""
                while size := int(self.rfile.readline(), 16):
                    whole += self.rfile.read(size)
                    self.rfile.readline()
                self.rfile.readline()
                return whole

            def log_message(self, *_: object) -> None:
                """The tests' output is not an access log."""

        self.server = http.server.ThreadingHTTPServer(("127.0.0.1", free_port()), Handler)
        threading.Thread(target=self.server.serve_forever, daemon=True).start()
        self.address = f"127.0.0.1:{self.server.server_port}"

    def stop(self) -> None:
        self.server.shutdown()
        self.server.server_close()

    def spans(self) -> list[dict]:
        """The spans of every export so far."""
        return [span for path, body in self.posts if path == "/v1/traces" for span in spans_of(body)]

    def spans_named(self, name: str, count: int = 1) -> list[dict]:
        def found() -> list[dict]:
            spans = [span for span in self.spans() if span["name"] == name]
            return spans if len(spans) >= count else []

        return wait_until(found, 15, f"{count} spans {name}")

    def reports(self) -> list[dict]:
        """The events in every envelope so far."""
        found = []
        for _, body in list(self.posts):
            lines = body.split(b"\n")
            for line in lines[1:]:
                with contextlib.suppress(ValueError):
                    item = json.loads(line)
                    if isinstance(item, dict) and "event_id" in item:
                        found.append(item)
        return found

    def text(self) -> str:
        return "\n".join(path + "\n" + body.decode(errors="replace") for path, body in list(self.posts))


def fields(message: bytes) -> list[tuple[int, object]]:
    """The fields of a protobuf message: numbers, and bytes for whatever has a length."""
    found, place = [], 0

    def varint() -> int:
        nonlocal place
        value = shift = 0
        while True:
            byte = message[place]
            place += 1
            value |= (byte & 0x7F) << shift
            shift += 7
            if byte < 0x80:
                return value

    while place < len(message):
        key = varint()
        match key & 7:
            case 0:
                value = varint()
            case 1:
                value, place = struct.unpack_from("<Q", message, place)[0], place + 8
            case 2:
                length = varint()
                value, place = message[place:place + length], place + length
            case 5:
                value, place = struct.unpack_from("<I", message, place)[0], place + 4
            case kind:
                raise AssertionError(f"wire type {kind}")
        found.append((key >> 3, value))
    return found


def all_of(message: bytes, *path: int) -> list:
    """What stands at a path of field numbers."""
    found = [message]
    for number in path:
        found = [value for each in found for name, value in fields(each) if name == number]
    return found


def spans_of(export: bytes) -> list[dict]:
    spans = []
    for raw in all_of(export, 1, 2, 2):
        one = dict(fields(raw))
        attributes = {}
        for pair in all_of(raw, 9):
            (key,), (value,) = all_of(pair, 1), all_of(pair, 2)
            (kind, content), = fields(value)
            attributes[key.decode()] = content.decode() if kind == 1 else content
        spans.append({
            "trace": one[1].hex(), "id": one[2].hex(), "parent": one.get(4, b"").hex(), "name": one[5].decode(),
            "begun": one[7], "ended": one[8], "attributes": attributes,
            "links": [all_of(link, 2)[0].hex() for link in all_of(raw, 13)],
        })
    return spans


