"""Tokens: who makes them, where they stand, and what happens when they end."""

import base64
import hashlib
import hmac
import json
import subprocess
import sys
import time
import unittest
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import jwt
from campus import PUBLISHER, SECRET, announce, bearer, call, configuration, found_school, school, token
from bytes_on_the_wire import TEXT, Raw, frame
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, rsa
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat, PublicFormat
from jwt.algorithms import ECAlgorithm, OKPAlgorithm, RSAAlgorithm
from readers import Sse, Ws, poll
from server import Server, wait_until

SECONDS_EXPECTED = 35

LEEWAY_S = 5


class KeyPair:
    """A key of the host platform: the private half signs here, the public half is a file of the server."""

    def __init__(self, algorithm: str, kid: str | None = None) -> None:
        make = {
            "RS256": lambda: rsa.generate_private_key(public_exponent=65537, key_size=2048),
            "ES256": lambda: ec.generate_private_key(ec.SECP256R1()),
            "EdDSA": ed25519.Ed25519PrivateKey.generate,
        }
        self.algorithm = algorithm
        self.kid = kid
        self.private = make[algorithm]()

    @property
    def public_pem(self) -> str:
        return self.private.public_key().public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo).decode()

    @property
    def private_pem(self) -> str:
        return self.private.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()).decode()

    @property
    def jwk(self) -> str:
        writer = {"RS256": RSAAlgorithm, "ES256": ECAlgorithm, "EdDSA": OKPAlgorithm}[self.algorithm]
        return writer.to_jwk(self.private.public_key())

    def token(self, user: object = 1, seconds: float = 600, headers: dict | None = None, **claims: object) -> str:
        headers = {**({"kid": self.kid} if self.kid else {}), **(headers or {})}
        claims = {"user_id": user, "exp": time.time() + seconds, **claims}
        return jwt.encode(claims, self.private, algorithm=self.algorithm, headers=headers)


def school_with_keys(keys: list[tuple[KeyPair, str]], **changes: dict | list) -> Server:
    """A school whose configuration names these public keys, each as a `pem_file` or a `jwk_file`."""
    entries = [
        {"algorithm": key.algorithm, form: f"{place}.{form}", **({"kid": key.kid} if key.kid else {})}
        for place, (key, form) in enumerate(keys)
    ]
    auth = {"hs256_secret": SECRET, "key": entries, **changes.pop("auth", {})}
    server = Server(config=configuration(auth=auth, **changes))
    for place, (key, form) in enumerate(keys):
        (server.path / f"{place}.{form}").write_text(key.public_pem if form == "pem_file" else key.jwk)
    return found_school(server.start())


def django_tokens(algorithm: str, *keys: str) -> dict:
    script = str(Path(__file__).parent / "django_school.py")
    done = subprocess.run([sys.executable, "-B", script, algorithm, *keys], capture_output=True, text=True, check=False, timeout=60)
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


def said_to(server: Server, token_: str) -> tuple[int, str]:
    """What every transport says of a token: they must agree. 200 or a status, and `ok` or a code."""
    answer = poll(server, token_)
    by_poll = (answer.status, "ok" if answer.status == 200 else answer.code)
    with Sse(server, token_) as sse:
        by_sse = (sse.status, "ok" if sse.status == 200 else sse.problem().code)
    with Ws(server, token_) as ws:
        first = ws.frame() if by_poll[0] == 200 else None
        by_ws = (200, "ok") if first and first["type"] == "connection_established" else (401, ws.closed()[1])
    assert by_poll == by_sse == by_ws, (by_poll, by_sse, by_ws)
    return by_poll


class SimpleJwt(unittest.TestCase):
    """Tokens by a real Django with djangorestframework_simplejwt, unchanged."""

    def check(self, server: Server, algorithm: str, *keys: str) -> None:
        self.addCleanup(server.stop)
        tokens = django_tokens(algorithm, *keys)
        for name in ("access", "refreshed"):
            self.assertEqual(jwt.get_unverified_header(tokens[name])["alg"], algorithm)
            self.assertEqual(said_to(server, tokens[name]), (200, "ok"), name)
        self.assertEqual(said_to(server, tokens["refresh"]), (401, "invalid_token"), "a refresh token opens nothing")
        with Ws(server, tokens["access"]) as ws:
            hello = ws.until("connection_established")
            self.assertEqual(str(hello["user_id"]), str(tokens["user_id"]))
            # By that id the roster knows the person: the course's events come.
            announce(server, "for a Django user")
            self.assertEqual(ws.until("announcement")["data"]["title"], "for a Django user")

    def test_hs256_access_tokens_are_accepted_and_refresh_tokens_refused(self) -> None:
        self.check(school(), "HS256", SECRET)

    def test_rs256_access_tokens_are_accepted_and_refresh_tokens_refused(self) -> None:
        key = KeyPair("RS256")
        self.check(school_with_keys([(key, "pem_file")]), "RS256", key.private_pem, key.public_pem)


class Keys(unittest.TestCase):
    """PyJWT's tokens against static keys in campanile.toml."""

    @classmethod
    def setUpClass(cls) -> None:
        forms = [(algorithm, form) for algorithm in ("RS256", "ES256", "EdDSA") for form in ("pem_file", "jwk_file")]
        cls.keys = [(KeyPair(algorithm, f"{algorithm} {form}"), form) for algorithm, form in forms]
        cls.server = school_with_keys(cls.keys, auth={"issuer": "https://lms.example", "audience": "realtime"})
        cls.addClassCleanup(cls.server.stop)
        cls.good = {"iss": "https://lms.example", "aud": "realtime"}

    def status(self, token_: str) -> str:
        answer = poll(self.server, token_)
        return "ok" if answer.status == 200 else answer.code

    def test_every_algorithm_is_accepted_from_a_pem_and_from_a_jwk(self) -> None:
        for key, form in self.keys:
            with self.subTest(algorithm=key.algorithm, form=form):
                self.assertEqual(said_to(self.server, key.token(**self.good)), (200, "ok"))
        self.assertEqual(self.status(token(**self.good)), "ok")

    def test_a_token_without_kid_is_held_against_every_key_of_its_algorithm(self) -> None:
        for key, _ in self.keys:
            given = jwt.encode({"user_id": 1, "exp": time.time() + 60, **self.good}, key.private, algorithm=key.algorithm)
            self.assertEqual(self.status(given), "ok")

    def test_a_token_by_another_key_is_refused(self) -> None:
        for algorithm in ("RS256", "ES256", "EdDSA"):
            for kid in (None, f"{algorithm} pem_file"):
                self.assertEqual(self.status(KeyPair(algorithm, kid).token(**self.good)), "invalid_token")
        self.assertEqual(self.status(token(secret="x" * 40, **self.good)), "invalid_token")

    def test_a_public_key_does_not_serve_as_an_hmac_secret(self) -> None:
        def segment(data: bytes) -> bytes:
            return base64.urlsafe_b64encode(data).rstrip(b"=")

        key, _ = self.keys[0]
        for secret in (key.public_pem, key.public_pem.strip(), key.jwk):
            body = segment(b'{"alg":"HS256","typ":"JWT"}') + b"." + segment(
                json.dumps({"user_id": 1, "exp": int(time.time()) + 60, **self.good}).encode()
            )
            forged = body + b"." + segment(hmac.new(secret.encode(), body, hashlib.sha256).digest())
            self.assertEqual(self.status(forged.decode()), "invalid_token")

    def test_issuer_and_audience_must_be_the_configured_ones(self) -> None:
        key, _ = self.keys[2]
        wrong = [{"iss": "https://lms.example"}, {"aud": "realtime"}, {"iss": "https://lms.example/", "aud": "realtime"},
                 {"iss": "https://lms.example", "aud": "mail"}]
        for claims in wrong:
            self.assertEqual(self.status(key.token(**claims)), "invalid_token", claims)
        self.assertEqual(self.status(key.token(iss="https://lms.example", aud=["mail", "realtime"])), "ok")

    def test_exp_is_required_and_a_future_token_is_refused(self) -> None:
        good = {"user_id": 1, "exp": time.time() + 60, **self.good}
        self.assertEqual(self.status(jwt.encode(good, SECRET, algorithm="HS256")), "ok")
        changes = {"no exp": {"exp": None}, "nbf": {"nbf": time.time() + 60}, "iat": {"iat": time.time() + 60}}
        for name, change in changes.items():
            claims = {claim: value for claim, value in {**good, **change}.items() if value is not None}
            self.assertEqual(self.status(jwt.encode(claims, SECRET, algorithm="HS256")), "invalid_token", name)

    def test_the_user_is_named_by_user_id_or_sub_and_its_json_type_survives(self) -> None:
        # RFC 7519 says that `sub` is a text, and PyJWT keeps to it.
        for claims, user in (({"user_id": 7}, 7), ({"user_id": "7"}, "7"), ({"sub": "ada"}, "ada")):
            given = jwt.encode({"exp": time.time() + 60, **self.good, **claims}, SECRET, algorithm="HS256")
            with Ws(self.server, given) as ws:
                hello = ws.frame()["user_id"]
                self.assertEqual((hello, type(hello)), (user, type(user)))

    def test_the_roster_s_role_wins_over_the_token_s(self) -> None:
        for user, role, expected in ((3, "student", "admin"), (1, "admin", "student"), (900, "guest", "guest")):
            with Ws(self.server, token(user, role=role, **self.good)) as ws:
                self.assertEqual(ws.frame()["role"], expected)

    def test_a_token_over_8_kib_is_refused(self) -> None:
        self.assertEqual(self.status(token(filler="x" * 9_000, **self.good)), "invalid_token")


class Expiry(unittest.TestCase):
    @classmethod
    def setUpClass(cls) -> None:
        cls.server = school(auth={"leeway_s": 0})
        cls.addClassCleanup(cls.server.stop)

    def check_instant(self, exp: float) -> None:
        self.assertGreaterEqual(time.time(), exp - 0.1, "it ended too early")
        self.assertLess(time.time(), exp + 1.5, "it ended too late")

    def test_a_websocket_is_closed_4001_expired_token_at_exp(self) -> None:
        exp = time.time() + 2
        with Ws(self.server, token(exp=exp)) as ws:
            self.assertEqual(ws.closed(), (4001, "expired_token"))
            self.check_instant(exp)

    def test_a_websocket_that_gets_events_all_the_time_is_closed_at_exp_too(self) -> None:
        exp = time.time() + 2
        with Ws(self.server, token(exp=exp)) as ws:
            ws.frame()
            while time.time() < exp + 0.2:
                announce(self.server, *(f"busy {turn}" for turn in range(50)))
            self.assertEqual(ws.closed(), (4001, "expired_token"))
            last = max(frame["timestamp"] for frame in ws.seen if frame["type"] == "announcement")
            self.assertLess(last, time.strftime("%Y-%m-%dT%H:%M:%S", time.gmtime(exp + 1)))

    def test_a_stream_ends_with_the_named_event_expired_at_exp(self) -> None:
        exp = time.time() + 2
        with Sse(self.server, token(exp=exp)) as sse:
            self.assertEqual(list(sse.messages()), [{"event": "expired", "code": "expired_token"}])
            self.check_instant(exp)

    def test_a_poll_answers_at_exp_at_the_latest(self) -> None:
        exp = time.time() + 2
        given = token(exp=exp)
        head = poll(self.server, given).json["cursor"]
        # The others of this class publish meanwhile: polled without their channel.
        page = poll(self.server, given, since=head, wait=30, channels="user:1")
        self.assertEqual((page.status, page.json["events"]), (200, []))
        self.check_instant(exp)
        self.assertEqual(poll(self.server, given, since=head).code, "expired_token")

    def test_an_expired_token_is_refused_on_every_transport(self) -> None:
        self.assertEqual(said_to(self.server, token(seconds=-1)), (401, "expired_token"))

    def test_a_refresh_in_band_extends_a_websocket_to_the_new_exp(self) -> None:
        first, second = time.time() + 1.5, time.time() + 4
        with Ws(self.server, token(exp=first)) as ws:
            ws.until("connection_established")
            said = ws.ask("refresh", "refreshed", token=token(exp=second))
            self.assertEqual(said["expires_at"][:19], time.strftime("%Y-%m-%dT%H:%M:%S", time.gmtime(second)))
            self.assertEqual(ws.closed(), (4001, "expired_token"))
            self.check_instant(second)

    def test_a_refresh_with_a_wrong_token_is_an_error_and_changes_nothing(self) -> None:
        exp = time.time() + 2.5
        with Ws(self.server, token(exp=exp)) as ws:
            ws.until("connection_established")
            wrong = {
                "invalid_token": token(secret="y" * 40), "expired_token": token(seconds=-1), "credential_conflict": token(2),
            }
            for code, given in wrong.items():
                self.assertEqual(ws.ask("refresh", "error", token=given)["code"], code)
            self.assertEqual(ws.closed(), (4001, "expired_token"))
            self.check_instant(exp)


class FirstMessage(unittest.TestCase):
    @classmethod
    def setUpClass(cls) -> None:
        cls.server = school()
        cls.addClassCleanup(cls.server.stop)

    def test_the_first_message_may_bring_the_token(self) -> None:
        with Ws(self.server) as ws:
            self.assertEqual(ws.ask("auth", "connection_established", token=token(2))["user_id"], 2)
            announce(self.server, "after auth")
            self.assertEqual(ws.until("announcement")["data"]["title"], "after auth")

    def test_the_query_of_the_handshake_counts_for_a_first_message_too(self) -> None:
        first, second = announce(self.server, "one", "two")
        with Ws(self.server, since=first, channels="course:7") as ws:
            ws.say("auth", token=token())
            self.assertEqual(ws.until("announcement")["id"], second)

    def test_what_follows_auth_at_once_is_heard(self) -> None:
        """A client may write its first frames in one go, without waiting for the answer."""
        with Raw(self.server) as raw:
            raw.handshake("/ws")
            said = [{"type": "auth", "token": token()}, {"type": "ping", "timestamp": "right behind"}]
            raw.send(b"".join(frame(TEXT, json.dumps(one).encode()) for one in said))
            self.assertIn(b"connection_established", raw.frame()[1])
            raw.socket.settimeout(3)
            self.assertIn(b"right behind", raw.frame()[1])

    def test_without_auth_the_connection_is_closed_after_5_s(self) -> None:
        began = time.monotonic()
        with Ws(self.server) as ws:
            self.assertEqual(ws.closed(), (4001, "auth_timeout"))
        self.assertTrue(4.9 < time.monotonic() - began < 6.5)
        self.assertEqual(ws.seen, [])

    def test_a_first_message_that_is_no_auth_closes(self) -> None:
        for said in ('{"type":"ping"}', "no json", '{"type":"auth"}', "[]"):
            with Ws(self.server) as ws:
                ws.send(said)
                self.assertEqual(ws.closed(), (4001, "no_credential"), said)

    def test_a_wrong_or_expired_token_in_the_first_message_closes(self) -> None:
        for given, reason in (("wrong", "invalid_token"), (token(seconds=-60), "expired_token")):
            with Ws(self.server) as ws:
                ws.say("auth", token=given)
                self.assertEqual(ws.closed(), (4001, reason))

    def test_before_auth_a_message_has_at_most_4_kib(self) -> None:
        with Ws(self.server) as ws:
            ws.say("auth", token="x" * 4096)
            self.assertEqual(ws.closed(), (4009, "message_too_big"))
        with Ws(self.server) as ws:
            # Well below it even with a filler; afterwards 64 KiB are allowed.
            ws.ask("auth", "connection_established", token=token(filler="x" * 2000))
            self.assertEqual(len(ws.ask("ping", "pong", timestamp="x" * 60_000)["timestamp"]), 60_000)

    def test_auth_on_an_authenticated_connection_is_an_error(self) -> None:
        with Ws(self.server, token()) as ws:
            self.assertEqual(ws.ask("auth", "error", token=token())["code"], "unknown_frame")


class Places(unittest.TestCase):
    """Where a credential may stand, and what two of them mean."""

    @classmethod
    def setUpClass(cls) -> None:
        cls.server = school()
        cls.addClassCleanup(cls.server.stop)

    def ticket(self, user: int = 1) -> str:
        answer = call(self.server, "POST", "/api/ticket", headers=bearer(token(user)))
        self.assertIn(answer.status, (200, 201))
        self.assertEqual(set(answer.json), {"ticket", "expires_in_s"})
        self.assertEqual(answer.json["expires_in_s"], 30)
        return answer.json["ticket"]

    def test_a_ticket_opens_each_transport_once(self) -> None:
        with Ws(self.server, ticket=self.ticket()) as ws:
            self.assertEqual(ws.frame()["user_id"], 1)
        with Sse(self.server, ticket=self.ticket(2)) as sse:
            self.assertEqual(sse.status, 200)
        self.assertEqual(call(self.server, "GET", f"/api/poll?ticket={self.ticket()}").status, 200)

    def test_a_used_ticket_is_refused(self) -> None:
        ticket = self.ticket()
        with Ws(self.server, ticket=ticket) as ws:
            ws.frame()
        with Ws(self.server, ticket=ticket) as ws:
            self.assertEqual(ws.closed(), (4001, "invalid_token"))
        self.assertEqual(call(self.server, "GET", f"/api/poll?ticket={ticket}").code, "invalid_ticket")
        with Sse(self.server, ticket=ticket) as sse:
            self.assertEqual((sse.status, sse.problem().code), (401, "invalid_ticket"))

    def test_of_many_at_once_one_gets_in_with_a_ticket(self) -> None:
        ticket = self.ticket()
        with ThreadPoolExecutor(10) as pool:
            statuses = list(pool.map(lambda _: call(self.server, "GET", f"/api/poll?ticket={ticket}").status, range(10)))
        self.assertEqual(sorted(statuses), [200] + [401] * 9)

    def test_a_ticket_survives_a_restart_but_not_30_s(self) -> None:
        ticket, kept = self.ticket(), self.ticket()
        issued = time.monotonic()
        self.server.restart()
        with Ws(self.server, ticket=kept) as ws:
            self.assertEqual(ws.frame()["user_id"], 1)
        wait_until(lambda: time.monotonic() > issued + 30.1, 40)
        self.assertEqual(call(self.server, "GET", f"/api/poll?ticket={ticket}").code, "invalid_ticket")

    def test_a_ticket_does_not_outlive_the_token_that_it_stands_for(self) -> None:
        exp = time.time() + 2
        answer = call(self.server, "POST", "/api/ticket", headers=bearer(token(exp=exp)))
        with Ws(self.server, ticket=answer.json["ticket"]) as ws:
            self.assertEqual(ws.closed(), (4001, "expired_token"))
            self.assertLess(abs(time.time() - exp), 1.5)

    def test_an_api_key_gets_no_ticket_and_no_stream(self) -> None:
        self.assertEqual(call(self.server, "POST", "/api/ticket", headers=bearer(PUBLISHER)).code, "forbidden")
        self.assertEqual(poll(self.server, PUBLISHER).code, "forbidden")
        with Ws(self.server, bearer_token=PUBLISHER) as ws:
            self.assertEqual(ws.closed(), (4003, "forbidden"))

    def test_the_subprotocol_bearer_is_answered_with_bearer(self) -> None:
        with Ws(self.server, protocols=["bearer", token(2)]) as ws:
            self.assertEqual(ws.socket.subprotocol, "bearer")
            self.assertEqual(ws.frame()["user_id"], 2)
        with Raw(self.server) as raw:
            head = raw.handshake("/ws", f"Sec-WebSocket-Protocol: bearer, {token()}").decode().lower()
            self.assertIn("101 switching protocols", head)
            protocols = [line for line in head.splitlines() if line.startswith("sec-websocket-protocol")]
            self.assertEqual(protocols, ["sec-websocket-protocol: bearer"], "the token must not come back")

    def test_the_places_are_looked_at_in_order_and_agreeing_ones_are_fine(self) -> None:
        with Ws(self.server, token(2), bearer_token=token(2), protocols=["bearer", token(2)], ticket=self.ticket(2)) as ws:
            self.assertEqual(ws.frame()["user_id"], 2)

    def test_two_places_that_name_different_users_are_a_conflict(self) -> None:
        pairs = [
            {"bearer_token": token(1), "token": token(2)}, {"bearer_token": token(1), "protocols": ["bearer", token(2)]},
            {"token": token(1), "protocols": ["bearer", token(2)]}, {"bearer_token": PUBLISHER, "token": token(1)},
        ]
        for pair in pairs:
            with Ws(self.server, **pair) as ws:
                self.assertEqual(ws.closed(), (4001, "credential_conflict"))
        with Ws(self.server, token(1), ticket=self.ticket(2)) as ws:
            self.assertEqual(ws.closed(), (4001, "credential_conflict"))
        answer = call(self.server, "GET", f"/api/poll?token={token(1)}", headers=bearer(token(2)))
        self.assertEqual((answer.status, answer.code), (401, "credential_conflict"))

    def test_a_token_in_the_query_never_stands_in_the_log(self) -> None:
        server = school(log={"level": "debug"})
        self.addCleanup(server.stop)
        given = token(filler="0123456789abcdef")
        ticket = call(server, "POST", "/api/ticket", headers=bearer(given)).json["ticket"]
        poll(server, given)
        call(server, "GET", f"/api/poll?token={given}")
        call(server, "GET", f"/api/poll?ticket={ticket}")
        call(server, "GET", f"/nowhere?x=1&token={given}&y=2")
        with Ws(server, given) as ws, Sse(server, token=given) as sse:
            ws.frame(), sse.block()
        with Ws(server, protocols=["bearer", given]) as ws:
            ws.frame()
        server.end()
        log = server.log_text()
        self.assertIn("/api/poll?", log)
        for secret in (given, given.split(".")[2], ticket, SECRET, PUBLISHER):
            self.assertNotIn(secret, log)

    def test_places_that_are_switched_off_are_not_looked_at(self) -> None:
        server = school(auth={"sources": ["bearer"], "first_message": False})
        self.addCleanup(server.stop)
        with Ws(server, bearer_token=token()) as ws:
            self.assertEqual(ws.frame()["user_id"], 1)
        for elsewhere in ({"token": token()}, {"protocols": ["bearer", token()]}, {"ticket": "tk_1"}, {}):
            with Ws(server, **elsewhere) as ws:
                self.assertEqual(ws.closed(), (4001, "no_credential"), elsewhere)
        self.assertEqual(call(server, "GET", f"/api/poll?token={token()}").code, "no_credential")
        # What is switched off contradicts nobody.
        with Ws(server, token(2), bearer_token=token(1)) as ws:
            self.assertEqual(ws.frame()["user_id"], 1)


if __name__ == "__main__":
    unittest.main()
