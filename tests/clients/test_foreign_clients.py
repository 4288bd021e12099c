"""Clients that nobody here wrote: wscat, curl, Python's `websockets` and `http.client`, Node's own WebSocket and fetch."""

import json
import os
import pty
import queue
import shutil
import subprocess
import threading
import unittest
from pathlib import Path

from campus import PUBLISHER, announce, open_connections, school, token
from readers import Sse, Ws, ids, poll
from server import Server, wait_until


class Program:
    """A program whose lines are read as they come."""

    def __init__(self, *command: str) -> None:
        self.process = subprocess.Popen(
            command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, bufsize=1
        )
        self.lines: queue.Queue[str | None] = queue.Queue()
        threading.Thread(target=self._read, daemon=True).start()

    def _read(self) -> None:
        for line in self.process.stdout:
            self.lines.put(line.rstrip("\n"))
        self.lines.put(None)

    def line(self, holding: str, seconds: float = 15) -> str:
        """The next line that holds this text."""
        seen = []
        while True:
            try:
                line = self.lines.get(timeout=seconds)
            except queue.Empty:
                raise AssertionError(f"no line with {holding!r}; there were {seen}") from None
            if line is None:
                raise AssertionError(f"the program ended without {holding!r}; there were {seen}")
            if holding in line:
                return line
            seen.append(line)

    def type(self, line: str) -> None:
        self.process.stdin.write(line + "\n")
        self.process.stdin.flush()

    def __enter__(self) -> "Program":
        return self

    def __exit__(self, *_: object) -> None:
        self.process.kill()
        self.process.wait()
        self.process.stdin.close()


def node_command() -> list[str]:
    """Node with a WebSocket: 20 has it behind a flag, later ones have none of the flag."""
    node = shutil.which("node")
    known = subprocess.run([node, "--experimental-websocket", "-e", "0"], capture_output=True, check=False).returncode == 0
    return [node, "--no-warnings", *(["--experimental-websocket"] if known else [])]


class ForeignClients(unittest.TestCase):
    @classmethod
    def setUpClass(cls) -> None:
        cls.server = school()
        cls.addClassCleanup(cls.server.stop)

    def connections(self, count: int) -> None:
        """Waits until so many connections are open."""
        wait_until(lambda: open_connections(self.server) >= count, what=f"{count} connections")

    def test_wscat_gets_live_events_and_answers_to_what_is_typed(self) -> None:
        wscat = shutil.which("wscat")
        self.assertIsNotNone(wscat, "scripts/install-test-needs installs wscat")
        with Program(wscat, "--connect", f"ws://{self.server.address}/ws?token={token()}", "--no-color") as program:
            hello = frame_in(program.line("connection_established"))
            self.assertEqual(hello["user_id"], 1)
            (number,) = announce(self.server, "for wscat")
            event = frame_in(program.line("for wscat"))
            self.assertEqual(event["id"], number)
            program.type(json.dumps({"type": "ping", "timestamp": 42}))
            self.assertEqual(frame_in(program.line("pong")), {"type": "pong", "timestamp": 42})
            program.type(json.dumps({"type": "replay_request", "last_event_id": number - 1}))
            self.assertEqual(frame_in(program.line("for wscat")), event)
            self.assertEqual(frame_in(program.line("replay_complete"))["count"], 1)

    def test_wscat_sees_the_close_code_of_a_wrong_token(self) -> None:
        wscat = shutil.which("wscat")
        # To a pipe it prints messages alone.
        screen, keyboard = pty.openpty()
        command = [wscat, "--connect", f"ws://{self.server.address}/ws?token=wrong", "--no-color"]
        process = subprocess.Popen(command, stdin=keyboard, stdout=keyboard, stderr=keyboard)
        os.close(keyboard)
        self.addCleanup(process.wait)
        self.addCleanup(os.close, screen)
        self.assertEqual(process.wait(timeout=20), 0)
        self.assertIn('Disconnected (code: 4001, reason: "invalid_token")', os.read(screen, 65536).decode())

    def test_wscat_offers_the_subprotocol_bearer(self) -> None:
        arguments = ["--subprotocol", "bearer", "--subprotocol", token(), "--no-color"]
        with Program(shutil.which("wscat"), "--connect", f"ws://{self.server.address}/ws", *arguments) as program:
            program.line("connection_established")

    def test_curl_n_prints_events_as_they_come(self) -> None:
        before = open_connections(self.server)
        with Program("curl", "-sN", "-H", f"Authorization: Bearer {token(2)}", self.server.url("/api/events")) as program:
            program.line("id: ")
            self.connections(before + 1)
            (number,) = announce(self.server, "for curl")
            self.assertEqual(program.line("id: "), f"id: {number}")
            event = json.loads(program.line("for curl").removeprefix("data: "))
            self.assertEqual((event["id"], event["type"], event["channel"]), (number, "announcement", "course:7"))

    def test_curl_n_resumes_with_last_event_id(self) -> None:
        first, second = announce(self.server, "before", "after")
        headers = ["-H", f"Authorization: Bearer {token(2)}", "-H", f"Last-Event-ID: {first}"]
        with Program("curl", "-sN", *headers, self.server.url("/api/events")) as program:
            event = json.loads(program.line("data: ").removeprefix("data: "))
            self.assertEqual((event["id"], event["data"]["title"]), (second, "after"))

    def test_curl_polls_from_a_cursor_and_waits_for_what_comes(self) -> None:
        curl = ["curl", "-s", "-H", f"Authorization: Bearer {token(3)}"]
        head = json.loads(subprocess.check_output([*curl, self.server.url("/api/poll")], timeout=10))
        self.assertEqual(head["events"], [])
        before = open_connections(self.server)
        waiting = subprocess.Popen(
            [*curl, self.server.url(f"/api/poll?since={head['cursor']}&wait=20")], stdout=subprocess.PIPE, text=True
        )
        self.connections(before + 1)
        (number,) = announce(self.server, "for the poll")
        page = json.loads(waiting.communicate(timeout=10)[0])
        self.assertEqual(ids(page["events"]), [number])
        self.assertEqual((page["cursor"], page["gap"], page["more"]), (number, None, False))

    def test_curl_publishes_what_the_readme_says(self) -> None:
        body = json.dumps({"type": "announcement", "channel": "course:7", "data": {"title": "Hello", "body": "The bell rings"}})
        with Ws(self.server, token()) as reader:
            reader.until("connection_established")
            command = ["curl", "-s", "-X", "POST", self.server.url("/api/events"), "-d", body]
            receipt = json.loads(subprocess.check_output([*command, "-H", f"Authorization: Bearer {PUBLISHER}"], timeout=10))
            event = reader.until("announcement")
            self.assertEqual(receipt, {name: event[name] for name in ("id", "channel", "seq", "timestamp")})

    def test_websockets_and_http_client_get_the_same_events_in_the_same_order(self) -> None:
        with Ws(self.server, bearer_token=token(4)) as ws, Sse(self.server, token(4)) as sse:
            ws.until("connection_established")
            sse.block()
            numbers = [number for turn in range(5) for number in announce(self.server, f"a{turn}", f"b{turn}")]
            by_ws, by_sse = ws.events(10), sse.events(10)
            self.assertEqual(ids(by_ws), numbers)
            self.assertEqual(by_ws, by_sse)
            self.assertEqual(by_ws, poll(self.server, token(4), since=numbers[0] - 1).json["events"])
            self.assertEqual(sse.last_event_id, str(numbers[-1]))

    def test_node_s_own_websocket_and_fetch_get_live_events(self) -> None:
        script = str(Path(__file__).parent / "node_reader.mjs")
        with Program(*node_command(), script, f"http://{self.server.address}", token(5)) as program:
            program.line("ready")
            (number,) = announce(self.server, "for node")
            said = {line["by"]: line for line in (json.loads(program.line('"by"')) for _ in range(3))}
            self.assertEqual(set(said), {"websocket", "sse", "poll"})
            for line in said.values():
                self.assertEqual((line["id"], line["title"]), (number, "for node"))
            self.assertEqual(json.loads(program.line("closed")), {"closed": 4001, "reason": "invalid_token"})

    def test_the_lines_that_dev_prints_work_as_pasted(self) -> None:
        with Server() as server:
            text = server.log_text()
            wscat, stream, once, publish = (
                next(line.strip() for line in text.splitlines() if line.strip().startswith(start))
                for start in ("wscat", "curl -N", "curl -H", "curl -X")
            )
            publish = publish.removesuffix("\\") + " " + text.split(publish)[1].split("\n")[1].strip()
            with Program("bash", "-c", f"exec {wscat} --no-color") as ws, Program("bash", "-c", f"exec {stream}") as sse:
                ws.line("connection_established")
                sse.line("id: ")
                receipt = json.loads(subprocess.check_output(["bash", "-c", publish], stderr=subprocess.DEVNULL, timeout=10))
                self.assertEqual(frame_in(ws.line("The bell rings"))["id"], receipt["id"])
                sse.line("The bell rings")
            page = json.loads(subprocess.check_output(["bash", "-c", once], stderr=subprocess.DEVNULL, timeout=30))
            self.assertEqual([event["id"] for event in page["events"] if event["type"] == "announcement"], [receipt["id"]])


def frame_in(line: str) -> dict:
    """wscat puts a sign before what it has received."""
    return json.loads(line[line.index("{"):])


if __name__ == "__main__":
    unittest.main()
