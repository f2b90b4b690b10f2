# SPDX-License-Identifier: Apache-2.0
"""create, value, rm, resize, wait, recover."""
import os
import stat

import pytest


def facts(cli, name):
    shown = cli.show(name)
    return shown["kind"], shown["capacity"], shown["value"]


@pytest.mark.parametrize("options, expected", [
    ([], ("permits", 1, 1)),
    (["-c", 5], ("permits", 5, 5)),
    (["--kind=permits", "--capacity=65535"], ("permits", 65535, 65535)),
    (["-k", "lock"], ("lock", 1, 1)),
    (["-k", "signal"], ("signal", 2147483647, 0)),
    (["-k", "signal", "-c", 9, "--value", 4], ("signal", 9, 4)),
])
def test_create(cli, options, expected):
    assert cli.ok("create", *options, "x") == ""
    assert facts(cli, "x") == expected
    assert cli.value("x") == cli.value("native:x") == expected[2]


def test_create_is_content_with_one_that_is_there(cli):
    cli.ok("create", "x", "-c", 3)
    inode = cli.show("x")["inode"]
    cli.ok("create", "x")
    cli.ok("create", "x", "-c", 3)
    assert cli.show("x")["inode"] == inode
    assert "capacity 3, not 4" in cli.fails(65, "create", "x", "-c", 4)
    assert "another kind" in cli.fails(65, "create", "x", "-k", "lock")
    assert facts(cli, "x") == ("permits", 3, 3)


def test_create_exclusive(cli):
    cli.ok("create", "--exclusive", "x")
    assert "there is one of that name" in cli.fails(73, "create", "--exclusive", "x")


def test_create_replace(cli):
    cli.ok("create", "x", "-c", 3)
    holder = cli.hold("x")
    cli.ok("create", "--replace", "-k", "lock", "x")
    assert facts(cli, "x") == ("lock", 1, 1)
    assert holder.poll() is None


@pytest.mark.parametrize("mode, expected", [([], 0o600), (["-m", "660"], 0o660),
                                            (["--mode=0444"], 0o444)])
def test_create_mode(cli, mode, expected):
    cli.ok("create", "x", *mode)
    file = os.stat(os.path.join(cli.directory, "semundo.x"))
    assert stat.S_IMODE(file.st_mode) == expected
    assert cli.show("x")["mode"] == f"{expected:04o}"


def test_rm(cli):
    for name in "abc":
        cli.ok("create", name)
    cli.ok("rm", "a", "c")
    assert cli.ok("ls", "-n", "--raw", "-o", "NAME") == "b\n"
    assert "'a'" in cli.fails(66, "rm", "a", "b")
    assert cli.ok("ls", "-n") == ""
    cli.ok("rm", "-f", "a", "b")


def test_rm_leaves_what_is_no_semaphore(cli):
    path = os.path.join(cli.directory, "semundo.x")
    with open(path, "w", encoding="utf-8") as file:
        file.write("text")
    cli.fails(65, "rm", "-f", "x")
    assert os.path.exists(path)


def test_foreign_file_is_data_error(cli):
    with open(os.path.join(cli.directory, "semundo.x"), "wb") as file:
        file.write(b"x" * 8192)
    for words in (["value", "x"], ["show", "x"], ["acquire", "x"], ["run", "x", "true"]):
        assert "'x'" in cli.fails(65, *words)


def test_symbolic_link_is_data_error(cli):
    cli.ok("create", "x")
    os.symlink("semundo.x", os.path.join(cli.directory, "semundo.y"))
    assert "symbolic link" in cli.fails(65, "value", "y")


def test_resize(cli):
    cli.ok("create", "x", "-c", 2)
    cli.ok("resize", "x", 5)
    assert facts(cli, "x") == ("permits", 5, 5)
    holder = cli.hold("x", "-n", 4)
    cli.ok("resize", "x", 3)
    assert facts(cli, "x") == ("permits", 3, -1)
    holder.communicate("\n")
    assert cli.value("x") == 3
    cli.ok("create", "l", "-k", "lock")
    assert "lock" in cli.fails(65, "resize", "l", 2)


def test_wait_until_all_are_back(cli):
    cli.ok("create", "x", "-c", 2)
    cli.ok("wait", "x")
    holder = cli.hold("x")
    assert cli("wait", "x", "--nonblock").returncode == 1
    assert cli("wait", "x", "-w", "0.05", "-E", 9).returncode == 9
    waiter = cli.start("wait", "x")
    cli.until_waiters("x", 1)
    assert waiter.poll() is None
    holder.communicate("\n")
    assert waiter.wait(60) == 0
    cli.ok("create", "s", "-k", "signal")
    cli.fails(65, "wait", "s")


def test_recover_counts_the_dead(cli):
    cli.ok("create", "x", "-c", 3)
    holders = [cli.hold("x", "--close") for _ in range(2)]
    for holder in holders:
        holder.kill()
        holder.wait(60)
    shown = cli.show("x")
    assert (shown["value"], shown["held"], shown["dead"]) == (1, 2, 2)
    assert cli.ok("recover", "x") == "2\n"
    shown = cli.show("x")
    assert (shown["value"], shown["dead"], shown["died"]) == (3, 0, 2)
    assert shown["recovered"]
    assert {d["pid"] for d in shown["deaths"]} == {h.pid for h in holders}
    assert cli.ok("recover", "x") == "0\n"
    for holder in holders:
        os.kill(holder.command, 9)
