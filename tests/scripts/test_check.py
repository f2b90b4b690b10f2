# SPDX-License-Identifier: Apache-2.0
"""`make check` fails when it must. A stand-in plays meson."""
import json
import os
import pathlib
import subprocess

import pytest

CHECK = pathlib.Path(__file__).resolve().parents[2] / "scripts" / "check"
GOOD = json.dumps({"name": "t", "result": "OK", "stdout": "", "returncode": 0})
BAD = json.dumps({"name": "t", "result": "FAIL", "stdout": "", "returncode": 1})


@pytest.fixture(name="build")
def fixture_build(tmp_path):
    (tmp_path / "meson-logs").mkdir()
    return tmp_path


def check(build, body, *arguments):
    meson = build / "meson"
    meson.write_text(f"#!/bin/sh\n{body}\n", encoding="ascii")
    meson.chmod(0o755)
    done = subprocess.run([CHECK, build, *arguments], env=dict(os.environ, MESON=str(meson)),
                          stdin=subprocess.DEVNULL, capture_output=True, text=True, check=False,
                          timeout=60)
    return done.returncode, done.stdout.splitlines()


def log(build, line):
    return f"echo '{line}' >{build}/meson-logs/testlog.json"


def test_passes_and_hands_arguments_on(build):
    status, out = check(build, log(build, GOOD) + '\necho "called with: $*"', "--suite", "x")
    assert status == 0
    assert f"called with: test -C {build} --print-errorlogs --suite x" in out
    assert out[-1] == "1 passed, 0 failed, 0 skipped"


def test_several_builds_add_up(build, tmp_path_factory):
    other = tmp_path_factory.mktemp("other")
    (other / "meson-logs").mkdir()
    body = f'echo "called with: $*"\necho \'{GOOD}\' >$3/meson-logs/testlog.json'
    status, out = check(build, body, "--suite", "x", "--", other, "--suite", "y")
    assert status == 0
    assert f"called with: test -C {build} --print-errorlogs --suite x" in out
    assert f"called with: test -C {other} --print-errorlogs --suite y" in out
    assert out[-1] == "2 passed, 0 failed, 0 skipped"


def test_fails_if_the_first_of_several_does(build, tmp_path_factory):
    other = tmp_path_factory.mktemp("other")
    (other / "meson-logs").mkdir()
    body = f"echo '{GOOD}' >$3/meson-logs/testlog.json\n[ $3 != {build} ]"
    status, out = check(build, body, "--", other)
    assert status != 0
    assert out[-1] == "2 passed, 0 failed, 0 skipped"


def test_fails_with_a_failed_test(build):
    status, out = check(build, log(build, BAD) + "\nexit 1")
    assert status != 0
    assert out[-1] == "0 passed, 1 failed, 0 skipped"


def test_fails_with_meson(build):
    status, _ = check(build, log(build, GOOD) + "\nexit 2")
    assert status != 0


def test_does_not_count_an_earlier_run(build):
    (build / "meson-logs" / "testlog.json").write_text(GOOD, encoding="ascii")
    status, out = check(build, "true")
    assert status != 0
    assert out[-1] == "0 passed, 0 failed, 0 skipped"


def test_fails_when_something_is_left(build):
    status, out = check(build, log(build, GOOD) + '\n: >"$SEMUNDO_DIR/semundo.forgotten"')
    assert status != 0
    left = [line for line in out if line.endswith("/semundo.forgotten")]
    assert len(left) == 1
    assert not os.path.exists(os.path.dirname(left[0]))
