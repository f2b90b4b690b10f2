# SPDX-License-Identifier: Apache-2.0
"""A directory of semaphores for each test, and the command in it."""
import json
import os
import shutil
import signal
import subprocess
import tempfile
import time

import pytest

SEMUNDO = os.environ["SEMUNDO"]
LIMIT = 60


def until(condition, what):
    """Polls, where there is no event to wait for. Returns what it found."""
    end = time.monotonic() + LIMIT
    while True:
        found = condition()
        if found:
            return found
        assert time.monotonic() < end, f"in vain: {what}"
        time.sleep(0.005)


def is_gone(pid):
    try:
        with open(f"/proc/{pid}/stat", encoding="utf-8", errors="replace") as file:
            return file.read().rpartition(")")[2].split()[0] in "ZX"
    except (FileNotFoundError, ProcessLookupError):
        return True


def comm(pid):
    try:
        with open(f"/proc/{pid}/comm", encoding="utf-8", errors="replace") as file:
            return file.read().rstrip("\n")
    except (FileNotFoundError, ProcessLookupError):
        return None


class Cli:
    """Runs the command. What it started is ended by finish()."""

    def __init__(self, directory):
        self.directory = directory
        self.env = dict(os.environ, SEMUNDO_DIR=directory, LC_ALL="C.UTF-8")
        self.started = []

    def __call__(self, *words, **options):
        """Runs it to its end: returncode, stdout, stderr."""
        return subprocess.run([SEMUNDO, *map(str, words)], env=self.env, text=True,
                              stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                              stderr=subprocess.PIPE, timeout=LIMIT, check=False, **options)

    def ok(self, *words):
        done = self(*words)
        assert (done.returncode, done.stderr) == (0, ""), (words, done)
        return done.stdout

    def fails(self, status, *words):
        """It fails, with one line that says so. Returns the line."""
        done = self(*words)
        assert (done.returncode, done.stdout) == (status, ""), (words, done)
        assert done.stderr.startswith("semundo") and done.stderr.count("\n") == 1, done
        return done.stderr

    def start(self, *words, program=SEMUNDO, **options):
        process = subprocess.Popen(
            [program, *map(str, words)], env=options.pop("env", self.env), text=True,
            **{"stdin": subprocess.PIPE, "stdout": subprocess.PIPE, "stderr": subprocess.PIPE,
               **options})
        self.started.append(process)
        return process

    def hold(self, name, *options):
        """`run` with a command that says its PID, and ends at a line of input."""
        process = self.start("run", name, *options, "--", "sh", "-c", "echo $$; read x")
        process.command = int(process.stdout.readline())
        self.until_described(name, process.command)
        return process

    def until_described(self, name, command):
        """The command may run before the holder's record says for whom it holds."""
        until(lambda: command in [p["for_pid"] for p in self.show(name)["peers"]],
              f"{name} is held for {command}")

    def shell(self):
        """A bash that runs the lines that ask() gives it."""
        return self.start(program="/bin/bash")

    def show(self, name):
        return json.loads(self.ok("show", "--json", name))

    def value(self, name):
        return int(self.ok("value", name))

    def until_value(self, name, value):
        self.ok("recover", name)
        until(lambda: self.ok("recover", name) and self.value(name) == value,
              f"{name} has value {value}, now {self.value(name)}")

    def until_waiters(self, name, count):
        until(lambda: self.show(name)["waiters"] == count, f"{name} has {count} waiters")

    def keepers(self, name):
        return [p["pid"] for p in self.show(name)["peers"] if comm(p["pid"]) == "semundo-keeper"]

    def finish(self):
        for process in self.started:
            for pid in [getattr(process, "command", None), process.pid]:
                if process.poll() is None and pid:
                    kill(pid)
        for process in self.started:
            process.wait(LIMIT)
            for file in (process.stdin, process.stdout, process.stderr):
                if file:
                    file.close()
        names = self("ls", "--raw", "-n", "-o", "NAME").stdout.split()
        for name in names:
            shown = self("show", "--json", name)
            for peer in json.loads(shown.stdout)["peers"] if shown.returncode == 0 else []:
                if comm(peer["pid"]) == "semundo-keeper":
                    kill(peer["pid"])


def kill(pid):
    try:
        os.kill(pid, signal.SIGKILL)
    except ProcessLookupError:
        pass


def ask(shell, line):
    """Has a shell run a line; returns its exit status."""
    shell.stdin.write(line + "; echo \"\n=$?\"\n")
    shell.stdin.flush()
    while True:
        answer = shell.stdout.readline()
        assert answer, "the shell has ended"
        if answer.startswith("="):
            return int(answer[1:])


@pytest.fixture
def cli():
    directory = tempfile.mkdtemp(prefix="semundo-cli.", dir="/dev/shm")
    command = Cli(directory)
    try:
        yield command
    finally:
        command.finish()
        shutil.rmtree(directory)
