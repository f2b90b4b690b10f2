# SPDX-License-Identifier: Apache-2.0
"""ls and show: tables, raw output, JSON, and who may not read."""
import json
import os
import pwd
import re
import signal
import time

import pytest

from conftest import SEMUNDO

ME = pwd.getpwuid(os.geteuid()).pw_name


def test_ls_table(cli):
    assert cli.ok("ls") == cli.ok("ls", "--raw") == ""  # no heading without lines
    cli.ok("create", "b", "-c", 3, "-m", "640")
    cli.ok("create", "a", "-k", "lock")
    cli.hold("b", "-n", 2)
    lines = [line.split() for line in cli.ok("ls").splitlines()]
    assert lines == [
        "NAME KIND CAPACITY VALUE HELD WAITERS DEAD OWNER MODE".split(),
        f"a lock 1 1 0 0 0 {ME} 0600".split(),
        f"b permits 3 1 2 0 0 {ME} 0640".split(),
    ]
    assert [line.split() for line in cli.ok("ls", "--noheadings").splitlines()] == lines[1:]


def test_ls_columns(cli):
    cli.ok("create", "a", "-c", 3)
    assert cli.ok("ls", "--raw", "-o", "name,VALUE,Engine") == "NAME VALUE ENGINE\na 3 native\n"
    assert cli.ok("ls", "-rn", "-o", "DIED,ATTACHED,RECOVERED") == "0 0 no\n"
    assert cli.ok("ls", "-r", "--output=+DIED").split("\n")[0].endswith("OWNER MODE DIED")


def test_ls_raw_has_one_word_a_column(cli):
    cli.ok("create", "a b")
    assert cli.ok("ls", "-rn", "-o", "NAME,VALUE") == "a\\x20b 1\n"


def test_ls_json(cli):
    assert json.loads(cli.ok("ls", "--json")) == {"semaphores": []}
    cli.ok("create", "a", "-c", 3)
    cli.hold("a")
    entry, = json.loads(cli.ok("ls", "-J"))["semaphores"]
    shown = cli.show("a")
    assert entry == {key: shown[key] for key in shown if key not in ("peers", "deaths")}
    assert abs(entry["created"] - time.time()) < 60


def test_ls_counts_waiters_and_dead(cli):
    cli.ok("create", "a", "-c", 2)
    holder = cli.hold("a", "-n", 2)
    cli.start("run", "a", "true")
    cli.until_waiters("a", 1)
    assert cli.ok("ls", "-rn", "-o", "WAITERS,DEAD,HELD") == "1 0 2\n"
    holder.communicate("\n")
    cli.started[-1].wait(60)
    dead = cli.hold("a", "--close")
    dead.kill()
    dead.wait(60)
    assert cli.ok("ls", "-rn", "-o", "WAITERS,DEAD,HELD") == "0 1 1\n"
    os.kill(dead.command, signal.SIGKILL)


def test_ls_shows_what_it_cannot_read(cli):
    cli.ok("create", "a")
    with open(os.path.join(cli.directory, "semundo.bad"), "w", encoding="utf-8") as file:
        file.write("text")
    good, bad = cli.ok("ls", "-n").splitlines()
    assert good.split()[:2] == ["a", "permits"]
    assert re.match(r"bad +-.*\S", bad)
    note = cli.ok("ls", "-n", "-o", "NOTE").strip()
    assert note and bad.endswith(note)
    entries = json.loads(cli.ok("ls", "--json"))["semaphores"]
    assert entries[1] == {"name": "bad", "error": note}


def as_nobody(cli, *words):
    """Runs the command as another user, who may look into the directory but
    perhaps not into that of the program: hence through a descriptor."""
    os.chmod(cli.directory, 0o755)
    fd = os.open(SEMUNDO, os.O_RDONLY)
    try:
        return cli.start(*words, program=f"/proc/self/fd/{fd}", pass_fds=[fd], user=65534,
                         group=65534, extra_groups=[])
    finally:
        os.close(fd)


def test_what_another_user_may_not_read(cli):
    """Needs root to become somebody; else the own file is made unreadable."""
    cli.ok("create", "closed", "-m", "600")
    cli.ok("create", "open", "-m", "644")
    if os.geteuid() == 0:
        run = as_nobody(cli, "ls", "-n")
        out = run.communicate()[0].splitlines()
        assert run.returncode == 0
        closed = as_nobody(cli, "value", "closed")
        assert "no permission" in closed.communicate()[1] and closed.returncode == 77
        seen = as_nobody(cli, "value", "open")
        assert seen.communicate() == ("1\n", "")
        writes = as_nobody(cli, "run", "open", "true")
        assert "no permission" in writes.communicate()[1] and writes.returncode == 77
    else:
        os.chmod(os.path.join(cli.directory, "semundo.closed"), 0)
        out = cli.ok("ls", "-n").splitlines()
        cli.fails(77, "value", "closed")
    assert out[0].startswith("closed") and "no permission" in out[0]
    assert out[1].startswith("open") and "permits" in out[1]


def test_show_table(cli):
    holder = cli.hold("x", "-c", 3, "-n", 2)
    waiter = cli.start("run", "x", "-n", 3, "-w", "50", "--", "echo", "some", "words")
    cli.until_waiters("x", 1)
    facts, _, table = cli.ok("show", "x").partition("\n\n")
    facts = dict(line.split(None, 1) for line in facts.splitlines())
    assert (facts["name"], facts["kind"], facts["capacity"], facts["value"], facts["held"],
            facts["waiters"], facts["died"]) == ("x", "permits", "3", "1", "2", "1", "0")
    assert facts["owner"] == f"{ME}, mode 0600"
    heading, holds, waits = table.splitlines()
    assert heading.split() == "PID FOR USER STATE UNITS TIME COMMAND".split()
    assert re.fullmatch(rf" *{holder.pid} +{holder.command} +{ME} +holds +2 +[\d.]+m?[\d.]*s "
                        r"sh -c echo \$\$; read x", holds)
    assert re.fullmatch(rf" *{waiter.pid} +{ME} +waits +3 +[\d.]+m?[\d.]*s echo some words", waits)
    assert table.index("COMMAND") == holds.index("sh -c")


def test_show_marks_the_dead(cli):
    dead = cli.hold("x", "--close")
    dead.kill()
    dead.wait(60)
    out = cli.ok("show", "x")
    assert re.search(rf"^ *{dead.pid} .* dead +1 ", out, re.M)
    assert re.search(r"^dead +1 ", out, re.M)
    cli.ok("recover", "x")
    out = cli.ok("show", "x")
    assert f"1 (the last: process {dead.pid} with 1" in out and "will be told" in out
    os.kill(dead.command, signal.SIGKILL)


def test_show_json(cli):
    holder = cli.hold("x")
    waiter = cli.start("run", "x", "true")
    cli.until_waiters("x", 1)
    shown = cli.show("x")
    peers = {peer["pid"]: peer for peer in shown["peers"]}
    assert set(peers) == {holder.pid, waiter.pid}
    waits = peers[waiter.pid]
    assert (waits["waiting"], waits["wanted"], waits["held"]) == (1, 1, 0)
    assert 0 <= waits["waiting_seconds"] < 60
    assert waits["command"] == "true" and waits["for_pid"] is None
    assert peers[holder.pid]["waiting_seconds"] is None
    assert abs(peers[holder.pid]["attached_since"] - time.time()) < 60


def test_long_commands_are_whole(cli):
    run = cli.start("run", "x", "--", "sh", "-c", "echo; read x", "y" * 300)
    run.stdout.readline()
    expected = "sh -c echo; read x " + "y" * 300
    assert cli.show("x")["peers"][0]["command"] == expected
    assert expected in cli.ok("show", "x")


@pytest.mark.parametrize("text", ["\x1b[31m", "\n\t\r", "\x9b1m"])
def test_commands_do_not_steer_the_terminal(cli, text):
    run = cli.start("run", "x", "--", "sh", "-c", "echo; read x", text)
    run.stdout.readline()
    out = cli.ok("show", "x")
    assert text not in out and "\\x" in out
    assert len(out.partition("\n\n")[2].splitlines()) == 2
    assert cli.show("x")["peers"][0]["command"] == "sh -c echo; read x " + text


def test_bytes_that_are_no_text(cli):
    name = b"n\xff\xfe"
    cli.ok("create", os.fsdecode(name))
    assert cli.ok("ls", "-rn", "-o", "NAME") == "n\\xff\\xfe\n"
    entry, = json.loads(cli.ok("ls", "--json"))["semaphores"]
    assert entry["name"] == "n\\xff\\xfe"


def test_observing_changes_nothing(cli):
    cli.ok("create", "x")
    path = os.path.join(cli.directory, "semundo.x")
    with open(path, "rb") as file:
        before = file.read()
    for words in (["ls"], ["ls", "-J"], ["show", "x"], ["show", "-J", "x"], ["value", "x"]):
        cli.ok(*words)
    with open(path, "rb") as file:
        assert file.read() == before
