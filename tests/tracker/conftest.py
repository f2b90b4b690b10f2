# SPDX-License-Identifier: Apache-2.0
"""A pipe with a tracker at its end, and processes and names to tell it of."""
import base64
import itertools
import json
import os
import shutil
import signal
import subprocess
import tempfile
import time

import pytest

TRACKER = os.environ["SEMUNDO_TRACKER_PROGRAM"]
TRACKER_TEST = os.environ["SEMUNDO_TRACKER_TEST"]
LIMIT = 60
NAMESPACE = os.stat("/proc/self/ns/pid").st_ino

# Maps a file, says so, and ends at the end of its input.
MAPPER = """
import mmap, sys
with open(sys.argv[1], "r+b") as file:
    m = mmap.mmap(file.fileno(), 0)
print("mapped", flush=True)
sys.stdin.read()
"""


def until(condition, what):
    """Polls, where there is no event to wait for. Returns what it found."""
    end = time.monotonic() + LIMIT
    while True:
        found = condition()
        if found:
            return found
        assert time.monotonic() < end, f"in vain: {what}"
        time.sleep(0.002)


def stat_field(pid, number):
    with open(f"/proc/{pid}/stat", encoding="utf-8", errors="replace") as file:
        return file.read().rpartition(")")[2].split()[number - 3]


def identity(pid, **changes):
    return {"pid": pid, "start": int(stat_field(pid, 22)), "ns": NAMESPACE, **changes}


def encoded(text):
    return base64.urlsafe_b64encode(os.fsencode(text)).decode()


class World:
    """One program: its pipe, its trackers, its processes, its names."""

    def __init__(self, directory):
        self.directory = directory
        self.env = dict(os.environ, SEMUNDO_DIR=directory, LC_ALL="C.UTF-8", TZ="UTC")
        self.reader, self.writer = os.pipe()
        self.processes = []
        self.paths = []
        self.numbers = itertools.count()
        self.tracker = None

    # ---- the tracker

    def start(self, program=TRACKER, wait=True, input=None, options=(), env=None, **more):
        """One more tracker at the pipe, or at another descriptor."""
        fd = self.reader if input is None else input
        told, ready = os.pipe()
        process = subprocess.Popen(
            [program, "--ready", str(ready), *options, str(fd)], pass_fds=[fd, ready],
            env={**self.env, **(env or {})}, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL,
            stderr=subprocess.PIPE, **more)
        os.close(ready)
        self.processes.append(process)
        if wait:
            assert os.read(told, 1) == b"1", process.communicate(timeout=LIMIT)
        os.close(told)
        self.tracker = process
        return process

    def write(self, data):
        if isinstance(data, str):
            data = os.fsencode(data)
        assert os.write(self.writer, data) == len(data)

    def plain(self, command, name, rtype="shared_memory"):
        self.write(f"{command}:{name}:{rtype}\n")

    def json(self, command, name=None, rtype="shared_memory", **fields):
        if name is not None:
            fields.update(rtype=rtype, base64_name=encoded(name))
        self.write(json.dumps({"cmd": command, **fields}) + "\n")

    def end(self, status, tracker=None):
        """The end of the input: its errors, after a check of its status."""
        tracker = tracker or self.tracker
        for fd in (self.writer, self.reader):
            if fd is not None:
                os.close(fd)
        self.writer = self.reader = None
        errors = tracker.communicate(timeout=LIMIT)[1].decode(errors="replace")
        assert tracker.returncode == status, (tracker.returncode, errors)
        return errors

    def heard(self):
        """All that was written so far has been read, and done, by the tracker: what
        it is told now comes after that."""
        sign = self.shm()
        process = self.process()
        self.json("REGISTER", sign, **identity(process.pid))
        process.kill()
        process.wait(LIMIT)
        self.until_gone(sign)

    # ---- names

    def name(self):
        return f"/semundo-tracker-{os.getpid()}-{id(self) % 10000}-{next(self.numbers)}"

    def shm(self, size=16):
        """A new object of shared memory."""
        name = self.name()
        path = "/dev/shm" + name
        with open(path, "xb") as file:
            file.write(b"x" * size)
        self.paths.append(path)
        return name

    @staticmethod
    def exists(name):
        return os.path.exists("/dev/shm" + name)

    def until_gone(self, name):
        until(lambda: not self.exists(name), f"{name} is removed")

    # ---- processes

    def process(self, *command):
        """It has no part of the pipe. Ends when it is told to, or by the end of the test."""
        process = subprocess.Popen(command or ["/bin/cat"], stdin=subprocess.PIPE,
                                   stdout=subprocess.PIPE, env=self.env)
        self.processes.append(process)
        return process

    def mapper(self, name):
        process = self.process("/usr/bin/python3", "-c", MAPPER, "/dev/shm" + name)
        assert process.stdout.readline() == b"mapped\n"
        return process

    def journals(self):
        return sorted(name for name in os.listdir(self.directory) if name.startswith(
            "semundo-tracker."))

    def finish_paths(self):
        for path in self.paths:
            if os.path.exists(path):
                os.unlink(path)
        self.paths.clear()

    def finish(self):
        for fd in (self.writer, self.reader):
            if fd is not None:
                os.close(fd)
        for process in self.processes:
            if process.poll() is None:
                process.send_signal(signal.SIGKILL)
            process.wait(LIMIT)
            for file in (process.stdin, process.stdout, process.stderr):
                if file:
                    file.close()
        self.finish_paths()


@pytest.fixture
def world():
    directory = tempfile.mkdtemp(prefix="semundo-tracker.", dir="/dev/shm")
    made = World(directory)
    try:
        yield made
    finally:
        made.finish()
        shutil.rmtree(directory)
