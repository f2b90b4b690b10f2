# SPDX-License-Identifier: Apache-2.0
"""acquire and release: a keeper holds for a shell."""
import os
import signal
import subprocess

import pytest

from conftest import LIMIT, SEMUNDO, ask, comm, is_gone, until


def semundo(shell, words):
    return ask(shell, f'"{SEMUNDO}" {words}')


def test_acquire_and_release(cli):
    cli.ok("create", "x", "-c", 3)
    shell = cli.shell()
    assert semundo(shell, "acquire x -n 2") == 0
    peer, = cli.show("x")["peers"]
    assert (peer["for_pid"], peer["held"]) == (shell.pid, 2)
    assert peer["command"] == "/bin/bash"
    assert cli.value("x") == 1
    assert semundo(shell, "release x") == 0
    assert cli.value("x") == 2
    assert semundo(shell, "release x") == 0
    assert cli.value("x") == 3
    until(lambda: is_gone(peer["pid"]), "the keeper ends when it holds nothing")
    assert semundo(shell, "release x") == 69


def test_release_over_several_keepers_newest_first(cli):
    cli.ok("create", "x", "-c", 9)
    shell = cli.shell()
    for units in (1, 2, 3):
        assert semundo(shell, f"acquire x -n {units}") == 0
    assert sorted(p["held"] for p in cli.show("x")["peers"]) == [1, 2, 3]
    assert semundo(shell, "release x -n 4") == 0
    assert sorted(p["held"] for p in cli.show("x")["peers"] if p["held"]) == [1, 1]
    assert semundo(shell, "release x -n 3") == 69
    assert cli.value("x") == 7
    assert semundo(shell, "release x -n 2") == 0
    assert cli.value("x") == 9


@pytest.mark.parametrize("kill", [False, True])
def test_shell_that_ends_gives_back(cli, kill):
    cli.ok("create", "x", "-k", "lock")
    shell = cli.shell()
    assert semundo(shell, "acquire x") == 0
    keeper, = cli.keepers("x")
    if kill:
        shell.kill()
    else:
        shell.stdin.close()
    shell.wait(LIMIT)
    until(lambda: is_gone(keeper), "the keeper ends")
    assert cli.value("x") == 1
    assert cli.show("x")["died"] == 0


def test_killed_keeper_gives_back(cli):
    cli.ok("create", "x")
    shell = cli.shell()
    assert semundo(shell, "acquire x") == 0
    keeper, = cli.keepers("x")
    os.kill(keeper, signal.SIGKILL)
    until(lambda: is_gone(keeper), "the keeper ends")
    assert cli.ok("run", "x", "-w", "30", "--", "sh", "-c", "echo $SEMUNDO_RECOVERED") == "1\n"
    assert semundo(shell, "release x") == 69


def test_terminated_keeper_gives_back(cli):
    cli.ok("create", "x")
    shell = cli.shell()
    assert semundo(shell, "acquire x") == 0
    keeper, = cli.keepers("x")
    os.kill(keeper, signal.SIGTERM)
    until(lambda: is_gone(keeper), "the keeper ends")
    shown = cli.show("x")
    assert (shown["value"], shown["died"]) == (1, 0)


def test_busy(cli):
    cli.hold("x")
    shell = cli.shell()
    assert semundo(shell, "acquire x --nonblock") == 1
    assert semundo(shell, "acquire x -w 0.05 -E 9") == 9
    assert semundo(shell, "acquire x -n 2") == 64
    assert len(cli.show("x")["peers"]) == 1


def test_waits_until_it_has_them(cli):
    holder = cli.hold("x")
    acquire = cli.start("acquire", "x", "--for", os.getpid())
    cli.until_waiters("x", 1)
    assert acquire.poll() is None
    holder.communicate("\n")
    assert acquire.wait(LIMIT) == 0
    assert cli.value("x") == 0
    cli.ok("release", "x", "--for", os.getpid())
    assert cli.value("x") == 1


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGKILL])
def test_ended_wait_ends_the_keeper_and_takes_nothing(cli, number):
    holder = cli.hold("x")
    acquire = cli.start("acquire", "x")
    cli.until_waiters("x", 1)
    keeper, = cli.keepers("x")
    acquire.send_signal(number)
    assert acquire.wait(LIMIT) == -number
    until(lambda: is_gone(keeper), "the keeper ends")
    holder.communicate("\n")
    assert cli.value("x") == 1
    assert cli.show("x")["peers"] == []


def test_for_another_process(cli):
    cli.ok("create", "x")
    other = cli.start("-c", "read x", program="/bin/sh")
    cli.ok("acquire", "x", "--for", other.pid)
    assert "holds 0 for process" in cli.fails(69, "release", "x")
    assert cli.value("x") == 0
    other.communicate("\n")
    until(lambda: cli.value("x") == 1, "it comes back when that process has ended")
    assert str(other.pid) in cli.fails(66, "acquire", "x", "--for", other.pid)


def test_keeper_holds_nothing_open(cli):
    """Its reader sees the end of what the shell writes; it has no terminal, no
    directory of the shell's, and a session of its own."""
    cli.ok("create", "x")
    out = subprocess.run(["/bin/bash", "-c", f'"{SEMUNDO}" acquire x --for {os.getpid()} 2>&1'],
                         env=cli.env, stdout=subprocess.PIPE, timeout=LIMIT, check=True).stdout
    assert out == b""
    keeper, = cli.keepers("x")
    links = {fd: os.readlink(f"/proc/{keeper}/fd/{fd}") for fd in os.listdir(f"/proc/{keeper}/fd")}
    assert [links.pop(fd) for fd in "012"] == ["/dev/null"] * 3
    assert not any("pipe" in link for link in links.values()), links
    assert os.readlink(f"/proc/{keeper}/cwd") == "/"
    assert os.getsid(keeper) == keeper
    cli.ok("release", "x", "--for", os.getpid())


def test_release_of_what_run_holds_is_refused(cli):
    run = cli.hold("x")
    cli.fails(69, "release", "x", "--for", run.command)
    cli.fails(69, "release", "x", "--for", run.pid)
    assert run.poll() is None and cli.value("x") == 0


def test_stopped_keeper_answers_when_it_goes_on(cli):
    cli.ok("create", "x")
    shell = cli.shell()
    assert semundo(shell, "acquire x") == 0
    keeper, = cli.keepers("x")
    os.kill(keeper, signal.SIGSTOP)
    release = cli.start("release", "x", "--for", shell.pid)
    os.kill(keeper, signal.SIGCONT)
    assert release.wait(LIMIT) == 0
    assert cli.value("x") == 1


def test_lock_held_by_another(cli):
    cli.ok("create", "x", "-k", "lock")
    run = cli.hold("x")
    said = cli.fails(69, "release", "x")
    assert f"process {run.command} holds it (sh -c" in said and "--force" in said
    assert cli.value("x") == 0
    cli.ok("release", "x", "--force")
    assert cli.value("x") == 1
    run.communicate("\n")
    assert run.returncode == 0 and cli.value("x") == 1
    assert "not held" in cli.fails(69, "release", "x", "--force")
    assert "one unit only" in cli.fails(64, "release", "x", "-n", 2)


def test_permits_cannot_be_forced(cli):
    run = cli.hold("x")
    assert "only who holds them" in cli.fails(65, "release", "x", "--force")
    assert cli.value("x") == 0 and run.poll() is None


def test_signal_is_taken_and_posted_without_a_keeper(cli):
    cli.ok("create", "s", "-k", "signal", "-c", 5)
    assert cli("acquire", "s", "--nonblock").returncode == 1
    cli.ok("release", "s", "-n", 3)
    cli.ok("acquire", "s", "-n", 2)
    shown = cli.show("s")
    assert (shown["value"], shown["peers"]) == (1, [])
    cli.fails(69, "release", "s", "-n", 5)
    waiter = cli.start("acquire", "s", "-n", 2)
    cli.until_waiters("s", 1)
    cli.ok("release", "s")
    assert waiter.wait(LIMIT) == 0
    assert cli.value("s") == 0


def test_told_of_a_death(cli):
    run = cli.hold("x", "--close")
    run.kill()
    run.wait(LIMIT)
    done = cli("acquire", "x", "-v", "--for", os.getpid())
    assert done.returncode == 0 and "a holder died" in done.stderr
    assert comm(cli.keepers("x")[0]) == "semundo-keeper"
    cli.ok("release", "x", "--for", os.getpid())
    os.kill(run.command, signal.SIGKILL)
