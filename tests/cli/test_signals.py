# SPDX-License-Identifier: Apache-2.0
"""Signals to `semundo run`: passed on, once, and ending a wait."""
import os
import pty
import select
import signal
import subprocess

import pytest

from conftest import SEMUNDO, is_gone, until

# Says each signal, and how often it came in all at the end.
SAYER = """
import os, signal, sys
def say(number, frame):
    print(signal.Signals(number).name, flush=True)
for number in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP, signal.SIGQUIT, signal.SIGUSR1,
               signal.SIGUSR2, signal.SIGALRM, signal.SIGCONT, signal.SIGTSTP, signal.SIGWINCH):
    signal.signal(number, say)
print(os.getpid(), flush=True)
sys.stdin.read()
"""
ENDING = [signal.SIGTERM, signal.SIGINT, signal.SIGHUP, signal.SIGQUIT]


def state(pid):
    with open(f"/proc/{pid}/stat", encoding="utf-8", errors="replace") as file:
        return file.read().rpartition(")")[2].split()[0]


def sayer(cli, **options):
    run = cli.start("run", "x", "--", "/usr/bin/python3", "-c", SAYER, **options)
    run.command = int(run.stdout.readline())
    return run


@pytest.mark.parametrize("number", [
    *ENDING, signal.SIGUSR1, signal.SIGUSR2, signal.SIGALRM, signal.SIGCONT, signal.SIGTSTP,
    signal.SIGWINCH])
def test_signal_is_passed_on(cli, number):
    run = sayer(cli)
    run.send_signal(number)
    assert run.stdout.readline() == number.name + "\n"
    assert run.communicate() == ("", "") and run.returncode == 0


@pytest.mark.parametrize("number", ENDING)
def test_signal_ends_the_command_and_then_itself(cli, number):
    run = cli.hold("x")
    run.send_signal(number)
    run.wait(60)
    assert run.returncode == -number  # a shell says 128 + number
    assert is_gone(run.command)
    assert cli.value("x") == 1


def test_ignored_signal_stays_ignored(cli):
    run = cli.start("run", "x", "--", "sh", "-c", "echo $$; read x",
                    preexec_fn=lambda: signal.signal(signal.SIGHUP, signal.SIG_IGN))
    run.command = int(run.stdout.readline())
    run.send_signal(signal.SIGHUP)
    os.kill(run.command, signal.SIGHUP)
    run.communicate("\n")
    assert run.returncode == 0


@pytest.mark.parametrize("number", ENDING)
def test_signal_ends_a_wait_and_takes_nothing(cli, number):
    holder = cli.hold("x")
    waiter = cli.start("run", "x", "--", "echo", "ran")
    cli.until_waiters("x", 1)
    waiter.send_signal(number)
    assert waiter.communicate() == ("", "")
    assert waiter.returncode == -number
    shown = cli.show("x")
    assert (shown["waiters"], shown["dead"], shown["attached"]) == (0, 0, 1)
    holder.communicate("\n")
    assert cli.value("x") == 1
    assert cli.show("x")["died"] == 0


def test_shell_shows_128_and_the_signal(cli):
    cli.hold("x")
    shell = cli.start("-c", f'"{SEMUNDO}" run x -- true & echo $!; wait $!; echo $?',
                      program="/bin/sh")
    pid = int(shell.stdout.readline())
    cli.until_waiters("x", 1)
    os.kill(pid, signal.SIGTERM)
    assert shell.communicate()[0] == f"{128 + signal.SIGTERM}\n"


def test_stops_and_goes_on_with_its_command(cli):
    run = cli.hold("x")
    os.kill(run.command, signal.SIGSTOP)
    until(lambda: state(run.pid) == "T", "it stops with its command")
    assert cli.show("x")["held"] == 1
    run.send_signal(signal.SIGCONT)
    until(lambda: state(run.command) != "T", "the command goes on")
    run.communicate("\n")
    assert run.returncode == 0


class Terminal:
    """A session with a terminal, whose foreground process group is `semundo`."""

    def __init__(self, cli, *words):
        self.pid, self.fd = pty.fork()
        if self.pid == 0:
            os.execve(SEMUNDO, [SEMUNDO, *words], cli.env)
        self.text = ""

    def read_until(self, text):
        while text not in self.text:
            assert select.select([self.fd], [], [], 60)[0], f"no {text!r} in {self.text!r}"
            try:
                self.text += os.read(self.fd, 4096).decode()
            except OSError:  # all ends are closed
                break
        assert text in self.text, self.text

    def type(self, keys):
        os.write(self.fd, keys)

    def end(self):
        _, status = os.waitpid(self.pid, 0)
        os.close(self.fd)
        return os.waitstatus_to_exitcode(status)


def test_interrupt_key_during_the_wait(cli):
    holder = cli.hold("x")
    terminal = Terminal(cli, "run", "x", "--", "echo", "ran")
    cli.until_waiters("x", 1)
    terminal.type(b"\x03")
    assert terminal.end() == -signal.SIGINT
    assert cli.show("x")["attached"] == 1
    holder.communicate("\n")
    assert cli.value("x") == 1


def test_interrupt_key_during_the_command(cli):
    terminal = Terminal(cli, "run", "x", "--", "sh", "-c", "echo $$ runs; read x")
    terminal.read_until("runs")
    command = int(terminal.text.split()[0])
    terminal.type(b"\x03")
    assert terminal.end() == -signal.SIGINT
    assert is_gone(command)
    assert cli.value("x") == 1


def test_interrupt_key_reaches_the_command_once(cli):
    """It counts. semundo is stopped until the command has handled the key, so
    that a second signal could not melt into the first; and it would pass it on
    before the USR1 that it is sent afterwards."""
    script = """
import os, signal, sys
count = 0
def interrupted(*_):
    global count
    count += 1
    print('one', flush=True)
def ask(*_):
    print('count', count, flush=True)
    os._exit(3)
signal.signal(signal.SIGINT, interrupted)
signal.signal(signal.SIGUSR1, ask)
print('runs', flush=True)
while True:
    signal.pause()
"""
    terminal = Terminal(cli, "run", "x", "--", "/usr/bin/python3", "-c", script)
    terminal.read_until("runs")
    os.kill(terminal.pid, signal.SIGSTOP)
    until(lambda: state(terminal.pid) == "T", "semundo stops")
    terminal.type(b"\x03")
    terminal.read_until("one")
    os.kill(terminal.pid, signal.SIGUSR1)
    os.kill(terminal.pid, signal.SIGCONT)
    terminal.read_until("count 1\r\n")
    assert terminal.end() == 3


def test_wait_of_another_verb_ends_too(cli):
    cli.hold("x")
    waiter = cli.start("wait", "x", stdin=subprocess.DEVNULL)
    cli.until_waiters("x", 1)
    waiter.send_signal(signal.SIGINT)
    assert waiter.wait(60) == -signal.SIGINT
