# SPDX-License-Identifier: Apache-2.0
"""The tests of the command, with the command under valgrind's memcheck.

usage: run.py TESTS WRAPPER     prints what pytest prints, or skips with status 77

Only those that are quick enough. An error or a lost block makes the command
exit with a status that no test expects, and its report is shown.
"""
import os
import pathlib
import shutil
import subprocess
import sys
import tempfile

CHOSEN = ["test_verbs.py", "test_usage.py", "test_look.py"]


def main(tests, wrapper):
    if not shutil.which("valgrind"):
        print("# SKIP valgrind is not installed")
        return 77
    with tempfile.TemporaryDirectory() as reports:
        env = dict(os.environ, SEMUNDO_PLAIN=os.environ["SEMUNDO"], SEMUNDO=wrapper,
                   SEMUNDO_REPORTS=reports)
        status = subprocess.run(
            [sys.executable, "-m", "pytest", "-q", "--tb=short", "-p", "no:cacheprovider",
             "--rootdir", tests, *(os.path.join(tests, name) for name in CHOSEN)],
            env=env, check=False).returncode
        for report in sorted(pathlib.Path(reports).iterdir()):
            text = report.read_text(errors="replace")
            if text.strip():
                print(f"{report.name}:\n{text}")
                status = status or 1
    return status


sys.exit(main(*sys.argv[1:]))
