"""Every further source of a credential, and how credentials end before their time."""

import json
import os
import threading
import time
import unittest
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from urllib.parse import parse_qs

import jwt
from campus import PUBLISHER, announce, bearer, call, caught_up, configuration, found_school, school, token
from cryptography.hazmat.primitives.asymmetric import ed25519
from jwt.algorithms import OKPAlgorithm
from readers import Sse, Ws, ids, poll
from server import Server, free_port
from test_two_nodes import OTHER_NODE_S, Database

SECONDS_EXPECTED = 25

ADMIN = "ck_" + "a1b2c3d4" * 6
LMS = "https://lms.example"
STRANGER = "https://stranger.example"


class Host:
    """A host platform: publishes its keys, and knows opaque tokens and sessions."""

    def __init__(self) -> None:
        self.private = ed25519.Ed25519PrivateKey.generate()
        self.people: dict[tuple[str, str], dict] = {}
        self.asked: list[dict] = []
        self.fetched = 0
        self.up = True
        host = self

        class Handler(BaseHTTPRequestHandler):
            def log_message(self, *_: object) -> None:
                pass

            def do_GET(self) -> None:
                host.fetched += 1
                jwk = {**json.loads(OKPAlgorithm.to_jwk(host.private.public_key())), "kid": "k1"}
                self.answer({"keys": [jwk]})

            def do_POST(self) -> None:
                form = parse_qs(self.rfile.read(int(self.headers["content-length"])).decode())
                ((field, (value,)),) = form.items()
                host.asked.append({"field": field, "secret": self.headers["authorization"]})
                self.answer(host.people.get((field, value), {"active": False}))

            def answer(self, what: dict) -> None:
                body = json.dumps(what).encode()
                self.send_response(200 if host.up else 500)
                self.send_header("content-length", str(len(body)))
                self.end_headers()
                self.wfile.write(body)

        self.http = ThreadingHTTPServer(("127.0.0.1", free_port()), Handler)
        self.url = f"http://127.0.0.1:{self.http.server_port}"
        threading.Thread(target=self.http.serve_forever, daemon=True).start()

    def knows(self, field: str, value: str, user: int, **more: object) -> str:
        self.people[field, value] = {"active": True, "user_id": user, **more}
        return value

    def token(self, user: int, kid: str = "k1", **claims: object) -> str:
        claims = {"user_id": user, "iss": "https://sso.example", "exp": time.time() + 600, **claims}
        return jwt.encode(claims, self.private, algorithm="EdDSA", headers={"kid": kid})

    def stop(self) -> None:
        self.http.shutdown()
        self.http.server_close()


def auth(host: Host, **changes: object) -> dict:
    issuer = {"issuer": "https://sso.example", "jwks_url": f"{host.url}/jwks", "algorithms": ["EdDSA"], "allow_private_addresses": True}
    introspection = {"url": f"{host.url}/introspect", "secret": "between us"}
    return {"jwks": [issuer], "introspection": introspection, "cookie": {"name": "sessionid"}, **changes}


def keys() -> list[dict]:
    return [
        {"name": "campus", "key": PUBLISHER, "scopes": ["publish", "roster", "metrics"]},
        {"name": "office", "key": ADMIN, "scopes": ["admin"]},
    ]


class Sources(unittest.TestCase):
    @classmethod
    def setUpClass(cls) -> None:
        cls.host = Host()
        cls.addClassCleanup(cls.host.stop)
        cls.server = school(auth=auth(cls.host), allowed_origins=[LMS])
        cls.addClassCleanup(cls.server.stop)

    def said(self, headers: dict, path: str = "/api/poll") -> str:
        answer = call(self.server, "GET", path, headers=headers)
        return "ok" if answer.status == 200 else answer.code

    def test_an_issuer_s_tokens_are_held_against_the_keys_it_publishes(self) -> None:
        with Ws(self.server, self.host.token(2)) as ws:
            self.assertEqual(ws.frame()["user_id"], 2)
        self.assertEqual(self.said(bearer(self.host.token(2, is_approved=False))), "not_approved")
        self.assertEqual(self.said(bearer(self.host.token(2, kid="k2"))), "invalid_token")
        for place in range(20):
            self.said(bearer(self.host.token(2, kid=f"k{place}")))
        self.assertEqual(self.host.fetched, 1)
        # A token with the issuer's name by the server's own secret is nobody's.
        self.assertEqual(self.said(bearer(token(2, iss="https://sso.example"))), "invalid_token")
        self.assertEqual(self.said(bearer(token(2))), "ok", "the configured secret judges the others")

    def test_an_opaque_token_is_the_host_s_to_judge(self) -> None:
        known = self.host.knows("token", "9944b09199c62bcf9418", 2, role="student")
        before = len(self.host.asked)
        for headers, path in (({"Authorization": f"Token {known}"}, "/api/poll"), (bearer(known), "/api/poll"), ({}, f"/api/poll?token={known}")):
            self.assertEqual(self.said(headers, path), "ok")
        self.assertEqual(self.host.asked[before:], [{"field": "token", "secret": "Bearer between us"}])
        with Ws(self.server) as ws:
            self.assertEqual(ws.ask("auth", "connection_established", token=known)["user_id"], 2)
        self.assertEqual(self.said(bearer("nobody-knows-this")), "invalid_token")
        self.assertNotIn(known, self.server.log_text())

    def test_while_the_host_is_down_new_tokens_cannot_be_judged_and_known_ones_go_on(self) -> None:
        known = self.host.knows("token", "known-before", 2)
        self.assertEqual(self.said(bearer(known)), "ok")
        self.host.up = False
        try:
            answer = call(self.server, "GET", "/api/poll", headers=bearer("not-seen-yet"))
            self.assertEqual((answer.status, answer.code), (503, "auth_unavailable"))
            self.assertGreater(answer.retry_after_s, 0)
            with Ws(self.server, "not-seen-yet") as ws:
                self.assertEqual(ws.closed(), (4000, "auth_unavailable"))
                self.assertEqual([frame["type"] for frame in ws.seen], ["reconnect"])
            self.assertEqual(self.said(bearer(known)), "ok")
        finally:
            self.host.up = True

    def test_a_cookie_speaks_for_a_page_of_an_allowed_origin_alone(self) -> None:
        cookie = {"Cookie": f"theme=dark; sessionid={self.host.knows('session', 's-2', 2)}"}
        with Ws(self.server, headers=cookie, origin=LMS) as ws:
            self.assertEqual(ws.frame()["user_id"], 2)
        # Cross-site WebSocket hijacking: the browser sends the cookie, and the Origin of the page that asks.
        with Ws(self.server, headers=cookie, origin=STRANGER) as ws:
            self.assertEqual(ws.closed(), (4003, "origin_not_allowed"))
            self.assertEqual(ws.seen, [])
        self.assertEqual(self.said({**cookie, "Origin": LMS}), "ok")
        self.assertEqual(self.said({**cookie, "Origin": STRANGER}), "origin_not_allowed")
        self.assertEqual(self.said({**cookie, "Origin": "null"}), "origin_not_allowed")
        self.assertEqual(self.said(cookie), "no_credential", "without an Origin nobody knows which page asked")
        self.assertEqual(self.said({**cookie, "Origin": LMS, **bearer(token(1))}), "credential_conflict")
        preflighted = call(self.server, "GET", "/api/poll", headers={**cookie, "Origin": LMS})
        self.assertEqual(preflighted.headers["access-control-allow-credentials"], "true")

    def test_a_cookie_may_hold_a_jwt_and_writes_keep_the_same_rule(self) -> None:
        admin = {"Cookie": f"sessionid={token(3)}"}
        course = "/api/roster/courses/77"
        for origin, status in ((LMS, 200), (STRANGER, 403), (None, 401)):
            headers = {**admin, **({"Origin": origin} if origin else {})}
            self.assertEqual(call(self.server, "PUT", course, {"title": "Bells"}, headers).status, status, origin)


class Ends(unittest.TestCase):
    @classmethod
    def setUpClass(cls) -> None:
        cls.server = school(api_key=keys())
        cls.addClassCleanup(cls.server.stop)

    def revoke(self, credential: str, **what: object) -> tuple[int, dict]:
        answer = call(self.server, "POST", "/api/access/revocations", what, bearer(credential))
        return answer.status, answer.json

    def test_a_revoked_token_is_closed_everywhere_and_opens_nothing(self) -> None:
        given, other = token(4, jti="lost"), token(4, jti="kept")
        ticket = call(self.server, "POST", "/api/ticket", headers=bearer(given)).json["ticket"]
        with Ws(self.server, given) as ws, Sse(self.server, given) as sse, Ws(self.server, other) as kept:
            ws.until("connection_established"), sse.block(), kept.until("connection_established")
            status, answer = self.revoke(ADMIN, token_id="lost")
            self.assertEqual((status, answer["revoked"]), (200, "token"))
            self.assertEqual(ws.closed(), (4001, "revoked_token"))
            self.assertEqual(list(sse.messages()), [{"event": "expired", "code": "revoked_token"}])
            numbers = announce(self.server, "after")
            self.assertEqual(ids(kept.events(1)), numbers)
        self.assertEqual(poll(self.server, given).code, "revoked_token")
        answer = call(self.server, "GET", f"/api/poll?ticket={ticket}")
        self.assertEqual((answer.status, answer.code), (401, "revoked_token"), "a ticket is no better than what it was made with")
        self.server.restart()
        self.assertEqual(poll(self.server, given).code, "revoked_token")
        self.assertEqual(poll(self.server, other).status, 200)

    def test_a_person_signs_out_everywhere_and_comes_back_with_a_new_token(self) -> None:
        old = token(5, iat=time.time() - 5)
        with Ws(self.server, old) as ws:
            ws.until("connection_established")
            self.assertEqual(self.revoke(token(6, iat=time.time()), user_id=5)[0], 403)
            self.assertEqual(self.revoke(old, user_id=5)[0], 200)
            self.assertEqual(ws.closed(), (4001, "revoked_token"))
        self.assertEqual(poll(self.server, old).code, "revoked_token")
        self.assertEqual(poll(self.server, token(5, iat=time.time())).status, 200)

    def test_a_person_sees_and_ends_their_own_connections(self) -> None:
        given = token(7)
        with Ws(self.server, given) as ws, Ws(self.server, given) as kept, Ws(self.server, token(8)) as other:
            name = ws.until("connection_established")["connection"]
            kept.until("connection_established"), other.until("connection_established")
            mine = call(self.server, "GET", "/api/access/sessions", headers=bearer(given)).json["sessions"]
            self.assertEqual([(one["user_id"], one["transport"]) for one in mine], [(7, "ws"), (7, "ws")])
            self.assertIn(name, [one["connection"] for one in mine])
            everybody = call(self.server, "GET", "/api/access/sessions", headers=bearer(ADMIN)).json["sessions"]
            self.assertGreaterEqual(len(everybody), 3)
            self.assertEqual(call(self.server, "GET", "/api/access/sessions?user_id=8", headers=bearer(given)).status, 403)
            self.revoke(token(8), connection=name)
            self.assertEqual(kept.settle(), [], "somebody else's connection is not theirs to end")
            self.revoke(given, connection=name)
            self.assertEqual(ws.closed(), (4001, "revoked_token"))
            kept.settle(), other.settle()
        self.assertEqual(poll(self.server, given).status, 200, "the token stays good")


class TwoNodes(unittest.TestCase):
    @classmethod
    def setUpClass(cls) -> None:
        if not os.environ.get("CAMPANILE_TEST_POSTGRES"):
            raise unittest.SkipTest("no PostgreSQL")
        database = Database()
        cls.addClassCleanup(database.drop)
        cls.a, cls.b = (cls.node(database) for _ in range(2))
        found_school(cls.a)

    @classmethod
    def node(cls, database: Database) -> Server:
        server = Server(config=configuration(api_key=keys()), store=database.address)
        cls.addClassCleanup(server.stop)
        return server.start()

    def test_what_is_revoked_on_one_node_is_closed_on_the_other(self) -> None:
        caught_up(self.b)
        first, second = token(1, jti="one"), token(2, iat=time.time() - 5)
        with Ws(self.b, first) as by_token, Ws(self.b, second) as by_user, Ws(self.b, token(4)) as by_name, Ws(self.b, token(5)) as kept:
            name = by_name.until("connection_established")["connection"]
            for ws in (by_token, by_user, kept):
                ws.until("connection_established")
            for what in ({"token_id": "one"}, {"user_id": 2}, {"connection": name}):
                self.assertEqual(call(self.a, "POST", "/api/access/revocations", what, bearer(ADMIN)).status, 200)
            for ws in (by_token, by_user, by_name):
                self.assertEqual(ws.closed(OTHER_NODE_S + 1), (4001, "revoked_token"))
            kept.settle()
        for node in (self.a, self.b):
            for given in (first, second):
                self.assertEqual(poll(node, given).code, "revoked_token")


if __name__ == "__main__":
    unittest.main()
