# SPDX-License-Identifier: Apache-2.0
"""`semundo run` where nobody is killed: units, statuses, waits, environment."""
import os
import signal
import subprocess
import time

import pytest

from conftest import SEMUNDO, until


def test_status_of_the_command_passes_through(cli):
    for status in (0, 1, 7, 64, 255):
        assert cli("run", "x", "--", "sh", "-c", f"exit {status}").returncode == status
    assert cli.value("x") == 1


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGKILL, signal.SIGABRT])
def test_command_that_died_of_a_signal(cli, number):
    done = cli("run", "x", "sh", "-c", f"ulimit -c 0; kill -{int(number)} $$")
    assert done.returncode == 128 + number
    assert cli.value("x") == 1


def test_command_not_found_and_not_executable(cli, tmp_path):
    assert "'/nonexistent'" in cli.fails(127, "run", "x", "--", "/nonexistent")
    assert "'nonexistent'" in cli.fails(127, "run", "x", "--", "nonexistent")
    file = tmp_path / "file"
    file.write_text("text")
    assert str(file) in cli.fails(126, "run", "x", "--", file)
    assert cli.value("x") == 1


def test_options_before_and_after_the_name(cli):
    for words in (["-c", 2, "x", "--", "echo", "-n", "y"], ["x", "-c", 2, "echo", "-n", "y"],
                  ["--", "x", "-c", 2, "--", "echo", "-n", "y"]):
        assert cli.ok("run", *words) == "y"
    assert cli.show("x")["capacity"] == 2


def test_holds_while_it_runs(cli):
    holder = cli.hold("x", "-c", 5, "-n", 3)
    shown = cli.show("x")
    assert (shown["kind"], shown["capacity"], shown["value"], shown["held"]) == \
        ("permits", 5, 2, 3)
    peer, = shown["peers"]
    assert (peer["pid"], peer["for_pid"], peer["held"], peer["alive"]) == \
        (holder.pid, holder.command, 3, "alive")
    assert peer["command"] == "sh -c echo $$; read x"
    assert holder.communicate("\n") == ("", "") and holder.returncode == 0
    assert cli.value("x") == 5


def test_makes_a_lock(cli):
    holder = cli.hold("x", "-k", "lock")
    assert (cli.show("x")["kind"], cli.value("x")) == ("lock", 0)
    holder.communicate("\n")
    assert cli.value("x") == 1


def test_another_capacity_or_kind_is_an_error(cli):
    cli.ok("create", "x", "-c", 3)
    assert "capacity 3, not 2" in cli.fails(65, "run", "x", "-c", 2, "true")
    assert "another kind" in cli.fails(65, "run", "x", "-k", "lock", "true")
    cli.ok("run", "x", "-c", 3, "true")
    cli.ok("create", "s", "-k", "signal")
    assert "is a signal" in cli.fails(65, "run", "s", "true")
    assert "its capacity is 3" in cli.fails(64, "run", "x", "-n", 4, "true")


@pytest.mark.parametrize("options", [["--nonblock"], ["-N"], ["-w", "0"], ["-w", "0.05"],
                                     ["--wait=.05"]])
def test_busy(cli, options):
    cli.hold("x")
    done = cli("run", "x", *options, "--", "echo", "ran")
    assert (done.returncode, done.stdout, done.stderr) == (1, "", "")
    assert cli("run", "x", *options, "-E", 75, "--", "true").returncode == 75
    assert cli("run", "x", *options, "--conflict-exit-code=0", "--", "false").returncode == 0
    assert "'x'" in cli("run", "x", *options, "--verbose", "true").stderr
    assert cli.value("x") == 0


def test_wait_is_long_enough(cli):
    holder = cli.hold("x")
    start = time.monotonic()
    assert cli("run", "x", "-w", "0.3", "true").returncode == 1
    assert time.monotonic() - start >= 0.3
    waiter = cli.start("run", "x", "-w", "50", "--", "echo", "ran")
    cli.until_waiters("x", 1)
    holder.communicate("\n")
    assert waiter.communicate()[0] == "ran\n" and waiter.returncode == 0


def test_verbose_tells_how_long(cli):
    done = cli("run", "x", "-v", "true")
    assert done.returncode == 0 and "acquired after 0." in done.stderr


def test_never_more_than_three_of_five(cli, tmp_path):
    """Each marks itself while it runs; nobody ever sees more than three marks."""
    script = 'touch "$0/$$"; ls "$0" | wc -l; echo; read x; ls "$0" | wc -l; rm "$0/$$"'
    runs = [cli.start("run", "x", "-c", 3, "--", "sh", "-c", script, tmp_path)
            for _ in range(5)]
    until(lambda: len(os.listdir(tmp_path)) == 3, "three run")
    cli.until_waiters("x", 2)
    assert len(os.listdir(tmp_path)) == 3
    for run in runs:
        run.stdin.write("\n")
        run.stdin.flush()
    seen = []
    for run in runs:
        seen += [int(n) for n in run.communicate()[0].split()]
        assert run.returncode == 0
    assert len(seen) == 10 and max(seen) == 3
    assert cli.value("x") == 3


def test_environment_of_the_command(cli):
    cli.env["SEMUNDO_RECOVERED"] = "1"
    assert cli.ok("run", "x", "--", "sh", "-c",
                  'echo "$SEMUNDO_NAME,$SEMUNDO_RECOVERED"') == "x,\n"


def inherited(cli, *options):
    """Descriptors above 2 of the command that lead to the peer file."""
    script = "for f in /proc/self/fd/*; do readlink $f; done; true"
    links = cli.ok("run", "x", *options, "--", "sh", "-c", script).split()
    return [link for link in links if "semundo-peers" in link]


def test_command_inherits_the_hold_and_nothing_else(cli):
    assert len(inherited(cli)) == 1
    assert inherited(cli, "--close") == inherited(cli, "-o") == []


def test_dispositions_and_mask_are_those_that_were_inherited(cli):
    def prepare():
        signal.signal(signal.SIGHUP, signal.SIG_IGN)
        signal.signal(signal.SIGCHLD, signal.SIG_IGN)
        signal.signal(signal.SIGUSR2, signal.SIG_IGN)
        signal.pthread_sigmask(signal.SIG_SETMASK, {signal.SIGUSR1, signal.SIGWINCH})

    command = ["grep", "-E", "^Sig(Blk|Ign)", "/proc/self/status"]
    options = dict(env=cli.env, text=True, capture_output=True, timeout=60, preexec_fn=prepare,
                   check=True)
    direct = subprocess.run(command, **options).stdout
    assert subprocess.run([SEMUNDO, "run", "x", "--", *command], **options).stdout == direct
    assert direct.count("\n") == 2


def test_input_and_output_are_the_commands(cli):
    run = cli.start("run", "x", "--", "cat")
    assert run.communicate("text\n") == ("text\n", "")


def test_runs_with_its_standard_descriptors_closed(cli):
    done = subprocess.run(["sh", "-c", 'exec "$0" run x -- sh -c "exit 5" <&- >&- 2>&-', SEMUNDO],
                          env=cli.env, timeout=60, check=False)
    assert done.returncode == 5
    assert cli.value("x") == 1
