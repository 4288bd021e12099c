"""Runs every test_*.py beside this file, several test classes at a time, and closes with one line of counts.

`run.py test_tokens test_tokens.Expiry …` runs these alone. Each class runs in a process of its own: most of its time is waiting.
"""

import contextlib
import json
import os
import signal
import subprocess
import sys
import unittest
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path

HERE = Path(__file__).parent
# Classes at a time: they wait for servers much more than they compute.
AT_A_TIME = 4
CLASS_S_MAX = 300
COUNTS = ("passed", "failed", "skipped")
CHILDREN: list[subprocess.Popen] = []


def classes_of(names: list[str]) -> list[str]:
    """The names of test classes; a module stands for its classes, a test for itself."""
    sys.path.insert(0, str(HERE))
    loader = unittest.defaultTestLoader
    suite = loader.loadTestsFromNames(names) if names else loader.discover(str(HERE))
    if any(name.count(".") > 1 for name in names):
        return names
    found: dict[str, int] = {}

    def walk(tests: unittest.TestSuite) -> None:
        for test in tests:
            if isinstance(test, unittest.TestSuite):
                walk(test)
            else:
                # A module that cannot be imported shows as a test that fails, under the module's own name.
                broken = type(test).__name__ == "_FailedTest"
                name = test.id().rsplit(".", 1)[-1] if broken else f"{type(test).__module__}.{type(test).__name__}"
                order = getattr(sys.modules.get(type(test).__module__), "SECONDS_EXPECTED", 0)
                found[name] = order

    walk(suite)
    # The long ones first, so that none of them is left alone at the end.
    return sorted(found, key=lambda name: -found[name])


def run_here(name: str) -> int:
    """The child's part: one class, its counts as JSON in the last line."""
    sys.path.insert(0, str(HERE))
    result = unittest.TextTestRunner(stream=sys.stdout, verbosity=2).run(unittest.defaultTestLoader.loadTestsFromName(name))
    # A fixture of a class or module that breaks counts as a failure without having counted as a test.
    failed = len(result.failures) + len(result.errors) + len(result.unexpectedSuccesses)
    skipped = len(result.skipped)
    print(json.dumps({"passed": max(0, result.testsRun - failed - skipped), "failed": failed, "skipped": skipped}), flush=True)
    return 0 if failed == 0 else 1


def run_beside(name: str) -> tuple[str, dict]:
    """The parent's part: the class in a process of its own; what it printed, and its counts."""
    command = [sys.executable, "-B", "-X", "utf8", str(Path(__file__)), "--class", name]
    child = subprocess.Popen(
        command, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, start_new_session=True
    )
    CHILDREN.append(child)
    try:
        text, _ = child.communicate(timeout=CLASS_S_MAX)
    except subprocess.TimeoutExpired:
        end(child)
        text, _ = child.communicate()
        return f"{text}\n{name} did not end within {CLASS_S_MAX} s\n", {"passed": 0, "failed": 1, "skipped": 0}
    try:
        body, _, last = text.rstrip().rpartition("\n")
        return body + "\n", json.loads(last)
    except ValueError:
        return f"{text}\n{name} ended without a result, status {child.returncode}\n", {"passed": 0, "failed": 1, "skipped": 0}


def end(child: subprocess.Popen) -> None:
    """Ends a child and its servers, which are of its session: nothing that it started stays."""
    with contextlib.suppress(ProcessLookupError):
        os.killpg(child.pid, signal.SIGKILL)


def interrupted(*_: object) -> None:
    for child in CHILDREN:
        if child.poll() is None:
            end(child)
    os._exit(130)


def main(names: list[str]) -> int:
    for word in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(word, interrupted)
    total = dict.fromkeys(COUNTS, 0)
    with ThreadPoolExecutor(AT_A_TIME) as pool:
        runs: list[Future] = [pool.submit(run_beside, name) for name in classes_of(names)]
        for run in runs:
            text, counts = run.result()
            print(text, end="", flush=True)
            for count in COUNTS:
                total[count] += counts[count]
    skipped = f", {total['skipped']} skipped" if total["skipped"] else ""
    print(f"{total['passed']} passed, {total['failed']} failed{skipped}", flush=True)
    if sum(total.values()) == 0:
        print("no test was found", file=sys.stderr)
        return 1
    return 0 if total["failed"] == 0 else 1


if __name__ == "__main__":
    arguments = sys.argv[1:]
    sys.exit(run_here(arguments[1]) if arguments[:1] == ["--class"] else main(arguments))
