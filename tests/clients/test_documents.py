"""Runs the commands of the guides, block by block, as a reader would: in one folder, one after the other.

A fenced block marked `sh` is run to its end. `sh background` is started and left running until the guide is over. `toml` blocks that begin
with `# campanile.toml` are laid into that file. Port 8000 is any free port. Blocks marked `text`, `json` or anything else are only shown.
"""

import contextlib
import os
import re
import signal
import subprocess
import tempfile
import time
import unittest
from pathlib import Path

from server import free_port

ROOT = Path(__file__).parents[2]
BLOCK_S_MAX = 60
FENCE = re.compile(r"^```(\w+)((?: \w+)*)\n(.*?)^```$", re.MULTILINE | re.DOTALL)


class Guide:
    """One guide on its way."""

    def __init__(self, path: str) -> None:
        self.text = (ROOT / path).read_text()
        self.folder = tempfile.TemporaryDirectory(prefix="campanile-guide-")
        self.port = str(free_port())
        self.background: list[subprocess.Popen] = []
        binary = Path(os.environ["CAMPANILE_BIN"]).resolve()
        tools = Path(self.folder.name, "bin")
        tools.mkdir()
        (tools / "campanile").symlink_to(binary)
        venv = ROOT / ".campanile" / "venv" / "bin"
        self.environment = {
            name: value for name, value in os.environ.items() if not name.startswith("CAMPANILE_")
        } | {"PATH": f"{tools}:{venv}:{os.environ['PATH']}"}

    @property
    def work(self) -> Path:
        path = Path(self.folder.name, "work")
        path.mkdir(exist_ok=True)
        return path

    def run(self) -> int:
        """Runs every block; answers how many commands ran."""
        ran = 0
        for language, words, body in FENCE.findall(self.text):
            body = body.replace("8000", self.port)
            if language == "toml" and body.startswith("# campanile.toml"):
                (self.work / "campanile.toml").write_text(body)
            elif language == "sh":
                (self.start if "background" in words else self.finish)(body)
                ran += 1
        return ran

    def finish(self, body: str) -> None:
        done = subprocess.run(
            ["bash", "-euo", "pipefail", "-c", body], cwd=self.work, env=self.environment, stdin=subprocess.DEVNULL,
            capture_output=True, text=True, timeout=BLOCK_S_MAX,
        )
        assert done.returncode == 0, f"{body}\nended with {done.returncode}\n{done.stdout}\n{done.stderr}"

    def start(self, body: str) -> None:
        log = Path(self.folder.name, f"background-{len(self.background)}.log")
        with open(log, "wb") as file:
            child = subprocess.Popen(
                ["bash", "-euo", "pipefail", "-c", body], cwd=self.work, env=self.environment, stdin=subprocess.DEVNULL,
                stdout=file, stderr=file, start_new_session=True,
            )
        self.background.append(child)
        ready = ["curl", "--silent", "--fail", "--output", os.devnull, f"http://127.0.0.1:{self.port}/readyz"]
        deadline = time.monotonic() + BLOCK_S_MAX
        while subprocess.run(ready, check=False).returncode != 0:
            assert child.poll() is None, f"{body}\nended early\n{log.read_text()}"
            assert time.monotonic() < deadline, f"{body}\ndid not become ready\n{log.read_text()}"
            time.sleep(0.05)

    def stop(self) -> None:
        for child in self.background:
            with contextlib.suppress(ProcessLookupError):
                os.killpg(child.pid, signal.SIGTERM)
        for child in self.background:
            try:
                child.wait(timeout=20)
            except subprocess.TimeoutExpired:
                os.killpg(child.pid, signal.SIGKILL)
                child.wait()
        self.folder.cleanup()


class Guides(unittest.TestCase):
    def check(self, path: str, commands_min: int) -> None:
        guide = Guide(path)
        self.addCleanup(guide.stop)
        self.assertGreaterEqual(guide.run(), commands_min)

    def test_the_setup_guide_works_from_its_first_line_to_its_last(self) -> None:
        self.check("docs/setup.md", 8)

    def test_the_operations_guide(self) -> None:
        self.check("docs/operations.md", 5)

    def test_the_troubleshooting_guide(self) -> None:
        self.check("docs/troubleshooting.md", 5)

    def test_the_index_names_every_document(self) -> None:
        index = (ROOT / "docs" / "README.md").read_text()
        for document in sorted((ROOT / "docs").glob("*.md")):
            if document.name != "README.md":
                self.assertIn(f"({document.name})", index)

    def test_every_unit_that_a_guide_names_is_the_packages(self) -> None:
        for document in (ROOT / "docs").glob("*.md"):
            for unit in re.findall(r"systemctl \w+ (\S+?)[`\s]", document.read_text()):
                self.assertTrue((ROOT / "deploy" / f"{unit}.service").exists(), f"{document.name}: {unit}")


if __name__ == "__main__":
    unittest.main()
