# SPDX-License-Identifier: Apache-2.0
"""Help, bad options, bad names: told in one line, nothing changed."""
import os
import re
import subprocess

import pytest

VERBS = ["run", "acquire", "release", "create", "value", "ls", "show", "rm", "resize", "wait",
         "recover", "gc", "doctor", "preload"]


def test_help_lists_the_verbs(cli):
    out = cli.ok("--help")
    for verb in VERBS:
        assert re.search(rf"^  {verb} ", out, re.M)
    assert cli.ok("-h") == cli.ok("help") == out


@pytest.mark.parametrize("verb", VERBS)
def test_help_of_a_verb(cli, verb):
    out = cli.ok(verb, "--help")
    assert out.startswith(f"Usage: semundo {verb} ")
    assert cli.ok(verb, "-h") == cli.ok("help", verb) == out


def test_every_option_and_verb_is_in_the_page(cli):
    with open(os.environ["SEMUNDO_PAGE"], encoding="utf-8") as file:
        page = file.read()
    for verb in VERBS:
        assert f".Ss Nm Cm {verb}\n" in page
        for option in re.findall(r"--([a-z-]+)", cli.ok(verb, "--help").partition("Options:")[2]):
            assert f"\\-{option}" in page or option == "help", (verb, option)


def test_every_exit_status_of_the_help_is_in_the_page(cli):
    with open(os.environ["SEMUNDO_PAGE"], encoding="utf-8") as file:
        page = file.read().partition(".Sh EXIT STATUS")[2]
    statuses = re.findall(r"^ +(\d+)  ", cli.ok("--help").partition("Exit status")[2], re.M)
    assert len(statuses) > 10
    assert [s for s in statuses if f".It {s}\n" not in page] == []


def test_version(cli):
    assert re.fullmatch(r"semundo \d+\.\d+\.\d+\n", cli.ok("--version"))
    assert cli.ok("-V") == cli.ok("--version")


@pytest.mark.parametrize("words, said", [
    ([], "a verb is missing, try 'semundo --help'"),
    (["bogus"], "unknown verb 'bogus', try 'semundo --help'"),
    (["--bogus"], "unknown option '--bogus', try 'semundo --help'"),
    (["run", "--bogus", "x", "true"], "option '--bogus', try 'semundo run --help'"),
    (["run", "x", "-Z", "true"], "option '-Z', try 'semundo run --help'"),
    (["run", "--nonblock=1", "x", "true"], "no argument belongs to '--nonblock=1'"),
    (["run", "x", "--wait"], "an argument is missing after '--wait'"),
    (["run"], "the name of a semaphore is missing"),
    (["run", "x"], "the command is missing"),
    (["preload"], "the command is missing"),
    (["preload", "--"], "the command is missing"),
    (["preload", "--undo=all", "true"], "--undo: 'all' is not binary or none"),
    (["preload", "--library=a:b", "true"], "no path with a blank or a ':' in it"),
    (["run", "x", "--"], "the command is missing"),
    (["run", "x", "-n", "true"], "'true' is not a number from 1 on; not to wait is --nonblock"),
    (["run", "x", "-n", "0", "true"], "'0' is not a number"),
    (["run", "x", "-n", "-1", "true"], "'-1' is not a number"),
    (["run", "x", "-n", "99999999999999999999", "true"], "is not a number"),
    (["run", "x", "-c", "65536", "true"], "65536 is too large"),
    (["run", "x", "-w", "1s", "true"], "'1s' is not a number of seconds"),
    (["run", "x", "-w", "nan", "true"], "'nan' is not a number of seconds"),
    (["run", "x", "-w", "-1", "true"], "'-1' is not a number of seconds"),
    (["run", "x", "-w", "1e99", "true"], "'1e99' is not a number of seconds"),
    (["run", "x", "-E", "256", "true"], "'256' is not an exit status"),
    (["run", "x", "-k", "mutex", "true"], "'mutex' is not a kind (lock, permits or signal)"),
    (["run", "x", "-k", "signal", "true"], "a signal cannot be held"),
    (["create", "x", "-m", "999"], "'999' is not a mode"),
    (["create", "x", "-m", "4755"], "'4755' is not a mode"),
    (["create", "x", "--value", "1"], "only a signal has a first value"),
    (["create", "x", "--exclusive", "--replace"], "exclude each other"),
    (["create", "x", "y"], "too many operands"),
    (["create", "-k", "lock", "-c", "2", "x"], "too large"),
    (["acquire", "x", "--for", "0"], "'0' is not a process ID"),
    (["resize", "x"], "an operand is missing"),
    (["resize", "x", "no"], "'no' is not a capacity"),
    (["resize", "x", "0"], "'0' is not a capacity"),
    (["resize", "x", "3x"], "'3x' is not a capacity"),
    (["ls", "-o", "NAME,BOGUS"], "no column 'BOGUS'; there are NAME, KIND,"),
    (["ls", "-o", ""], "no column ''"),
    (["ls", "--json", "--raw"], "--json goes without"),
    (["ls", "x"], "too many operands"),
])
def test_wrong_usage_is_told(cli, words, said):
    assert said in cli.fails(64, *words)
    assert os.listdir(cli.directory) == []


@pytest.mark.parametrize("name, said", [
    ("", "it is empty"),
    ("a/b", "a '/' in it"),
    ("a:b", "is no engine"),
    ("native:a:b", "a ':' in it"),
    ("a\nb", "a control character (0x0a)"),
    ("x" * 201, "longer than 200 bytes"),
])
@pytest.mark.parametrize("verb", ["run", "create", "value", "show", "rm", "acquire", "release"])
def test_bad_names(cli, verb, name, said):
    assert said in cli.fails(64, verb, name, *(["true"] if verb == "run" else []))
    assert os.listdir(cli.directory) == []


def test_messages_do_not_steer_the_terminal(cli):
    done = cli("value", "a/\x1b[31m\x9b")
    assert "\x1b" not in done.stderr and "\x9b" not in done.stderr
    assert "\\x1b[31m\\xc2\\x9b" in done.stderr


@pytest.mark.parametrize("verb", ["value", "show", "rm", "acquire", "release", "wait", "recover"])
def test_no_such_semaphore(cli, verb):
    assert "'none'" in cli.fails(66, verb, "none")
    assert "'none'" in cli.fails(66, "resize", "none", 2)


def test_no_such_directory(cli):
    cli.env["SEMUNDO_DIR"] = cli.directory + "/none"
    for words in (["ls"], ["create", "x"], ["run", "x", "true"]):
        assert "/none" in cli.fails(66, *words)


def test_full_output_is_told(cli):
    cli.ok("create", "x")
    with open("/dev/full", "w", encoding="utf-8") as full:
        for words in (["value", "x"], ["ls"], ["ls", "--json"], ["show", "x"], ["--help"],
                      ["show", "--json", "x"], ["run", "--help"], ["recover", "x"]):
            done = subprocess.run([os.environ["SEMUNDO"], *words], env=cli.env, stdout=full,
                                  stderr=subprocess.PIPE, text=True, timeout=60, check=False)
            assert done.returncode == 74 and "standard output" in done.stderr, (words, done)
