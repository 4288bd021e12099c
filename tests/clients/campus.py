"""The host platform's side: its configuration, its tokens, its publishes, and a small school to publish to."""

import http.client
import json
import os
import secrets
import time
from pathlib import Path

import jwt
from server import Server

SECRET = secrets.token_hex(32)
PUBLISHER = f"ck_{secrets.token_hex(24)}"
PEOPLE = 12
COURSE = "course:7"


def configuration(**changes: dict | list) -> dict:
    """A production server's configuration; tables in `changes` are laid over it."""
    config = {
        "auth": {"hs256_secret": SECRET},
        "api_key": [{"name": "campus", "key": PUBLISHER, "scopes": ["publish", "roster", "metrics"]}],
        "event_type": [{"name": "note", "channel_kind": "course", "class": "technical"}],
    }
    for name, value in changes.items():
        config[name] = {**config.get(name, {}), **value} if isinstance(value, dict) else value
    return config


def token(user: int | str = 1, seconds: float = 600, secret: str = SECRET, **claims: object) -> str:
    """An HS256 token as PyJWT makes it. A claim of None is left out."""
    claims = {"user_id": user, "exp": time.time() + seconds, **claims}
    return jwt.encode({name: value for name, value in claims.items() if value is not None}, secret, algorithm="HS256")


class Answer:
    """What an HTTP request was answered."""

    def __init__(self, status: int, headers: http.client.HTTPMessage, body: bytes) -> None:
        self.status = status
        self.headers = headers
        self.body = body

    @property
    def json(self) -> dict:
        return json.loads(self.body)

    @property
    def code(self) -> str:
        """The problem's code; it must be a problem as PROTOCOL.md describes it."""
        assert self.headers["content-type"] == "application/problem+json", (self.status, self.headers.as_string(), self.body)
        problem = self.json
        assert problem["status"] == self.status and problem["message"], problem
        return problem["code"]

    @property
    def retry_after_s(self) -> int:
        return int(self.headers["retry-after"])

    def __repr__(self) -> str:
        return f"{self.status} {self.body[:500]!r}"


def http_connection(server: Server, timeout: float) -> http.client.HTTPConnection:
    if server.trust:
        return http.client.HTTPSConnection("127.0.0.1", server.port, timeout=timeout, context=server.trust)
    return http.client.HTTPConnection("127.0.0.1", server.port, timeout=timeout)


def call(server: Server, method: str, path: str, body: object = None, headers: dict | None = None, timeout: float = 30) -> Answer:
    """One request on a connection of its own. Bytes go as they are, anything else as JSON."""
    connection = http_connection(server, timeout)
    try:
        raw = body if isinstance(body, (bytes, type(None))) else json.dumps(body).encode()
        connection.request(method, path, raw, headers or {})
        answer = connection.getresponse()
        return Answer(answer.status, answer.headers, answer.read())
    finally:
        connection.close()


def bearer(credential: str, **headers: str) -> dict:
    return {"Authorization": f"Bearer {credential}", **headers}


def publish(server: Server, body: object, key: str = PUBLISHER, **headers: str) -> Answer:
    return call(server, "POST", "/api/events", body, bearer(key, **headers))


def caught_up(server: Server) -> None:
    """Waits until the node has applied what the log holds: a publish is answered when it is stored, which is a moment earlier."""
    call(server, "GET", "/readyz")


def note(text: object, channel: str = COURSE, kind: str = "note") -> dict:
    return {"type": kind, "channel": channel, "data": {"text": text}}


def announcement(title: str, channel: str = COURSE) -> dict:
    return {"type": "announcement", "channel": channel, "data": {"title": title, "body": "The bell rings"}}


def announce(server: Server, *titles: str, channel: str = COURSE) -> list[int]:
    """Publishes announcements in one batch and answers their ids."""
    answer = publish(server, {"events": [announcement(title, channel) for title in titles]})
    assert answer.status == 201, answer
    caught_up(server)
    return [event["id"] for event in answer.json["events"]]


def flood(server: Server, mebibytes: int, channel: str = COURSE) -> list[int]:
    """Publishes notes of 8 KiB, a mebibyte in all for each; more than a socket's buffers hold. Answers their ids."""
    numbers: list[int] = []
    for _ in range(mebibytes):
        answer = publish(server, {"events": [note("x" * 8000, channel)] * 128})
        assert answer.status == 201, answer
        numbers += [event["id"] for event in answer.json["events"]]
    caught_up(server)
    return numbers


def found_school(server: Server) -> Server:
    """Courses 7 and 8, people 1 to PEOPLE in course 7, the even ones in course 8 too; person 3 is an admin."""
    people = range(1, PEOPLE + 1)
    answer = call(server, "POST", "/api/roster/import", {
        "courses": [{"course_id": 7, "title": "Bell founding"}, {"course_id": 8, "title": "Campanology"}],
        "people": [
            {"person_id": person, "name": f"Person {person}", "role": "admin" if person == 3 else "student"} for person in people
        ],
        "registrations": [{"course_id": 7, "person_id": person} for person in people]
        + [{"course_id": 8, "person_id": person} for person in people if person % 2 == 0],
    }, bearer(PUBLISHER))
    assert answer.status == 200, answer
    return server


def registration(server: Server, method: str, person: int, course: int = 7) -> Answer:
    path = f"/api/roster/courses/{course}/registrations/{person}"
    return call(server, method, path, {} if method == "PUT" else None, bearer(PUBLISHER))


def school(*options: str, store: str = "", port: int = 0, before: tuple = (), **changes: dict | list) -> Server:
    """A started production server with the small school in it."""
    return found_school(Server(*options, config=configuration(**changes), store=store, port=port, before=before).start())


def vectors(*parts: str) -> Path | None:
    """A folder or file of the shared test vectors, when CAMPANILE_VECTORS says where they are."""
    folder = os.environ.get("CAMPANILE_VECTORS")
    path = Path(folder, *parts) if folder else None
    return path if path and path.exists() else None


def metric(server: Server, name: str) -> float:
    """The sum of a metric over its labels."""
    text = call(server, "GET", "/metrics", headers=bearer(PUBLISHER)).body.decode()
    lines = (line.split() for line in text.splitlines())
    return sum(float(line[-1]) for line in lines if line[0].partition("{")[0] == f"campanile_{name}")


def open_connections(server: Server) -> int:
    return int(metric(server, "connections"))
