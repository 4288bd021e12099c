"""The README's commands do what it says. `make test` is what runs this file; here is the other one, and the configuration it shows."""

import os
import re
import signal
import subprocess
import tempfile
import tomllib
import unittest
import urllib.request
from pathlib import Path

from server import Server, free_port, wait_until

ROOT = Path(__file__).resolve().parents[2]
README = (ROOT / "README.md").read_text(encoding="utf-8")


class Readme(unittest.TestCase):
    def test_make_run_starts_the_demo_school_and_prints_lines_that_work_when_pasted(self) -> None:
        port, folder = free_port(), self.enterContext(tempfile.TemporaryDirectory(prefix="campanile-readme-"))
        out = self.enterContext(open(Path(folder, "out.txt"), "w+", encoding="utf-8"))
        env = {**os.environ, "CAMPANILE_STORE": f"sqlite://{folder}/campanile.db"}
        # Its own process group: make and the server are told to end together, as a terminal does.
        make = subprocess.Popen(
            ["make", "--no-print-directory", "run", f"PORT={port}"], cwd=ROOT, env=env, stdout=out, stderr=subprocess.STDOUT,
            start_new_session=True,
        )
        self.addCleanup(make.wait)
        self.addCleanup(os.killpg, make.pid, signal.SIGINT)

        def printed() -> str:
            self.assertIsNone(make.poll(), Path(folder, "out.txt").read_text(encoding="utf-8"))
            text = Path(folder, "out.txt").read_text(encoding="utf-8")
            return text if "Publish to course 7" in text and "-d '" in text else ""

        # The binary is built already when `make test` comes here; a fresh machine compiles first.
        text = wait_until(printed, seconds=900, what="the demo's lines")
        publish = re.search(r"(curl -X POST .*\\\n.*)\n", text)[1]
        poll = re.search(r"(curl -H .*api/poll.*)\n", text)[1]
        said = subprocess.run(["bash", "-c", publish], capture_output=True, text=True, check=True, timeout=30)
        self.assertIn('"channel":"course:7"', said.stdout)
        heard = subprocess.run(["bash", "-c", poll], capture_output=True, text=True, check=True, timeout=60)
        self.assertIn("The bell rings", heard.stdout)

    def test_the_configuration_that_it_shows_starts_a_server(self) -> None:
        shown = re.search(r"```toml\n(.*?)```", README, re.S)[1]
        # The two placeholders are secrets, which a README cannot hold.
        shown = shown.replace("your platform's signing key", os.urandom(32).hex())
        shown = shown.replace("sha256 of a key that begins with ck_", os.urandom(32).hex())
        server = Server(config=tomllib.loads(shown)).start()
        self.addCleanup(server.stop)
        with urllib.request.urlopen(server.url("/readyz"), timeout=10) as answer:
            self.assertEqual(answer.status, 200)


if __name__ == "__main__":
    unittest.main()
