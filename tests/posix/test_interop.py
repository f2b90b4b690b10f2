# SPDX-License-Identifier: Apache-2.0
"""The posix engine and programs that know nothing of semundo, on one name."""
import _multiprocessing
import os
import subprocess
import time

import pytest

SEMUNDO = os.environ["SEMUNDO"]
PLAIN = os.environ["PLAIN"]
LIMIT = 60
SEMAPHORE = 1


class Pair:
    """One name, as both sides call it."""

    def __init__(self, name):
        self.theirs = "/" + name
        self.ours = "posix:/" + name
        self.file = "/dev/shm/sem." + name

    def semundo(self, verb, *options):
        done = subprocess.run([SEMUNDO, verb, *options, self.ours], stdout=subprocess.PIPE,
                              stderr=subprocess.PIPE, text=True, timeout=LIMIT, check=False)
        return done.returncode, done.stdout.strip(), done.stderr

    def plain(self, verb):
        done = subprocess.run([PLAIN, verb, self.theirs], stdout=subprocess.PIPE, text=True,
                              timeout=LIMIT, check=False)
        assert done.returncode == 0
        return done.stdout.strip()

    def value(self):
        status, text, error = self.semundo("value")
        assert (status, error) == (0, "")
        return int(text)


@pytest.fixture(name="pair")
def _pair():
    pair = Pair(f"semundo-test-{os.getpid()}-{time.monotonic_ns()}")
    yield pair
    if os.path.lexists(pair.file):
        os.unlink(pair.file)


def sleeps(pid):
    with open(f"/proc/{pid}/wchan", encoding="ascii") as file:
        return "futex" in file.read()


def until(condition):
    end = time.monotonic() + LIMIT
    while not condition():
        assert time.monotonic() < end
        time.sleep(0.005)


def test_theirs_is_used_here(pair):
    pair.plain("make")
    assert pair.value() == 2
    assert pair.semundo("acquire")[0] == 0
    assert pair.plain("value") == "1"
    assert pair.semundo("release", "-n", "3")[0] == 0
    assert pair.plain("value") == "4"
    pair.plain("post")
    assert pair.value() == 5
    assert pair.semundo("rm")[0] == 0
    assert not os.path.exists(pair.file)


def test_ours_is_used_there(pair):
    assert pair.semundo("create", "--kind", "signal", "--value", "1", "--mode", "0640")[0] == 0
    assert os.stat(pair.file).st_mode & 0o777 == 0o640
    pair.plain("wait")
    assert pair.value() == 0
    waiting = subprocess.Popen([PLAIN, "wait", pair.theirs])
    until(lambda: sleeps(waiting.pid))
    assert pair.semundo("release")[0] == 0
    assert waiting.wait(LIMIT) == 0


def test_a_waiter_here_is_woken_from_there(pair):
    pair.semundo("create", "--kind", "signal")
    with subprocess.Popen([SEMUNDO, "acquire", pair.ours]) as waiting:
        until(lambda: sleeps(waiting.pid))
        pair.plain("post")
        assert waiting.wait(LIMIT) == 0
    assert pair.value() == 0


def test_semlock_of_multiprocessing(pair):
    lock = _multiprocessing.SemLock(SEMAPHORE, 1, 10, pair.theirs, False)
    assert pair.value() == 1
    assert pair.semundo("acquire")[0] == 0
    assert not lock.acquire(False)
    assert pair.semundo("acquire", "--nonblock")[0] == 1
    assert pair.semundo("release", "-n", "2")[0] == 0
    assert lock._get_value() == 2  # pylint: disable=protected-access
    assert lock.acquire(True, LIMIT)
    lock.release()
    lock.release()
    assert pair.value() == 3
    assert "posix" in pair.semundo("show")[1]


@pytest.mark.parametrize("contents", [b"", b"short", b"x" * 32, b"\0" * 31, b"\0" * 33,
                                      b"\xff" * 32, b"\0" * 16])
def test_foreign_files_are_refused(pair, contents):
    with open(pair.file, "wb") as file:
        file.write(contents)
    for verb in ("value", "acquire", "release"):
        status, _, error = pair.semundo(verb)
        assert (status, "not a semaphore" in error) == (65, True), error
    with open(pair.file, "rb") as file:
        assert file.read() == contents


def test_links_are_not_followed(pair):
    os.symlink("/dev/shm/none", pair.file)
    assert "symbolic link" in pair.semundo("value")[2]


@pytest.mark.parametrize("kind", ["lock", "permits"])
def test_undo_is_refused(pair, kind):
    status, _, error = pair.semundo("create", "--kind", kind)
    assert status == 65
    assert "nothing of it comes back" in error
    assert not os.path.exists(pair.file)
