# SPDX-License-Identifier: Apache-2.0
"""SIGKILL to `semundo run`, to its command, to both; who inherits the hold."""
import os
import signal
import subprocess

import pytest

from conftest import is_gone, until


def until_gone(pid):
    until(lambda: is_gone(pid), f"process {pid} ends")


def kill_runner(run):
    run.kill()
    run.wait(60)


def test_killed_command_gives_back(cli):
    run = cli.hold("x")
    os.kill(run.command, signal.SIGKILL)
    assert run.wait(60) == 128 + signal.SIGKILL
    assert cli.value("x") == 1
    assert cli.show("x")["died"] == 0


@pytest.mark.parametrize("kind", ["lock", "permits"])
def test_killed_runner_leaves_the_hold_to_its_command(cli, kind):
    run = cli.hold("x", "-k", kind)
    kill_runner(run)
    assert not is_gone(run.command)
    assert cli("run", "x", "-w", "0.3", "true").returncode == 1
    shown = cli.show("x")
    peer, = [p for p in shown["peers"] if p["held"]]
    assert (peer["pid"], peer["for_pid"], peer["alive"], peer["inherited"]) == \
        (run.pid, run.command, "alive", True)
    assert "inherited" in cli.ok("show", "x")
    run.stdin.close()
    until_gone(run.command)
    assert cli.ok("run", "x", "-w", "30", "--", "sh", "-c", 'echo "$SEMUNDO_RECOVERED"') == "1\n"
    assert cli.ok("run", "x", "--", "sh", "-c", 'echo "$SEMUNDO_RECOVERED"') == "\n"
    death, = cli.show("x")["deaths"]
    assert (death["pid"], death["units"]) == (run.pid, 1)


def test_verbose_tells_of_a_death(cli):
    run = cli.hold("x")
    kill_runner(run)
    run.stdin.close()
    until_gone(run.command)
    done = cli("run", "x", "-v", "-w", "30", "true")
    assert done.returncode == 0
    assert f"a holder died: process {run.pid}, with 1 unit;" in done.stderr


def test_both_killed_give_back_to_a_waiter(cli):
    run = cli.hold("x")
    waiter = cli.start("run", "x", "--", "sh", "-c", 'echo "told $SEMUNDO_RECOVERED"')
    cli.until_waiters("x", 1)
    run.kill()
    os.kill(run.command, signal.SIGKILL)
    run.wait(60)
    assert waiter.communicate()[0] == "told 1\n"
    assert cli.value("x") == 1


def test_grandchild_inherits_the_hold_of_a_killed_runner(cli):
    script = "exec 3<&0; sh -c 'echo $$; read x' <&3 & wait"
    run = cli.start("run", "x", "--", "sh", "-c", script)
    grandchild = int(run.stdout.readline())
    command, = until(lambda: [p["for_pid"] for p in cli.show("x")["peers"] if p["for_pid"]],
                     "it says for whom it holds")
    kill_runner(run)
    os.kill(command, signal.SIGKILL)
    until_gone(command)
    assert cli("run", "x", "-w", "0.3", "true").returncode == 1
    run.stdin.close()
    until_gone(grandchild)
    cli.ok("run", "x", "-w", "30", "true")


def test_grandchild_does_not_hold_while_the_runner_lives(cli):
    run = cli.start("run", "x", "--", "sh", "-c", "exec 3<&0; sh -c 'echo $$; read x' <&3 &")
    grandchild = int(run.stdout.readline())
    assert run.wait(60) == 0
    assert not is_gone(grandchild)
    assert cli.value("x") == 1
    run.stdin.close()
    until_gone(grandchild)


def test_close_keeps_the_hold_from_the_command(cli):
    run = cli.hold("x", "--close")
    kill_runner(run)
    assert not is_gone(run.command)
    cli.ok("run", "x", "-w", "30", "true")
    os.kill(run.command, signal.SIGKILL)


def test_killed_waiter_takes_nothing(cli):
    holder = cli.hold("x")
    waiter = cli.start("run", "x", "--", "echo", "ran")
    cli.until_waiters("x", 1)
    kill_runner(waiter)
    assert waiter.stdout.read() == ""
    holder.communicate("\n")
    assert holder.returncode == 0
    cli.ok("run", "x", "--nonblock", "true")
    assert cli.value("x") == 1


def test_removed_and_made_anew(cli):
    """A holder of a removed one does not hold the new one of that name."""
    cli.hold("x")
    cli.ok("rm", "x")
    cli.ok("run", "x", "--nonblock", "true")


def test_many_killed_at_random_times_lose_nothing(cli):
    for round_ in range(10):
        runs = [cli.start("run", "x", "-c", 2, "--", "true", stderr=subprocess.DEVNULL)
                for _ in range(6)]
        for run in runs[round_ % 3::3]:
            run.kill()
        for run in runs:
            run.communicate()
    cli.until_value("x", 2)
    shown = cli.show("x")
    assert (shown["held"], shown["dead"]) == (0, 0)
