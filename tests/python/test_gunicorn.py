# SPDX-License-Identifier: Apache-2.0
"""The example with gunicorn: the counts of busy workers beside the truth."""
import importlib.util
import os
import pathlib
import re
import subprocess
import sys
import unittest

from helpers import Case

RUN = pathlib.Path(__file__).resolve().parents[2] / "examples" / "gunicorn" / "run"


def run(*words, **env):
    done = subprocess.run([sys.executable, "-B", str(RUN), *words], stdin=subprocess.DEVNULL,
                          stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
                          universal_newlines=True, timeout=200, env=dict(os.environ, **env))
    return done.returncode, done.stdout


class Gunicorn(Case):
    @unittest.skipUnless(importlib.util.find_spec("gunicorn"),
                         "this interpreter has no gunicorn (Debian: gunicorn)")
    def test_counts(self):
        status, text = run("--workers", "4", "--rounds", "2", "--kills", "2")
        self.assertEqual(status, 0, text)
        rows = [list(map(int, found.groups())) for found in
                re.finditer(r"^.{34} +(\d+) +(\d+) +(\d+) +(\d+)$", text, re.M)]
        # The truth, and what multiprocessing, sysvipc and semundo say of it.
        self.assertEqual(rows, [[0, 0, 0, 0],
                                [3, 3, 3, 3], [1, 3, 1, 1], [0, 2, 0, 0],
                                [3, 5, 3, 3], [1, 5, 1, 1], [0, 4, 0, 0]], text)
        self.assertEqual(os.listdir(self.directory), [])

    def test_says_what_is_missing(self):
        status, text = run(PYTHONPATH="/nonexistent")
        self.assertEqual(status, 2)
        self.assertRegex(text, "this Python has no (gunicorn|semundo)")
