"""Readers of the three transports, made of libraries that nobody here wrote."""

import contextlib
import json
import time
from collections.abc import Callable, Iterator
from urllib.parse import urlencode

from campus import Answer, bearer, call, http_connection
from server import Server
from websockets.exceptions import ConnectionClosed
from websockets.sync.client import ClientConnection, connect

WAIT_S = 10


def is_event(frame: dict) -> bool:
    """Whether a frame is an event of the log."""
    return "id" in frame and "channel" in frame and "seq" in frame


def ids(frames: list[dict]) -> list[int]:
    return [frame["id"] for frame in frames if is_event(frame)]


class Ws:
    """A WebSocket by the Python library `websockets`."""

    def __init__(
        self, server: Server, token: str | None = None, *, bearer_token: str | None = None, path: str = "/ws",
        headers: dict | None = None, protocols: list[str] | None = None, origin: str | None = None, **query: object,
    ) -> None:
        query = {**({"token": token} if token else {}), **query}
        given = {**(headers or {}), **({"Authorization": f"Bearer {bearer_token}"} if bearer_token else {})}
        self.socket: ClientConnection = connect(
            f"{'wss' if server.trust else 'ws'}://{server.address}{path}" + (f"?{urlencode(query)}" if query else ""),
            additional_headers=given, ssl=server.trust, subprotocols=protocols, origin=origin, compression=None, ping_interval=None, max_size=None, open_timeout=WAIT_S,
            close_timeout=2, proxy=None,
        )
        self.seen: list[dict] = []

    def frame(self, seconds: float = WAIT_S) -> dict:
        frame = json.loads(self.socket.recv(timeout=seconds))
        self.seen.append(frame)
        return frame

    def until(self, wanted: str | Callable[[dict], bool], seconds: float = WAIT_S) -> dict:
        """The next frame of this type; what comes before it is kept in `seen`."""
        fits = wanted if callable(wanted) else lambda frame: frame["type"] == wanted
        deadline = time.monotonic() + seconds
        while not fits(frame := self.frame(max(0.01, deadline - time.monotonic()))):
            pass
        return frame

    def events(self, count: int, seconds: float = WAIT_S) -> list[dict]:
        return [self.until(is_event, seconds) for _ in range(count)]

    def say(self, type_: str, **fields: object) -> None:
        self.send({"type": type_, **fields})

    def send(self, frame: object) -> None:
        self.socket.send(frame if isinstance(frame, (str, bytes)) else json.dumps(frame))

    def ask(self, type_: str, answer: str | Callable[[dict], bool], **fields: object) -> dict:
        self.say(type_, **fields)
        return self.until(answer)

    def settle(self) -> list[dict]:
        """Everything that stands before the answer to a ping: what was due by now has come by then."""
        mark = f"settled-{time.monotonic_ns()}"
        self.say("ping", timestamp=mark)
        begin = len(self.seen)
        self.until(lambda frame: frame["type"] == "pong" and frame["timestamp"] == mark)
        return self.seen[begin:-1]

    def closed(self, seconds: float = WAIT_S) -> tuple[int, str]:
        """Reads until the server closes; its code and reason. Frames before it are in `seen`."""
        deadline = time.monotonic() + seconds
        try:
            while True:
                self.frame(max(0.01, deadline - time.monotonic()))
        except ConnectionClosed as closed:
            assert closed.rcvd is not None, f"the connection broke off without a Close frame: {closed!r}"
            return closed.rcvd.code, closed.rcvd.reason

    def leave(self) -> None:
        self.socket.close()

    def __enter__(self) -> "Ws":
        return self

    def __exit__(self, *_: object) -> None:
        with contextlib.suppress(Exception):
            self.socket.close()


class Sse:
    """An event stream by Python's `http.client`, parsed as WHATWG HTML 9.2.6 says."""

    def __init__(
        self, server: Server, token: str | None = None, *, last_event_id: int | str | None = None, headers: dict | None = None,
        seconds: float = WAIT_S, **query: object,
    ) -> None:
        headers = {**(headers or {}), **({"Authorization": f"Bearer {token}"} if token else {})}
        if last_event_id is not None:
            headers["Last-Event-ID"] = str(last_event_id)
        self.connection = http_connection(server, seconds)
        self.connection.request("GET", "/api/events" + (f"?{urlencode(query)}" if query else ""), headers=headers)
        self.answer = self.connection.getresponse()
        self.status = self.answer.status
        self.retry_ms: int | None = None
        self.last_event_id = ""
        self.ended = False
        self.seen: list[dict] = []

    def block(self) -> dict | None:
        """The next block's fields, or none at the end of the stream."""
        fields: dict = {}
        while True:
            line = self.answer.readline().decode()
            if not line:
                self.ended = True
                return fields or None
            line = line.rstrip("\n")
            if not line:
                if fields:
                    return fields
                continue
            name, _, value = line.partition(":")
            fields[name] = value.removeprefix(" ")
            if name == "retry":
                self.retry_ms = int(fields[name])
            if name == "id":
                self.last_event_id = fields[name]

    def message(self) -> dict | None:
        """The next block with data: its `data` as JSON, its event name beside it under `event`."""
        while (block := self.block()) is not None:
            if "data" in block:
                frame = json.loads(block["data"])
                if "event" in block:
                    frame = {**frame, "event": block["event"]}
                self.seen.append(frame)
                return frame
        return None

    def messages(self) -> Iterator[dict]:
        """All of them until the stream ends."""
        while (message := self.message()) is not None:
            yield message

    def until(self, fits: Callable[[dict], bool]) -> dict:
        while not fits(message := self.message() or self._ended()):
            pass
        return message

    def _ended(self) -> dict:
        raise AssertionError(f"the stream ended; it had said {self.seen}")

    def events(self, count: int) -> list[dict]:
        return [self.until(is_event) for _ in range(count)]

    def problem(self) -> Answer:
        return Answer(self.status, self.answer.headers, self.answer.read())

    def leave(self) -> None:
        self.connection.close()
        self.answer.close()

    def __enter__(self) -> "Sse":
        return self

    def __exit__(self, *_: object) -> None:
        self.leave()


def poll(server: Server, token: str, timeout: float = 70, **query: object) -> Answer:
    return call(server, "GET", "/api/poll" + (f"?{urlencode(query)}" if query else ""), headers=bearer(token), timeout=timeout)


def poll_from(server: Server, token: str, since: int, pages: int = 50) -> tuple[list[dict], int]:
    """Polls until nothing more is there; the events and the cursor."""
    events: list[dict] = []
    for _ in range(pages):
        page = poll(server, token, since=since, wait=0).json
        events += page["events"]
        since = page["cursor"]
        if not page["more"]:
            return events, since
    raise AssertionError(f"{pages} pages, and still more")
