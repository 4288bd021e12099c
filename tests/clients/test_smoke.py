"""The binary starts on SQLite, says that it lives, and ends when it is told to."""

import unittest
import urllib.request

from server import Server


class Smoke(unittest.TestCase):
    def test_a_dev_server_answers_healthz_and_ends_cleanly(self) -> None:
        server = Server().start()
        try:
            with urllib.request.urlopen(server.url("/healthz"), timeout=5) as answer:
                self.assertEqual(answer.status, 200)
        finally:
            status = server.stop()
        self.assertEqual(status, 0)


if __name__ == "__main__":
    unittest.main()
