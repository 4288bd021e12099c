"""A browser's own EventSource and WebSocket, on pages of an allowed and of a foreign origin."""

import http.server
import json
import shutil
import signal
import subprocess
import threading
import unittest
from pathlib import Path

from campus import announce, bearer, configuration, found_school, token
from readers import Ws
from server import Server, free_port, wait_until

SECONDS_EXPECTED = 40

# What a page of a host platform would do: keep what comes, with the ids, and what happens to the connection.
PAGE = b"""<!doctype html><title>Campus</title><script>
window.listen = (url) => {
  const kept = { events: [], frames: [], named: [], opened: 0, errors: 0 };
  kept.source = new EventSource(url);
  kept.source.onopen = () => { kept.opened += 1; };
  kept.source.onerror = () => { kept.errors += 1; };
  kept.source.onmessage = (message) => {
    const frame = JSON.parse(message.data);
    if ("seq" in frame) kept.events.push([Number(message.lastEventId), frame.id, frame.data.title]);
    else kept.frames.push(frame);
  };
  for (const name of ["draining", "expired"])
    kept.source.addEventListener(name, (message) => kept.named.push([name, JSON.parse(message.data)]));
  window.kept = kept;
};
window.talk = (url, protocols) => {
  const kept = { frames: [], closed: null };
  kept.socket = new WebSocket(url, protocols ?? []);
  kept.socket.onmessage = (message) => kept.frames.push(JSON.parse(message.data));
  kept.socket.onclose = (close) => { kept.closed = [close.code, close.reason, close.wasClean]; };
  window.kept = kept;
};
</script>"""


class PageHandler(http.server.BaseHTTPRequestHandler):
    def do_GET(self) -> None:
        self.send_response(200)
        self.send_header("Content-Type", "text/html; charset=utf-8")
        self.send_header("Content-Length", str(len(PAGE)))
        self.end_headers()
        self.wfile.write(PAGE)

    def log_message(self, *_: object) -> None:
        """The tests' output is not an access log."""


class Pages:
    """A host platform's web server on a port of its own: an origin."""

    def __init__(self) -> None:
        self.server = http.server.ThreadingHTTPServer(("127.0.0.1", free_port()), PageHandler)
        threading.Thread(target=self.server.serve_forever, daemon=True).start()
        self.origin = f"http://127.0.0.1:{self.server.server_port}"

    def stop(self) -> None:
        self.server.shutdown()
        self.server.server_close()


class Browser:
    def __init__(self) -> None:
        modules = Path(__file__).parents[2] / ".campanile/node/node_modules"
        command = ["node", str(Path(__file__).parent / "browser.mjs"), str(modules), shutil.which("chromium")]
        self.process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        self._read()

    def _read(self) -> object:
        line = self.process.stdout.readline()
        assert line, "the browser ended"
        said = json.loads(line)
        assert "error" not in said, said["error"]
        return said["value"]

    def ask(self, **question: object) -> object:
        self.process.stdin.write(json.dumps(question) + "\n")
        self.process.stdin.flush()
        return self._read()

    def page(self, url: str) -> "Page":
        return Page(self, self.ask(open=url))

    def stop(self) -> None:
        self.process.stdin.close()
        try:
            self.process.wait(timeout=10)
        except subprocess.TimeoutExpired:
            self.process.send_signal(signal.SIGKILL)
            self.process.wait()
        self.process.stdout.close()


class Page:
    def __init__(self, browser: Browser, number: int) -> None:
        self.browser = browser
        self.number = number

    def run(self, expression: str) -> object:
        return self.browser.ask(page=self.number, run=expression)

    def listen(self, server: Server, token_: str) -> None:
        self.run(f"listen({json.dumps(server.url('/api/events?token=' + token_))})")

    def talk(self, server: Server, query: str = "", protocols: list[str] | None = None) -> None:
        self.run(f"talk({json.dumps(f'ws://{server.address}/ws{query}')}, {json.dumps(protocols)})")

    def until(self, expression: str, seconds: float = 20) -> object:
        return wait_until(lambda: self.run(expression), seconds, expression)

    def events(self, count: int) -> list:
        return self.until(f"kept.events.length >= {count} && kept.events")


class ABrowser(unittest.TestCase):
    @classmethod
    def setUpClass(cls) -> None:
        assert shutil.which("chromium"), "scripts/install-test-needs installs chromium"
        cls.campus, cls.stranger = Pages(), Pages()
        cls.addClassCleanup(cls.campus.stop)
        cls.addClassCleanup(cls.stranger.stop)
        cls.browser = Browser()
        cls.addClassCleanup(cls.browser.stop)

    def setUp(self) -> None:
        # Each test kills, drains or fills its server.
        self.server = self.start()

    def start(self, **changes: dict | list) -> Server:
        changes.setdefault("limits", {"reconnect_spread_ms": 300})
        server = Server(config=configuration(allowed_origins=[self.campus.origin], **changes))
        self.addCleanup(server.stop)
        return found_school(server.start())

    def page(self) -> Page:
        return self.browser.page(self.campus.origin)

    def test_an_event_source_gets_live_events_with_their_ids(self) -> None:
        page = self.page()
        page.listen(self.server, token())
        page.until("kept.opened === 1")
        numbers = announce(self.server, "one", "two", "three")
        self.assertEqual(page.events(3), [[number, number, title] for number, title in zip(numbers, ["one", "two", "three"])])

    def test_an_event_source_comes_back_by_itself_after_a_kill_with_nothing_lost_and_nothing_twice(self) -> None:
        page = self.page()
        page.listen(self.server, token())
        page.until("kept.opened === 1")
        numbers = announce(self.server, "a", "b", "c")
        page.events(3)
        for turn in range(2):
            self.server.kill()
            self.server.start()
            # Published before the browser is back: only its Last-Event-ID can bring them.
            numbers += announce(self.server, f"while away {turn}", f"still away {turn}")
            page.until(f"kept.opened === {turn + 2}")
            numbers += announce(self.server, f"back {turn}")
            seen = page.events(len(numbers))
            self.assertEqual([event[1] for event in seen], numbers)
        self.assertEqual(page.run("kept.frames.filter((frame) => frame.type === 'gap')"), [])

    def test_an_event_source_is_told_of_a_drain_and_comes_back_to_the_next_server(self) -> None:
        page = self.page()
        page.listen(self.server, token())
        page.until("kept.opened === 1")
        numbers = announce(self.server, "before")
        page.events(1)
        self.assertEqual(self.server.end(), 0)
        ((name, data),) = page.until("kept.named.length && kept.named")
        self.assertEqual((name, data["code"]), ("draining", "server_draining"))
        self.assertLess(data["retry_after_ms"], 1000)
        self.server.start()
        numbers += announce(self.server, "after")
        self.assertEqual([event[1] for event in page.events(2)], numbers)

    def test_an_event_source_refused_for_load_keeps_trying_until_it_is_let_in(self) -> None:
        server = self.start(limits={"connections_per_user": 1, "reconnect_spread_ms": 200})
        page = self.page()
        with Ws(server, token()) as holder:
            holder.until("connection_established")
            page.listen(server, token())
            # Each refusal is a stream of 200 that ends: opened, error, opened …
            page.until("kept.errors >= 2")
            self.assertNotEqual(page.run("kept.source.readyState"), 2, "it must not have given up")
        before = page.run("kept.opened")
        page.until(f"kept.opened > {before} && kept.source.readyState === 1")
        numbers = []
        wait_until(lambda: (numbers.extend(announce(server, "let in")), page.run("kept.events.length"))[1], what="an event")
        # Whatever came after it was in: in order, none twice.
        wait_until(lambda: page.run("kept.events.at(-1)[1]") == numbers[-1], what="the last event")
        seen = [event[1] for event in page.run("kept.events")]
        self.assertEqual(seen, numbers[-len(seen):])

    def test_an_event_source_gets_a_named_event_when_its_token_ends(self) -> None:
        page = self.page()
        page.listen(self.server, token(seconds=2))
        self.assertEqual(page.until("kept.named.length && kept.named"), [["expired", {"code": "expired_token"}]])
        # Coming back with the same token is a 401, after which an EventSource rests.
        page.until("kept.source.readyState === 2")

    def test_a_browser_websocket_gets_live_events_and_answers(self) -> None:
        page = self.page()
        page.talk(self.server, protocols=["bearer", token(2)])
        page.until("kept.frames.length")
        self.assertEqual(page.run("kept.socket.protocol"), "bearer")
        numbers = announce(self.server, "by subprotocol")
        self.assertEqual(page.until("kept.frames.filter((frame) => frame.seq).map((frame) => frame.id)"), numbers)
        page.run("kept.socket.send(JSON.stringify({type: 'ping', timestamp: 7}))")
        page.until("kept.frames.some((frame) => frame.type === 'pong' && frame.timestamp === 7)")

    def test_a_browser_websocket_sees_why_it_is_refused(self) -> None:
        given = {
            "invalid_token": ("?token=wrong", None),
            "expired_token": (f"?token={token(seconds=-60)}", None),
            "credential_conflict": (f"?token={token(1)}", ["bearer", token(2)]),
        }
        for reason, (query, protocols) in given.items():
            with self.subTest(reason):
                page = self.page()
                page.talk(self.server, query, protocols)
                self.assertEqual(page.until("kept.closed"), [4001, reason, True])
                self.assertEqual(page.run("kept.frames"), [])

    def test_a_browser_websocket_is_closed_when_its_token_ends(self) -> None:
        page = self.page()
        page.talk(self.server, f"?token={token(seconds=2)}")
        page.until("kept.frames.length")
        self.assertEqual(page.until("kept.closed"), [4001, "expired_token", True])

    def test_a_browser_websocket_is_told_when_to_come_back_from_a_drain(self) -> None:
        page = self.page()
        page.talk(self.server, f"?token={token()}")
        page.until("kept.frames.length")
        self.server.end()
        self.assertEqual(page.until("kept.closed"), [4010, "server_draining", True])
        last = page.run("kept.frames.at(-1)")
        self.assertEqual((last["type"], last["code"]), ("reconnect", "server_draining"))

    def test_a_browser_page_polls_with_an_authorization_header(self) -> None:
        page = self.page()
        (number,) = announce(self.server, "for the page")
        url = self.server.url(f"/api/poll?since={number - 1}&wait=5")
        headers = json.dumps({"headers": bearer(token())})
        body = page.run(f"fetch({json.dumps(url)}, {headers}).then((answer) => answer.json())")
        self.assertEqual([event["id"] for event in body["events"]], [number])

    def test_a_page_of_a_foreign_origin_gets_nothing(self) -> None:
        page = self.browser.page(self.stranger.origin)
        page.talk(self.server, f"?token={token()}")
        self.assertEqual(page.until("kept.closed"), [4003, "origin_not_allowed", True])
        self.assertEqual(page.run("kept.frames"), [])
        page.listen(self.server, token())
        page.until("kept.source.readyState === 2")
        self.assertEqual(page.run("kept.opened"), 0)
        url = json.dumps(self.server.url(f"/api/poll?token={token()}"))
        self.assertEqual(page.run(f"fetch({url}).then(() => 'read', () => 'refused')"), "refused")


if __name__ == "__main__":
    unittest.main()
