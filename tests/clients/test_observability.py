"""What a server tells those who watch over it: logs that cannot be forged, traces, error reports, readiness, the debug page."""

import contextlib
import json
import sqlite3
import threading
import unicodedata
import unittest

from campus import PUBLISHER, SECRET, announce, announcement, bearer, call, configuration, found_school, note, publish, school, token
from collectors import WITHOUT_PROXIES, Collector
from readers import Sse, Ws, poll
from server import Server, wait_until
from test_browser import Browser

SECONDS_EXPECTED = 30
HOSTILE = 'x\n{"level":"INFO","message":"forged"}\r\x1b[31mred\u202e"q"\u2028'


def break_the_store(server: Server, text: str = HOSTILE) -> None:
    """From now on publishing fails inside of SQLite, with this text."""
    with contextlib.closing(sqlite3.connect(server.path / "school.db")) as db:
        quoted = text.replace("'", "''")
        db.execute(f"CREATE TRIGGER broken BEFORE INSERT ON event BEGIN SELECT RAISE(ABORT, '{quoted}'); END")
        db.commit()


class Logs(unittest.TestCase):
    def start(self, **log: object) -> Server:
        server = Server(config=configuration(log=log))
        self.addCleanup(server.stop)
        return found_school(server.start())

    def lines(self, server: Server) -> list[dict]:
        return [json.loads(line) for line in server.log_text().splitlines()]

    def busy(self, server: Server) -> list[str]:
        """Talks to the server in every way; answers the credentials that it used."""
        person, wrong = token(1), token(2, secret="x" * 40)
        with Ws(server, person) as ws, Sse(server, person) as sse:
            ws.until("connection_established")
            announce(server, "for all")
            ws.events(1)
            sse.events(1)
            ws.say("no_such_frame")
            ws.until("error")
        poll(server, person, since=0)
        poll(server, wrong, since=0)
        ticket = call(server, "POST", "/api/ticket", headers=bearer(person)).json["ticket"]
        poll(server, "", ticket=ticket, since=0)
        call(server, "GET", "/nothing/here?password=swordfish", headers={"Cookie": "session=swordfish"})
        return [person, wrong, PUBLISHER, ticket, SECRET, "swordfish"]

    def test_a_busy_day_leaves_no_token_and_no_name_in_the_log(self) -> None:
        for form in ("json", "compact", "pretty"):
            with self.subTest(form):
                server = self.start(level="trace", format=form)
                secrets = self.busy(server)
                server.end()
                log = server.log_text()
                self.assertIn("disconnected", log)
                for secret in [*secrets, "Person 1"]:
                    self.assertNotIn(secret, log)

    def test_every_request_line_has_its_id_and_connections_have_their_names(self) -> None:
        server = self.start(level="debug", format="json")
        with Ws(server, token(1)) as ws:
            name = ws.until("connection_established")["connection"]
            ws.say("no_such_frame")
            ws.until("error")
        answer = call(server, "GET", "/api/poll")
        request_id = answer.headers["x-request-id"]
        server.end()
        requests = [line for line in self.lines(server) if line["target"].startswith("campanile::http")]
        self.assertTrue(requests and all(line["request_id"] and line["route"] for line in requests), requests)
        (refused,) = [line for line in requests if line["request_id"] == request_id]
        self.assertEqual((refused["code"], refused["status"], refused["route"]), ("no_credential", 401, "/api/poll"))
        told = [line for line in self.lines(server) if line["target"] == "campanile::ws" and line.get("connection") == name]
        self.assertEqual([line["message"] for line in told], ["connected", "a frame was refused", "closing", "disconnected"])
        # The handshake's request id joins the connection's life to its request.
        self.assertIn(told[0]["request_id"], [line["request_id"] for line in requests if line["route"] == "/ws"])

    def test_outside_text_cannot_forge_a_line_in_any_form(self) -> None:
        for form in ("json", "compact", "pretty"):
            with self.subTest(form):
                server = self.start(format=form)
                break_the_store(server)
                self.assertEqual(publish(server, announcement("never")).code, "internal_error")
                server.end()
                raw = (server.path / "server.log").read_bytes().decode()
                lines = raw.split("\n")
                self.assertTrue(any("a commit failed" in line and "forged" in line for line in lines), raw)
                self.assertFalse(any(line.lstrip().startswith('{"level":"INFO"') for line in lines), raw)
                self.assertEqual([sign for sign in raw if unicodedata.category(sign) in ("Cc", "Cf", "Zl") and sign != "\n"], [])
                if form == "json":
                    errors = [line["error"] for line in self.lines(server) if "error" in line]
                    self.assertTrue(any(HOSTILE in error for error in errors), errors)

    def test_production_is_calm_and_a_component_can_be_made_to_tell(self) -> None:
        server = self.start(format="json")
        self.busy(server)
        server.end()
        self.assertEqual([line["message"] for line in self.lines(server)], ["campanile serves", "draining", "stopped"])
        server = self.start(format="json", level="error", levels={"ws": "debug"})
        self.busy(server)
        server.end()
        self.assertEqual({line["target"] for line in self.lines(server)}, {"campanile::ws"})

    def test_a_file_gets_every_line_and_is_rotated_by_size(self) -> None:
        server = self.start(level="debug", format="json", file="lines.log", rotate="size", file_bytes_max=4096, keep_files=2)
        for _ in range(60):
            call(server, "GET", "/api/poll")
        server.end()
        files = sorted(path.name for path in server.path.glob("lines.log*"))
        self.assertEqual(files, ["lines.log", "lines.log.1", "lines.log.2"])
        kept = "".join((server.path / name).read_text() for name in reversed(files))
        self.assertTrue(server.log_text().endswith(kept))
        self.assertTrue(all((server.path / name).stat().st_size <= 4096 for name in files))

    def test_a_wrong_level_is_refused_at_the_start(self) -> None:
        server = Server(config=configuration(log={"levels": {"websocket": "debug"}}))
        self.addCleanup(server.stop)
        with self.assertRaisesRegex(RuntimeError, "log.levels.websocket"):
            server.start()


class Traces(unittest.TestCase):
    def setUp(self) -> None:
        self.collector = Collector()
        self.addCleanup(self.collector.stop)

    def start(self, **telemetry: object) -> Server:
        telemetry = {"otlp_endpoint": f"http://{self.collector.address}", **telemetry}
        server = school(before=WITHOUT_PROXIES, telemetry=telemetry)
        self.addCleanup(server.stop)
        return server

    def test_one_trace_leads_from_the_publish_to_the_socket(self) -> None:
        server = self.start()
        trace, parent = "0af7651916cd43dd8448eb211c80319c", "b7ad6b7169203331"
        with Ws(server, token(1)) as one, Ws(server, token(2)) as two:
            one.until("connection_established")
            two.until("connection_established")
            answer = publish(server, announcement("traced"), traceparent=f"00-{trace}-{parent}-01")
            one.events(1)
            two.events(1)
        wait_until(lambda: len([s for s in self.collector.spans() if s["trace"] == trace]) >= 4, 15, "the trace")
        spans = {span["name"]: span for span in self.collector.spans() if span["trace"] == trace}
        request, commit = spans["POST /api/events"], spans["journal commit"]
        apply, dispatch = spans["node apply"], spans["dispatch"]
        chain = [request["parent"], commit["parent"], apply["parent"], dispatch["parent"]]
        self.assertEqual(chain, [parent, request["id"], commit["id"], apply["id"]])
        self.assertEqual(apply["attributes"]["campanile.event.id"], answer.json["id"])
        # One span for the event, however many sessions it went to.
        self.assertEqual((dispatch["attributes"]["campanile.sessions"], len(spans)), (2, 4))
        self.assertEqual(request["attributes"]["http.response.status_code"], 201)
        self.assertEqual(request["attributes"]["campanile.request_id"], answer.headers["x-request-id"])
        self.assertTrue(request["begun"] <= commit["begun"] <= commit["ended"] <= apply["ended"], spans)

    def test_requests_that_were_committed_together_point_at_each_other(self) -> None:
        server = self.start()

        def grouped() -> list[dict]:
            threads = [threading.Thread(target=publish, args=(server, note("together"))) for _ in range(24)]
            for thread in threads:
                thread.start()
            for thread in threads:
                thread.join()
            return [span for span in self.collector.spans() if span["name"] == "journal commit" and span["links"]]

        spans = wait_until(grouped, 20, "a group")
        requests = {span["id"] for span in self.collector.spans_named("POST /api/events", 24)}
        for span in spans:
            self.assertGreaterEqual(span["attributes"]["campanile.group.requests"], 1 + len(span["links"]))
            self.assertNotIn(span["parent"], span["links"])
        wait_until(lambda: set(spans[0]["links"]) <= {s["id"] for s in self.collector.spans()} | requests, 15, "the others")

    def test_an_event_of_another_process_begins_a_trace_of_its_own(self) -> None:
        watched = self.start()
        silent = Server(config=configuration(), store=watched.store)
        self.addCleanup(silent.stop)
        silent.start()
        answer = publish(silent, announcement("from elsewhere"))
        number = answer.json["id"]
        found = lambda: [s for s in self.collector.spans() if s["attributes"].get("campanile.event.id") == number]  # noqa: E731
        (span,) = wait_until(found, 15, "the event's span")
        self.assertEqual((span["name"], span["parent"]), ("node apply", ""))

    def test_a_ratio_of_none_records_only_what_a_caller_asks_for(self) -> None:
        server = self.start(trace_ratio=0.0)
        publish(server, announcement("not traced"))
        trace = "1" * 32
        publish(server, announcement("traced"), traceparent=f"00-{trace}-{'2' * 16}-01")
        publish(server, announcement("asked not to be"), traceparent=f"00-{'3' * 32}-{'2' * 16}-00")
        wait_until(lambda: len(self.collector.spans()) >= 4, 15, "the asked-for trace")
        server.end()
        self.assertEqual({span["trace"] for span in self.collector.spans()}, {trace})

    def test_a_collector_that_is_away_holds_nobody_up(self) -> None:
        server = self.start(otlp_endpoint="http://127.0.0.1:9")
        self.assertEqual(publish(server, announcement("goes on")).status, 201)
        self.assertEqual(server.end(), 0)


class Reports(unittest.TestCase):
    def test_an_error_is_reported_with_its_stack_and_route_and_without_names_or_tokens(self) -> None:
        sentry = Collector()
        self.addCleanup(sentry.stop)
        telemetry = {
            "sentry_dsn": f"http://publickey@{sentry.address}/42", "sentry_environment": "testing", "user_key": "k" * 32,
            "sentry_release": "campanile@test",
        }
        server = school(before=WITHOUT_PROXIES, telemetry=telemetry)
        self.addCleanup(server.stop)
        person = token(1)
        break_the_store(server, "no row for Ada Lovelace, ada@school.example")
        publish(server, announcement("never"))
        with contextlib.closing(sqlite3.connect(server.path / "school.db")) as db:
            db.execute("ALTER TABLE event RENAME TO elsewhere")
        answer = call(server, "GET", f"/api/poll?since=2020-01-01T00:00:00Z&token={person}", headers={"X-Note": "Ada Lovelace"})
        self.assertEqual(answer.code, "internal_error")
        found = lambda route: [r for r in sentry.reports() if r.get("transaction") == route]  # noqa: E731
        (publishing,) = wait_until(lambda: found("/api/events"), 15, "the publish's report")
        (polling,) = wait_until(lambda: found("/api/poll"), 15, "the poll's report")
        server.end()
        self.assertEqual((polling["environment"], polling["release"]), ("testing", "campanile@test"))
        self.assertEqual(polling["tags"]["request_id"], answer.headers["x-request-id"])
        self.assertEqual(polling["tags"]["code"], "internal_error")
        self.assertEqual(set(polling["user"]), {"id"})
        self.assertEqual(len(polling["user"]["id"]), 16)
        self.assertNotIn("user", publishing)
        frames = polling["exception"]["values"][0]["stacktrace"]["frames"]
        self.assertTrue(any("campanile" in frame.get("function", "") for frame in frames), frames)
        self.assertTrue(all(path.startswith("/api/42/envelope") for path, _ in sentry.posts))
        for secret in ["Ada", "ada@", person, PUBLISHER, SECRET, "X-Note", "Person 1", "token="]:
            self.assertNotIn(secret, sentry.text())
        self.assertIn("Ada Lovelace", server.log_text(), "the machine's own log has it")


class Readiness(unittest.TestCase):
    def test_verbose_says_what_was_looked_at(self) -> None:
        server = school()
        self.addCleanup(server.stop)
        (number,) = announce(server, "one")
        self.assertEqual(call(server, "GET", "/readyz").body, b"ready\n")
        answer = call(server, "GET", "/readyz?verbose")
        self.assertEqual(answer.status, 200)
        expected = {
            "ready": True, "code": None, "store": "sqlite", "head": number, "position": number, "behind_events": 0,
            "jobs_working": True, "draining": False, "connections": 0,
        }
        self.assertEqual(answer.json, expected)


class DebugPage(unittest.TestCase):
    def test_a_developer_sees_events_as_text_and_talks_as_somebody(self) -> None:
        server = Server()
        self.addCleanup(server.stop)
        server.start()
        browser = Browser()
        self.addCleanup(browser.stop)
        page = browser.page(server.url("/debug"))
        page.until("document.querySelector('#about').textContent.includes('on sqlite')")
        page.run("document.querySelector('#connect').click()")
        page.until("document.querySelector('#talking').textContent === 'connected as user 1'")
        page.until("document.querySelector('#frames').textContent.includes('connection_established')")
        page.run("document.querySelector('#send').click()")
        page.until("document.querySelector('#frames').textContent.includes('\"pong\"')")
        key = json.loads((server.path / "school.db.dev-keys").read_text())["api_key"]
        markup = "<img src=x onerror='window.hurt=1'><script>window.hurt=1</script>"
        self.assertEqual(publish(server, announcement(markup), key=key).status, 201)
        page.until("document.querySelector('#events').textContent.includes('<img src=x')")
        page.until("document.querySelector('#frames').textContent.includes('<img src=x')")
        self.assertEqual(page.run("[window.hurt ?? 0, document.querySelectorAll('#events img, #frames img').length]"), [0, 0])
        page.until("document.querySelector('#moving').textContent.includes('events_committed_total')")
        page.until("document.querySelector('#routes').textContent.includes('/api/events')")


if __name__ == "__main__":
    unittest.main()
