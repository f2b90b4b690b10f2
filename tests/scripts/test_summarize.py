# SPDX-License-Identifier: Apache-2.0
"""The closing line of `make check` counts every case, and fails when it must."""
import json
import pathlib
import subprocess
import sys

import pytest

SUMMARIZE = pathlib.Path(__file__).resolve().parents[2] / "scripts" / "summarize"

TAP_GOOD = "1..2\nok 1 - a.c:one:x: Passed\nok 2 - a.c:two:y: Passed\n"
TAP_BAD = "1..2\nok 1 - a.c:one:x: Passed\nnot ok 2 - a.c:two:y: said so # 3\n"
TAP_SKIP = "1..2\nok 1 - one\nok 2 - two # SKIP no such kernel\n"
PYTEST = "....\n====== 2 failed, 4 passed, 1 skipped, 1 error in 0.32s ======\n"
UNITTEST = "..s\n------\nRan 3 tests in 0.010s\n\nOK (skipped=1)\n"
UNITTEST_BAD = "Ran 9 tests in 1.010s\n\nFAILED (failures=2, errors=1, skipped=3)\n"
CHECK = "Running suite(s): s\n75%: Checks: 4, Failures: 1, Errors: 0\n"


def summarize(tmp_path, *tests, returncode=0):
    log = tmp_path / "testlog.json"
    log.write_text("".join(
        json.dumps({"name": "t", "result": result, "stdout": stdout, "returncode": returncode})
        + "\n"
        for result, stdout in tests))
    done = subprocess.run([sys.executable, SUMMARIZE, log], capture_output=True, text=True,
                          check=False)
    assert not done.stderr
    return done.returncode, done.stdout.splitlines()[-1]


@pytest.mark.parametrize("result, stdout, status, line", [
    ("OK", TAP_GOOD, 0, "2 passed, 0 failed, 0 skipped"),
    ("FAIL", TAP_BAD, 1, "1 passed, 1 failed, 0 skipped"),
    ("OK", TAP_SKIP, 0, "1 passed, 0 failed, 1 skipped"),
    ("FAIL", PYTEST, 1, "4 passed, 3 failed, 1 skipped"),
    ("OK", UNITTEST, 0, "2 passed, 0 failed, 1 skipped"),
    ("OK", "Ran 1 test in 0.1s\n\nOK\n", 0, "1 passed, 0 failed, 0 skipped"),
    ("FAIL", UNITTEST_BAD, 1, "3 passed, 3 failed, 3 skipped"),
    ("FAIL", CHECK, 1, "3 passed, 1 failed, 0 skipped"),
    ("OK", "looks ok to me\n", 0, "1 passed, 0 failed, 0 skipped"),
    ("SKIP", "1..0 # SKIP no such kernel\n", 1, "0 passed, 0 failed, 1 skipped"),
    ("SKIP", "", 1, "0 passed, 1 failed, 0 skipped"),
    ("EXPECTEDFAIL", "", 0, "1 passed, 0 failed, 0 skipped"),
])
def test_one_test(tmp_path, result, stdout, status, line):
    assert summarize(tmp_path, (result, stdout)) == (status, line)


@pytest.mark.parametrize("result", ["TIMEOUT", "ERROR", "INTERRUPT", "FAIL", "UNEXPECTEDPASS"])
def test_broken_off_after_good_cases(tmp_path, result):
    assert summarize(tmp_path, (result, TAP_GOOD)) == (1, "2 passed, 1 failed, 0 skipped")


def test_skipped_by_exit_status(tmp_path):
    assert summarize(tmp_path, ("SKIP", ""), returncode=77) == (1, "0 passed, 0 failed, 1 skipped")


def test_several_add_up(tmp_path):
    tests = [("OK", TAP_GOOD), ("OK", "3 passed in 1.20s\n"), ("OK", "")]
    assert summarize(tmp_path, *tests) == (0, "6 passed, 0 failed, 0 skipped")


def test_nothing_ran(tmp_path):
    assert summarize(tmp_path) == (1, "0 passed, 0 failed, 0 skipped")


def test_no_log():
    done = subprocess.run([sys.executable, SUMMARIZE, "/nonexistent/log"], capture_output=True,
                          text=True, check=False)
    assert done.returncode == 1
    assert done.stdout.splitlines()[-1] == "0 passed, 0 failed, 0 skipped"


def write_log(path, *tests):
    path.write_text("".join(
        json.dumps({"name": "t", "result": result, "stdout": stdout, "returncode": 0}) + "\n"
        for result, stdout in tests))
    return path


@pytest.mark.parametrize("second, status, line", [
    ([("OK", TAP_GOOD)], 0, "4 passed, 0 failed, 0 skipped"),
    ([("FAIL", TAP_BAD)], 1, "3 passed, 1 failed, 0 skipped"),
    ([("SKIP", "1..0 # SKIP no such compiler\n")], 0, "2 passed, 0 failed, 1 skipped"),
    ([], 1, "2 passed, 0 failed, 0 skipped"),
])
def test_several_files_add_up(tmp_path, second, status, line):
    first = write_log(tmp_path / "first", ("OK", TAP_GOOD))
    other = write_log(tmp_path / "second", *second)
    done = subprocess.run([sys.executable, SUMMARIZE, first, other], capture_output=True,
                          text=True, check=False)
    assert (done.returncode, done.stdout.splitlines()[-1]) == (status, line)
