"""A real Campanile for one test class: started on a free port, stopped by its pid."""

import contextlib
import json
import os
import random
import signal
import socket
import ssl
import subprocess
import tempfile
import time
import urllib.error
import urllib.request
from collections.abc import Callable
from pathlib import Path

START_S_MAX = 30
STOP_S_MAX = 20
POLL_S = 0.05


def free_port() -> int:
    """A port that nobody listens on. Below 10000: some machines give out everything above to outgoing connections."""
    for _ in range(100):
        port = random.randrange(5500, 9900)
        with socket.socket() as probe, contextlib.suppress(OSError):
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            probe.bind(("127.0.0.1", port))
            return port
    raise RuntimeError("no free port between 5500 and 9900")


def wait_until(condition: Callable[[], object], seconds: float = 10, what: str = "the condition") -> object:
    """Asks again and again until the condition is true; answers what it said."""
    deadline = time.monotonic() + seconds
    while True:
        if said := condition():
            return said
        if time.monotonic() > deadline:
            raise AssertionError(f"{what} did not come within {seconds} s")
        time.sleep(0.01)


def stands_still(value: Callable[[], float], seconds: float = 20, still_s: float = 0.3) -> None:
    """Waits until the value has begun to move and then has not moved any more for a moment."""
    last, since = 0.0, time.monotonic()

    def is_still() -> bool:
        nonlocal last, since
        if (now := value()) != last:
            last, since = now, time.monotonic()
        return now > 0 and time.monotonic() - since > still_s

    wait_until(is_still, seconds, "a value that stands still")


def toml(table: dict, path: str = "") -> str:
    """A table as TOML. A basic string of TOML may be written as JSON writes it."""
    plain, nested = [], []
    for name, value in table.items():
        key = json.dumps(name) if not name.replace("_", "").isalnum() else name
        place = f"{path}.{key}" if path else key
        if isinstance(value, dict):
            nested.append(f"[{place}]\n{toml(value, place)}")
        elif isinstance(value, list) and value and isinstance(value[0], dict):
            nested.extend(f"[[{place}]]\n{toml(entry, place)}" for entry in value)
        else:
            plain.append(f"{key} = {json.dumps(value)}\n")
    return "".join(plain + nested)


class Server:
    """`with Server() as server:` or start() and stop(). `options` are added to `serve`.

    Without `config` it is a `--dev` server; with one, a production server that reads it from campanile.toml. `store` is the address of
    another store than its own SQLite file; `before` is a command that starts it, such as strace. With `trust`, clients speak TLS to it.
    """

    def __init__(
        self, *options: str, config: dict | None = None, store: str = "", port: int = 0, before: tuple = (),
        trust: ssl.SSLContext | None = None,
    ) -> None:
        self.folder = tempfile.TemporaryDirectory(prefix="campanile-clients-")
        self.options = options
        self.config = config
        self.store = store or f"sqlite://{self.folder.name}/school.db"
        self.port = port
        self.before = before
        self.trust = trust
        self.process: subprocess.Popen | None = None

    @property
    def address(self) -> str:
        return f"127.0.0.1:{self.port}"

    @property
    def path(self) -> Path:
        return Path(self.folder.name)

    @property
    def pid(self) -> int:
        return self.process.pid

    def url(self, path: str) -> str:
        return f"{'https' if self.trust else 'http'}://{self.address}{path}"

    def log_text(self) -> str:
        return (self.path / "server.log").read_text(errors="replace")

    def start(self) -> "Server":
        is_given = self.port != 0
        # Between drawing a port and binding it another test may take it: draw again.
        for _ in range(8):
            self.port = self.port or free_port()
            self._spawn()
            status = self._answers_or_ends()
            if status is None:
                return self
            if is_given or "in use" not in self.log_text():
                raise self._failed(f"the server ended with status {status}")
            self.port = 0
        raise self._failed("no port could be bound")

    def _spawn(self) -> None:
        source = ["--dev"]
        if self.config is not None:
            (self.path / "campanile.toml").write_text(toml(self.config))
            source = ["--config", str(self.path / "campanile.toml")]
        command = [*self.before, os.environ["CAMPANILE_BIN"], "serve", *source, "--listen", self.address, "--store", self.store]
        with open(self.path / "server.log", "ab") as log:
            # Without a configuration of its own it must not find somebody else's in the folder where the tests were started.
            self.process = subprocess.Popen(
                [*command, *self.options], stdin=subprocess.DEVNULL, stdout=log, stderr=log, cwd=self.folder.name
            )

    def _answers_or_ends(self) -> int | None:
        """The exit status, if it ended instead of answering."""
        for _ in range(int(START_S_MAX / POLL_S)):
            if self._answers():
                return None
            # Ends early when the server does: there is nothing to wait for then.
            with contextlib.suppress(subprocess.TimeoutExpired):
                return self.process.wait(timeout=POLL_S)
        raise self._failed(f"the server did not answer within {START_S_MAX} s")

    def _answers(self) -> bool:
        try:
            with urllib.request.urlopen(self.url("/healthz"), timeout=2, context=self.trust) as answer:
                # Another server may have been faster on this port, and then ours has ended.
                return answer.status == 200 and self.process.poll() is None
        except (OSError, urllib.error.URLError):
            return False

    def _failed(self, sentence: str) -> RuntimeError:
        text = self.log_text()
        self.stop()
        return RuntimeError(f"{sentence}; its log:\n{text}")

    def end(self, how: signal.Signals = signal.SIGTERM, seconds: float = STOP_S_MAX) -> int | None:
        """Sends the signal and returns the exit status. Its folder stays, so that it can be started again."""
        if self.process is None:
            return None
        process, self.process = self.process, None
        process.send_signal(how)
        try:
            return process.wait(timeout=seconds)
        except subprocess.TimeoutExpired:
            process.kill()
            return process.wait()

    def kill(self) -> None:
        self.end(signal.SIGKILL)

    def restart(self) -> "Server":
        """Ends it gracefully and starts it on the same port, store and configuration."""
        self.end()
        return self.start()

    def memory_kib(self) -> int:
        status = Path(f"/proc/{self.pid}/status").read_text()
        return next(int(line.split()[1]) for line in status.splitlines() if line.startswith("VmRSS:"))

    def stop(self) -> int | None:
        """Asks for a graceful end, insists after STOP_S_MAX, and returns the exit status."""
        status = self.end()
        self.folder.cleanup()
        return status

    def __enter__(self) -> "Server":
        # One that was handed over started stays the one that is stopped.
        return self if self.process else self.start()

    def __exit__(self, *_: object) -> None:
        self.stop()
