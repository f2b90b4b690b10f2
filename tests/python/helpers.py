# SPDX-License-Identifier: Apache-2.0
"""What the tests share: a directory of semaphores for each, and processes."""
import os
import shutil
import signal
import subprocess
import sys
import tempfile
import textwrap
import threading
import time
import unittest

LIMIT = 60


def until(condition, what):
    """Polls, where there is no event to wait for. Returns what it found."""
    end = time.monotonic() + LIMIT
    while True:
        found = condition()
        if found:
            return found
        if time.monotonic() > end:
            raise AssertionError(f"in vain: {what}")
        time.sleep(0.002)


class Process:
    """A Python program of its own. It says what it does in lines of output."""

    def __init__(self, code, *options, **env):
        self.popen = subprocess.Popen(
            [sys.executable, *options, "-c", "import semundo\n" + textwrap.dedent(code)],
            stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE,
            universal_newlines=True, env=dict(os.environ, **env))
        self.pid = self.popen.pid

    def line(self):
        line = self.popen.stdout.readline()
        if not line:
            raise AssertionError("it ended: " + self.popen.stderr.read())
        return line.rstrip("\n")

    def say(self, line=""):
        self.popen.stdin.write(line + "\n")
        self.popen.stdin.flush()

    def kill(self, number=signal.SIGKILL):
        os.kill(self.pid, number)

    def end(self):
        """Until it ends: status, output, errors."""
        output, errors = self.popen.communicate(timeout=LIMIT)
        return self.popen.returncode, output, errors

    def stop(self):
        if self.popen.poll() is None:
            self.popen.kill()
        self.popen.wait(LIMIT)
        for file in (self.popen.stdin, self.popen.stdout, self.popen.stderr):
            try:
                file.close()
            except BrokenPipeError:
                pass


class Case(unittest.TestCase):
    """Each test has a directory of its own, and leaves nothing."""

    def setUp(self):
        self.directory = tempfile.mkdtemp(prefix="semundo-py.", dir="/dev/shm")
        self.addCleanup(shutil.rmtree, self.directory)
        before = os.environ.get("SEMUNDO_DIR")
        os.environ["SEMUNDO_DIR"] = self.directory
        self.addCleanup(self._restore, before)

    @staticmethod
    def _restore(before):
        if before is None:
            del os.environ["SEMUNDO_DIR"]
        else:
            os.environ["SEMUNDO_DIR"] = before

    def open(self, cls, *args, **options):
        """An object that is closed after the test."""
        made = cls(*args, **options)
        self.addCleanup(made.close)
        return made

    def start(self, code, *options, **env):
        process = Process(code, *options, **env)
        self.addCleanup(process.stop)
        return process

    def thread(self, target, *args):
        """A thread that has to end before the test does."""
        thread = threading.Thread(target=target, args=args, daemon=True)
        thread.start()
        self.addCleanup(self.join, thread)
        return thread

    def join(self, thread):
        thread.join(LIMIT)
        self.assertFalse(thread.is_alive(), "the thread goes on")

    def until_waiting(self, semaphore, count=1):
        until(lambda: sum(p.waiting for p in semaphore.waiters()) == count, f"{count} waiters")

    def fork(self, child):
        """What child() returns in a forked process: the status, a small number."""
        pid = os.fork()
        if pid == 0:
            status = 99
            try:
                status = child() or 0
            finally:
                os._exit(status)
        _, status = os.waitpid(pid, 0)
        return status >> 8 if status & 0xff == 0 else -(status & 0x7f)
