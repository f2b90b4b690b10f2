# SPDX-License-Identifier: Apache-2.0
"""The stories of doc/multiprocessing.md: what multiprocessing does, and what semundo does."""
import os
import pathlib
import re
import subprocess
import sys
import unittest

from helpers import Case

STORIES = pathlib.Path(__file__).resolve().parents[2] / "examples" / "multiprocessing"
NUMBER = re.compile(r"process \d+")


class Stories(Case):
    def tell(self, story, kind):
        """Status and output, with N for the numbers of processes."""
        done = subprocess.run([sys.executable, "-B", str(STORIES / f"{story}.py"), kind],
                              stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                              stderr=subprocess.STDOUT, universal_newlines=True, timeout=200,
                              env=dict(os.environ))
        return done.returncode, NUMBER.sub("process N", done.stdout)

    def test_ring(self):
        self.assertEqual(self.tell("ring", "multiprocessing"), (0, """\
process N was killed after 3 of 8 entries
the next one adds its batch:
    it waits for the lock for ever
in the ring: 8, 3 and 0 entries of the three
"""))
        self.assertEqual(self.tell("ring", "semundo"), (0, """\
process N was killed after 3 of 8 entries
the next one adds its batch:
    it is told that process N died with the lock, and takes back 3 entries
    done
in the ring: 8, 0 and 8 entries of the three
"""))

    def test_prefork(self):
        begin = """\
count red: 1
count green: 1
crash red: the connection is closed
process N was killed; another takes its place
"""
        self.assertEqual(self.tell("prefork", "multiprocessing"), (0, begin + """\
count red: no answer
count red: no answer
count red: no answer
count green: no answer
"""))
        self.assertEqual(self.tell("prefork", "semundo"), (0, begin + """\
count red: 2 (process N died with its lock)
count red: 3
count red: 4
count green: 2
"""))

    def test_oom(self):
        status, text = self.tell("oom", "multiprocessing")
        if status == 77:
            self.skipTest(text.strip().partition("skipped: ")[2])
        self.assertEqual((status, text), (0, """\
process N took the lock and was ended by the OOM killer (oom_kill 1)
the other takes the lock:
    it waits for the lock for ever
"""))
        self.assertEqual(self.tell("oom", "semundo"), (0, """\
process N took the lock and was ended by the OOM killer (oom_kill 1)
the other takes the lock:
    it is told that process N died with the lock
    done
"""))

    def test_put(self):
        status, text = self.tell("put", "multiprocessing")
        self.assertEqual(status, 0, text)
        self.assertRegex(text, r"^process N of 20 was killed: (nothing more|\w+Error: )")
        self.assertEqual(self.tell("put", "semundo"), (
            0, "20 processes were killed, and all that came out of the queue was whole\n"))

    def test_name(self):
        begin = "a process was passed a lock, and begins after the lock was dropped here:\n"
        status, text = self.tell("name", "multiprocessing")
        self.assertEqual(status, 0, text)
        self.assertRegex(text, begin + r"(?s:.*)\nFileNotFoundError: (?s:.*)\n"
                         r"    its status is 1\n$")
        self.assertEqual(self.tell("name", "semundo"), (
            0, begin + "    the lock works\n    its status is 0\n"))


if __name__ == "__main__":
    unittest.main()
