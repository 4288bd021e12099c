"""A real Campanile on SQLite for one test class: started on a free port, stopped by its pid."""

import contextlib
import os
import random
import socket
import subprocess
import tempfile
import urllib.error
import urllib.request
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


class Server:
    """`with Server() as server:` or start() and stop(). `options` are added to `serve`."""

    def __init__(self, *options: str) -> None:
        self.folder = tempfile.TemporaryDirectory(prefix="campanile-clients-")
        self.options = options
        self.port = 0
        self.process: subprocess.Popen | None = None

    @property
    def address(self) -> str:
        return f"127.0.0.1:{self.port}"

    def url(self, path: str) -> str:
        return f"http://{self.address}{path}"

    def start(self) -> "Server":
        self.port = free_port()
        self.log = open(Path(self.folder.name) / "server.log", "ab")
        store = f"sqlite://{self.folder.name}/school.db"
        command = [os.environ["CAMPANILE_BIN"], "serve", "--dev", "--listen", self.address, "--store", store, *self.options]
        self.process = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=self.log, stderr=self.log)
        for _ in range(int(START_S_MAX / POLL_S)):
            if self._answers():
                return self
            # Ends early when the server does: there is nothing to wait for then.
            with contextlib.suppress(subprocess.TimeoutExpired):
                status = self.process.wait(timeout=POLL_S)
                raise self._failed(f"the server ended with status {status}")
        raise self._failed(f"the server did not answer within {START_S_MAX} s")

    def _answers(self) -> bool:
        try:
            with urllib.request.urlopen(self.url("/healthz"), timeout=2) as answer:
                return answer.status == 200
        except (OSError, urllib.error.URLError):
            return False

    def _failed(self, sentence: str) -> RuntimeError:
        text = (Path(self.folder.name) / "server.log").read_text(errors="replace")
        self.stop()
        return RuntimeError(f"{sentence}; its log:\n{text}")

    def stop(self) -> int | None:
        """Asks for a graceful end, insists after STOP_S_MAX, and returns the exit status."""
        status = None
        if self.process is not None:
            self.process.terminate()
            try:
                status = self.process.wait(timeout=STOP_S_MAX)
            except subprocess.TimeoutExpired:
                self.process.kill()
                status = self.process.wait()
            self.process = None
            self.log.close()
        self.folder.cleanup()
        return status

    def __enter__(self) -> "Server":
        return self.start()

    def __exit__(self, *_: object) -> None:
        self.stop()
