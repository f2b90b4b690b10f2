# SPDX-License-Identifier: Apache-2.0
"""Engines in the command: names, gc, doctor."""
import json
import os
import subprocess

import pytest


@pytest.fixture(autouse=True)
def _no_sets_left(cli):
    """System V sets do not go with the directory."""
    yield
    for entry in json.loads(cli.ok("ls", "--json"))["semaphores"]:
        if entry["engine"] == "sysv":
            cli.ok("rm", "sysv:" + entry["name"])
    cli.ok("gc")


def sets():
    with open("/proc/sysvipc/sem", encoding="ascii") as file:
        return {line.split()[1] for line in file.readlines()[1:]}


def remove_set(cli, name):
    """As ipcrm does."""
    number = json.loads(cli.ok("show", "--json", name))["inode"]
    subprocess.run(["ipcrm", "-s", str(number)], check=True)


def test_all_engines_are_listed(cli):
    cli.ok("create", "one")
    cli.ok("create", "sysv:two", "-c", "3")
    lines = cli.ok("ls", "--raw", "--noheadings", "-o", "NAME,CAPACITY,ENGINE").splitlines()
    assert lines == ["one 1 native", "sysv:two 3 sysv"]
    cli.ok("rm", "sysv:two")


def test_show_says_which_engine_and_what_it_does_not_know(cli):
    cli.ok("create", "sysv:x", "-c", "3")
    out = cli.ok("show", "sysv:x")
    assert "engine    sysv\n" in out
    assert "holders   not known to this engine\n" in out
    shown = json.loads(cli.ok("show", "--json", "sysv:x"))
    assert (shown["engine"], shown["peers"], shown["deaths"]) == ("sysv", None, None)
    cli.ok("create", "auto:y")
    assert "engine    native\n" in cli.ok("show", "auto:y")


def test_run_needs_close_where_the_hold_cannot_be_inherited(cli):
    assert "--close" in cli.fails(65, "run", "sysv:x", "true")
    held = cli.ok("run", "--close", "sysv:x", "sh", "-c", f"{os.environ['SEMUNDO']} value sysv:x")
    assert held == "0\n"
    assert cli.ok("value", "sysv:x") == "1\n"


def test_gc_finds_names_that_lead_nowhere(cli):
    cli.ok("create", "sysv:x")
    remove_set(cli, "sysv:x")
    assert "set is gone" in cli.ok("gc", "--dry-run")
    found, = json.loads(cli.ok("gc", "--json", "--dry-run"))["garbage"]
    assert (found["kind"], found["name"], found["removed"]) == ("name", "x", False)
    assert cli.ok("gc", "--verbose") == "removed name 'sysv:x', of which the set is gone\n"
    assert cli.ok("gc", "--json") == '{\n   "garbage": []\n}\n'
    assert cli.ok("ls", "--raw", "--noheadings") == ""


def test_gc_leaves_what_is_used(cli):
    before = sets()
    cli.ok("run", "--close", "sysv:x", "sh", "-c",
           f"{os.environ['SEMUNDO']} rm sysv:x && {os.environ['SEMUNDO']} gc")
    assert cli.ok("gc", "--dry-run") == ""
    assert sets() <= before | sets()


def doctor(cli, *words):
    done = cli("doctor", "--json", *words)
    assert done.stderr == ""
    report = json.loads(done.stdout)
    assert done.returncode == (1 if report["warnings"] else 0)
    return report


def warnings(cli, *words):
    return [warning["what"] for warning in doctor(cli, *words)["warnings"]]


def test_doctor_shows_engines_and_limits(cli):
    report = doctor(cli)
    assert [(e["name"], e["usable"]) for e in report["engines"]] == [
        ("native", True), ("sysv", True), ("posix", True)]
    assert "permits" in report["engines"][1]["can"]
    limits = {(limit["engine"], limit["name"]): limit for limit in report["limits"]}
    assert limits["native", "bytes"]["free"] > 0
    assert limits["sysv", "SEMVMX"]["limit"] == 32767
    with open("/proc/sys/kernel/sem", encoding="ascii") as file:
        in_set, in_all, operations, all_sets = map(int, file.read().split())
    assert limits["sysv", "SEMMSL"]["limit"] == in_set
    assert limits["sysv", "SEMMNS"]["limit"] == in_all
    assert limits["sysv", "SEMOPM"]["limit"] == operations
    assert limits["sysv", "SEMMNI"]["limit"] == all_sets
    assert cli.ok("ls", "--raw", "--noheadings") == ""
    assert "SEMMNI" in cli("doctor").stdout


def test_doctor_tells_of_leftovers(cli):
    cli.ok("create", "sysv:x")
    remove_set(cli, "sysv:x")
    assert any("left 1 thing behind" in warning for warning in warnings(cli))
    cli.ok("gc")
    assert not any("behind" in warning for warning in warnings(cli))


@pytest.mark.parametrize("setting, uid, warned", [
    (None, 1000, True), ("RemoveIPC=yes", 1000, True), (" RemoveIPC = ON", 1000, True),
    ("RemoveIPC=no", 1000, False), ("#RemoveIPC=no", 1000, True), ("RemoveIPC=yes", 999, False),
    ("RemoveIPC=yes\nRemoveIPC=0", 1000, False)])
def test_doctor_knows_what_logind_does(cli, tmp_path, setting, uid, warned):
    (tmp_path / "run/systemd/seats").mkdir(parents=True)
    (tmp_path / "etc/systemd/logind.conf.d").mkdir(parents=True)
    if setting:
        (tmp_path / "etc/systemd/logind.conf").write_text(f"[Login]\n{setting}\n")
    said = warnings(cli, "--root", tmp_path, "--uid", uid)
    assert any("RemoveIPC" in warning for warning in said) == warned
    (tmp_path / "etc/systemd/logind.conf.d/50.conf").write_text("[Login]\nRemoveIPC=no\n")
    assert not any("RemoveIPC" in w for w in warnings(cli, "--root", tmp_path, "--uid", uid))


def test_doctor_without_logind(cli, tmp_path):
    assert not any("RemoveIPC" in w for w in warnings(cli, "--root", tmp_path, "--uid", 1000))
