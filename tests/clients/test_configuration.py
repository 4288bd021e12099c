"""The configuration as an operator meets it: layers, check-config, and a reload that nobody who is connected notices."""

import json
import os
import secrets
import signal
import socket
import subprocess
import tempfile
import unittest
from pathlib import Path

from campus import PUBLISHER, bearer, call, configuration, note, publish, school, token
from readers import Ws, poll
from server import Server, toml, wait_until

OTHER_KEY, OTHER_SECRET = f"ck_{secrets.token_hex(24)}", secrets.token_hex(32)
RELOADED, KEPT = "the configuration was reloaded", "the configuration was not reloaded"


def key(name: str, text: str) -> dict:
    return {"name": name, "key": text, "scopes": ["publish", "roster", "metrics"]}


class Reloading(unittest.TestCase):
    def setUp(self) -> None:
        self.server = school()
        self.addCleanup(self.server.stop)

    def reload(self, text: str, says: str = RELOADED) -> str:
        """Writes campanile.toml, sends a hangup, and answers what the log says of it."""
        (self.server.path / "campanile.toml").write_text(text)
        before = len(self.server.log_text())
        os.kill(self.server.pid, signal.SIGHUP)

        def said() -> str:
            lines = self.server.log_text()[before:].splitlines()
            return "\n".join(lines) if any(RELOADED in line or KEPT in line for line in lines) else ""

        told = wait_until(said, what="a line about the reload")
        self.assertIn(says, told)
        # A value stands in quotes where it has spaces.
        return told.replace('"', "")

    def changed(self, says: str = RELOADED, **changes: dict | list) -> str:
        return self.reload(toml(configuration(**changes)), says)

    def test_a_new_api_key_works_the_removed_one_is_refused_and_nobody_is_disconnected(self) -> None:
        reader = Ws(self.server, token(1))
        reader.until("connection_established")
        told = self.changed(api_key=[key("other", OTHER_KEY)])
        self.assertIn("changed=api_key", told)
        self.assertEqual(publish(self.server, note("old")).code, "invalid_token")
        self.assertEqual(publish(self.server, note("new"), OTHER_KEY).status, 201)
        self.assertEqual(reader.events(1)[0]["data"], {"text": "new"})
        reader.leave()

    def test_a_removed_token_key_lets_nobody_in_any_more_but_those_inside_stay(self) -> None:
        reader = Ws(self.server, token(1))
        reader.until("connection_established")
        told = self.changed(auth={"hs256_secret": OTHER_SECRET})
        self.assertNotIn(OTHER_SECRET, told)
        self.assertEqual(poll(self.server, token(2)).code, "invalid_token")
        self.assertEqual(poll(self.server, token(2, secret=OTHER_SECRET)).status, 200)
        publish(self.server, note("still here"))
        self.assertEqual(reader.events(1)[0]["data"], {"text": "still here"})
        reader.leave()

    def test_limits_origins_sources_and_log_levels_change(self) -> None:
        big = note("x" * 2_000)
        self.assertEqual(publish(self.server, big).status, 201)
        self.assertEqual(call(self.server, "GET", "/api/poll", headers=bearer(token(), Origin="https://a.example")).code, "origin_not_allowed")
        told = self.changed(
            limits={"body_bytes": 1_000, "connections_per_user": 1}, allowed_origins=["https://a.example"],
            auth={"sources": ["bearer"]}, log={"level": "info,campanile=debug"},
        )
        for name in ("limits.body_bytes", "limits.connections_per_user", "allowed_origins", "auth.sources", "log.level"):
            self.assertIn(name, told)
        self.assertEqual(publish(self.server, big).code, "message_too_big")
        self.assertEqual(call(self.server, "GET", "/api/poll", headers=bearer(token(), Origin="https://a.example")).status, 200)
        self.assertEqual(call(self.server, "GET", f"/api/poll?token={token()}").code, "no_credential")
        reader = Ws(self.server, bearer_token=token(5))
        reader.until("connection_established")
        second = Ws(self.server, bearer_token=token(5))
        self.assertEqual(second.closed(), (4029, "too_many_connections"))
        self.assertIn("DEBUG", self.server.log_text())
        reader.leave()

    def test_a_broken_file_keeps_everything_as_it_was_and_the_log_says_why(self) -> None:
        reader = Ws(self.server, token(1))
        reader.until("connection_established")
        broken = [
            ("limits = { body_byte = 3 }\n", "unknown key `limits.body_byte`"),
            ("[limits\n", "this is no TOML"),
            (toml(configuration(auth={"hs256_secret": "secret"})), "auth.hs256_secret"),
            (toml(configuration(allowed_origins=["*"], api_key=[key("other", OTHER_KEY)])), "wildcards"),
            (toml(configuration(log={"level": "loud=very"})), "log.level"),
            (toml(configuration(trusted_proxies=["everybody"])), "everybody"),
            (toml(configuration(event_type=[{"name": "a", "channel_kind": "course", "class": "course", "schema": {"type": 3}}])), "event_type a"),
        ]
        for text, why in broken:
            with self.subTest(why):
                told = self.reload(text, KEPT)
                self.assertIn(why, told)
                self.assertNotIn(OTHER_KEY, told)
                self.assertEqual(publish(self.server, note(why)).status, 201)
                self.assertEqual(publish(self.server, note(why), OTHER_KEY).code, "invalid_token")
                self.assertEqual(reader.events(1)[0]["data"], {"text": why})
        self.changed(limits={"auth_ms": 4_000})
        reader.leave()

    def test_what_needs_a_restart_stays_and_is_named(self) -> None:
        told = self.changed(event_type=[], limits={"tail_bytes": 1_000_000, "pong_ms": 9_000})
        self.assertIn("changed=limits.pong_ms", told)
        self.assertIn("needs_restart=event_type, limits.tail_bytes", told)
        self.assertEqual(publish(self.server, note("its type is declared still")).status, 201)
        self.server.config = configuration(event_type=[])
        self.server.restart()
        self.assertEqual(publish(self.server, note("not any more")).code, "unknown_event_type")

    def test_the_command_reloads_a_server_by_its_process(self) -> None:
        before = self.server.log_text().count(RELOADED)
        subprocess.run([os.environ["CAMPANILE_BIN"], "reload", "--pid", str(self.server.pid)], check=True, timeout=30)
        wait_until(lambda: self.server.log_text().count(RELOADED) == before + 1, what="the reload")
        said = subprocess.run([os.environ["CAMPANILE_BIN"], "reload", "--pid", "0"], capture_output=True, text=True, timeout=30)
        self.assertEqual((said.returncode, "--pid is the number of a process" in said.stderr), (1, True))


class Supervised(unittest.TestCase):
    def test_systemd_is_told_when_it_is_ready_reloads_and_stops(self) -> None:
        folder = self.enterContext(tempfile.TemporaryDirectory(prefix="campanile-notify-"))
        heard = self.enterContext(socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM))
        heard.bind(f"{folder}/notify")
        heard.settimeout(20)
        server = Server(config=configuration(), before=("env", f"NOTIFY_SOCKET={folder}/notify")).start()
        self.addCleanup(server.stop)
        self.assertEqual(heard.recv(100), b"READY=1")
        os.kill(server.pid, signal.SIGHUP)
        self.assertEqual([heard.recv(100), heard.recv(100)], [b"RELOADING=1", b"READY=1"])
        self.assertEqual(server.end(), 0)
        self.assertEqual(heard.recv(100), b"STOPPING=1")

    def test_a_dev_server_ends_with_its_terminal(self) -> None:
        server = Server().start()
        self.addCleanup(server.stop)
        self.assertEqual(server.end(signal.SIGHUP), -signal.SIGHUP)


class Layers(unittest.TestCase):
    def test_the_environment_and_flags_lie_over_the_file(self) -> None:
        folder = Path(self.enterContext(tempfile.TemporaryDirectory(prefix="campanile-layers-")))
        (folder / "secret").write_text(OTHER_SECRET + "\n")
        keys = json.dumps([key("other", OTHER_KEY)])
        before = ("env", f"CAMPANILE_AUTH__HS256_SECRET_FILE={folder}/secret", f"CAMPANILE_API_KEY={keys}", "CAMPANILE_LIMITS__BODY_BYTES=900")
        server = Server("--set", "limits.body_bytes=1000", config=configuration(), before=before).start()
        self.addCleanup(server.stop)
        self.assertEqual(poll(server, token(1, secret=OTHER_SECRET)).status, 200)
        self.assertEqual(poll(server, token(1)).code, "invalid_token")
        self.assertEqual(publish(server, note("x"), PUBLISHER).code, "invalid_token")
        answer = publish(server, note("x" * 2_000), OTHER_KEY)
        self.assertEqual((answer.code, "1000 bytes" in answer.json["message"]), ("message_too_big", True))

    def test_a_start_with_a_mistake_says_where_it_is(self) -> None:
        with self.assertRaises(RuntimeError) as raised:
            Server(config=configuration(limits={"body_byte": 3})).start()
        self.assertRegex(str(raised.exception), r"campanile\.toml:\d+:1: unknown key `limits\.body_byte`; did you mean `limits\.body_bytes`\?")


class CheckConfig(unittest.TestCase):
    def setUp(self) -> None:
        self.folder = Path(self.enterContext(tempfile.TemporaryDirectory(prefix="campanile-check-")))

    def check(self, config: str, *flags: str, **variables: str) -> tuple[int, str]:
        (self.folder / "campanile.toml").write_text(config)
        env = {**os.environ, **variables}
        said = subprocess.run(
            [os.environ["CAMPANILE_BIN"], "check-config", *flags], cwd=self.folder, env=env, capture_output=True, text=True, timeout=30,
        )
        self.assertEqual(said.stderr, "")
        return said.returncode, said.stdout

    def test_a_good_configuration_is_shown_with_where_it_comes_from_and_without_secrets(self) -> None:
        config = configuration(limits={"auth_ms": 4_000}, allowed_origins=["https://lms.example"])
        status, said = self.check(toml(config), "--json", "--set", "limits.pong_ms=7000", CAMPANILE_LOG__FORMAT="json")
        found = json.loads(said)
        self.assertEqual((status, found["ok"], found["errors"]), (0, True, []))
        self.assertEqual(found["warnings"], ["an [[api_key]] holds the key itself; give key_sha256, and the file tells nobody how to sign in"])
        settings = {setting["key"]: setting for setting in found["settings"]}
        froms = [settings[name]["from"] for name in ("limits.auth_ms", "log.format", "limits.pong_ms", "limits.drain_ms")]
        self.assertEqual(froms, ["file", "environment", "flag", "default"])
        self.assertEqual(settings["auth.hs256_secret"]["value"], "[set]")
        self.assertEqual(settings["limits.pong_ms"]["value"], 7_000)
        self.assertIn("not there yet", found["store"])
        self.assertEqual([path.name for path in self.folder.iterdir()], ["campanile.toml"], "looking makes nothing")
        for secret in (config["auth"]["hs256_secret"], PUBLISHER):
            self.assertNotIn(secret, said)
            self.assertNotIn(secret, self.check(toml(config))[1])

    def test_what_serve_would_refuse_is_named(self) -> None:
        cases = [
            (configuration(auth={"hs256_secret": "changeme" * 5}), "auth.hs256_secret: the HS256 secret is refused"),
            (configuration(api_key=[key("a", "ck_short")]), "api_key a: a key begins with ck_"),
            (configuration(allowed_origins=["*.example"]), "wildcards and suffixes are not supported"),
            (configuration(event_type=[{"name": "a", "channel_kind": "nowhere", "class": "course"}]), "nowhere"),
            (configuration(event_type=[{"name": "a", "channel_kind": "course", "class": "course", "schema": {"type": 3}}]), "event_type a"),
            ({**configuration(), "listen": "0.0.0.0:8000"}, "others can reach 0.0.0.0:8000"),
            (configuration(tls={"certificate_file": "nowhere.pem", "key_file": "nowhere.pem"}), "nowhere.pem"),
            (configuration(trusted_proxies=["everybody"]), "everybody"),
            ({**configuration(), "store": "mysql://x"}, "store is sqlite://path/to.db or postgres://"),
            ({**configuration(), "store": "sqlite:///nowhere/at/all.db"}, "the store sqlite:///nowhere/at/all.db"),
            ({**configuration(), "store": "postgres://u:pa55@127.0.0.1:1/x"}, "the store postgres://…@127.0.0.1:1/x: the database cannot be reached"),
            (configuration(route={"/wss": {"reject": "http"}}), "the routes are /ws, /ws/updates/"),
            ({}, "auth: set hs256_secret, a [[auth.key]]"),
        ]
        for config, sentence in cases:
            with self.subTest(sentence):
                status, said = self.check(toml(config))
                self.assertEqual(status, 1)
                self.assertIn(sentence, said)
                self.assertNotIn("pa55", said)

    def test_a_store_that_is_there_is_read_and_not_touched_when_offline(self) -> None:
        server = school()
        self.addCleanup(server.stop)
        config = toml({**configuration(), "store": server.store})
        status, said = self.check(config)
        self.assertEqual(status, 0)
        self.assertRegex(said, r"store: a log with \d+ as its last id")
        status, said = self.check(toml({**configuration(), "store": "postgres://127.0.0.1:1/x"}), "--offline")
        self.assertEqual(status, 0)

    def test_every_mistake_is_told_at_once(self) -> None:
        status, said = self.check("lissen = 1\n", "--json", "--set", "limits.pong_ms=1", CAMPANILE_LOG__JSONS="true")
        self.assertEqual((status, len(json.loads(said)["errors"])), (1, 3))


if __name__ == "__main__":
    unittest.main()
