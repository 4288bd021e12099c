"""Stored before told: between a commit's write and the first byte that tells of it lies a completed sync, as the kernel saw it."""

import re
import shutil
import unittest
import uuid
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

from campus import PUBLISHER, announcement, bearer, call, publish, school, token
from readers import Sse, Ws
from server import wait_until

SECONDS_EXPECTED = 30

WRITES = ("pwrite64", "pwritev", "write", "writev", "sendto", "sendmsg")
SYNCS = ("fsync", "fdatasync")
CHANCES_MIN = 100


@dataclass
class Call:
    """A system call. Line numbers are moments: a call began on its first line and had returned on its last."""

    name: str
    target: str
    data: bytes
    began: int
    returned: int


def text_of(escaped: str) -> bytes:
    """What strace wrote as `\\x2f\\x74`."""
    return bytes.fromhex(escaped.replace("\\x", ""))


def calls_in(trace: Path) -> Iterator[Call]:
    """The writes and syncs of `strace -f -y -xx`."""
    unfinished: dict[str, tuple[int, str]] = {}
    with open(trace, encoding="ascii") as lines:
        for number, line in enumerate(lines):
            thread, _, rest = line.rstrip("\n").partition(" ")
            rest = rest.lstrip()
            began = number
            if rest.endswith("<unfinished ...>"):
                unfinished[thread] = (number, rest.removesuffix("<unfinished ...>"))
                continue
            if rest.startswith("<... "):
                if thread not in unfinished:
                    continue
                began, before = unfinished.pop(thread)
                rest = before + rest.partition(" resumed>")[2]
            found = re.match(r"(\w+)\(\d+<([^>]*)>", rest)
            # A call that failed told nobody anything, and synced nothing.
            if found is None or not re.search(r"\) += \d+$", rest):
                continue
            target = text_of(found[2]).decode(errors="replace") if found[2].startswith("\\x") else found[2]
            data = b"".join(text_of(piece) for piece in re.findall(r'"((?:\\x[0-9a-f]{2})*)"', rest))
            yield Call(found[1], target, data, began, number)


@dataclass
class Verdict:
    """What a trace says: how many tellings were looked at, of how many commits, and which came too early."""

    tellings: int
    commits: int
    too_early: list[str]
    unseen: list[str]


def judge(calls: list[Call], told: dict[bytes, list[bytes]]) -> Verdict:
    """`told` maps what identifies an event in the log file to the texts that tell of it on a socket."""
    to_log = [call for call in calls if call.name in WRITES and call.target.endswith("-wal")]
    to_sockets = [call for call in calls if call.name in WRITES and call.target.startswith(("socket:", "TCP"))]
    syncs = [call for call in calls if call.name in SYNCS and call.target.endswith("-wal")]
    verdict, commits = Verdict(0, 0, [], []), set()
    for marker, texts in told.items():
        written = next((call for call in to_log if marker in call.data), None)
        if written is None:
            verdict.unseen.append(f"{marker!r} in the log")
            continue
        # The first sync that began after the write had returned; told may be only what began after that sync had returned.
        sync = next((call for call in syncs if call.began > written.returned), None)
        commits.add(sync.began if sync else None)
        for text in texts:
            telling = next((call for call in to_sockets if text in call.data), None)
            if telling is None:
                verdict.unseen.append(f"{text!r} on a socket")
                continue
            verdict.tellings += 1
            if sync is None or sync.returned >= telling.began:
                verdict.too_early.append(f"{text!r} in line {telling.began + 1}, written in line {written.returned + 1}")
    verdict.commits = len(commits)
    return verdict


class FlushBeforeAnswer(unittest.TestCase):
    def test_a_completed_sync_lies_between_each_commit_s_write_and_its_first_answer_or_delivery(self) -> None:
        strace = shutil.which("strace")
        self.assertIsNotNone(strace, "scripts/install-test-needs installs strace")
        server = school()
        self.addCleanup(server.stop)
        server.end()
        trace = server.path / "trace"
        # -D: the server is our child and the tracer is not, so that the server's exit status and signals are its own.
        server.before = (
            strace, "-D", "-f", "-y", "-xx", "-s", "8192", "-o", str(trace), "-e", f"trace={','.join((*WRITES, *SYNCS))}",
        )
        server.start()
        told = self.publish_from_all_sides(server)
        server.end()
        wait_until(lambda: "exited with 0" in trace.read_text()[-2000:], 30, "the end of the trace")

        calls = list(calls_in(trace))
        verdict = judge(calls, told)
        self.assertEqual(verdict.unseen, [])
        self.assertEqual(verdict.too_early, [])
        print(f"\n{verdict.tellings} tellings of {len(told)} events in {verdict.commits} commits were looked at")
        self.assertGreater(verdict.tellings, CHANCES_MIN)
        self.assertGreater(verdict.commits, CHANCES_MIN)

        # The judge itself: without the syncs, or with syncs that return a little later, it must object.
        without = judge([call for call in calls if call.name not in SYNCS], told)
        self.assertEqual(len(without.too_early), verdict.tellings)
        late = [Call(c.name, c.target, c.data, c.began, c.returned + 10_000 * (c.name in SYNCS)) for c in calls]
        self.assertGreater(len(judge(late, told).too_early), verdict.tellings / 2)

    def publish_from_all_sides(self, server) -> dict[bytes, list[bytes]]:
        """Publishes, batches and commands, one after the other and at the same time, while people listen."""
        told: dict[bytes, list[bytes]] = {}

        def one(_: int) -> None:
            marker = uuid.uuid4().hex
            receipt = publish(server, announcement(marker)).json
            # On the WebSocket and the stream the event itself, to the publisher its receipt.
            told[marker.encode()] = [marker.encode(), b'{"id":%d,"channel"' % receipt["id"]]

        def batch(_: int) -> None:
            markers = [uuid.uuid4().hex for _ in range(5)]
            receipts = publish(server, {"events": [announcement(marker) for marker in markers]}).json["events"]
            for marker, receipt in zip(markers, receipts):
                told[marker.encode()] = [marker.encode(), b'{"id":%d,"channel"' % receipt["id"]]

        def command(_: int) -> None:
            marker = uuid.uuid4().hex
            answer = call(server, "PUT", "/api/roster/courses/7", {"title": marker}, bearer(PUBLISHER))
            # The id in it is this command's alone.
            told[marker.encode()] = [marker.encode(), answer.body]

        with Ws(server, token(1)) as ws, Ws(server, token(2)) as other, Sse(server, token(4)) as sse:
            ws.until("connection_established"), other.until("connection_established"), sse.block()
            for turn in range(110):
                one(turn)
            with ThreadPoolExecutor(6) as pool:
                list(pool.map(one, range(60)))
                list(pool.map(batch, range(10)))
                list(pool.map(command, range(20)))
            for reader in (ws, other):
                self.assertEqual(len(reader.events(240)), 240)
            sse.events(240)
        self.assertEqual(len(told), 240)
        return told


if __name__ == "__main__":
    unittest.main()
