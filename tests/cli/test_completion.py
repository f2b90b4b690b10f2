# SPDX-License-Identifier: Apache-2.0
"""The bash completion, asked without a terminal."""
import os
import subprocess

import pytest

from conftest import SEMUNDO

SCRIPT = """
source "$SEMUNDO_COMPLETION" || exit
COMP_WORDS=("$@")
COMP_CWORD=$(($# - 1))
_semundo "$1" "${COMP_WORDS[COMP_CWORD]}" "${COMP_WORDS[COMP_CWORD - 1]}"
((${#COMPREPLY[@]} == 0)) || printf '%s\\n' "${COMPREPLY[@]}"
"""


def complete(cli, *words):
    done = subprocess.run(["bash", "--norc", "-c", SCRIPT, "bash", SEMUNDO, *words], env=cli.env,
                          text=True, capture_output=True, timeout=60, check=True)
    assert done.stderr == ""
    return done.stdout.split("\n")[:-1]


def test_is_registered(cli):
    out = subprocess.run(["bash", "--norc", "-c",
                          'source "$SEMUNDO_COMPLETION" && complete -p semundo'], env=cli.env,
                         text=True, capture_output=True, timeout=60, check=True)
    assert out.stdout.startswith("complete ") and out.stdout.endswith(" semundo\n")


def test_verbs(cli):
    assert complete(cli, "re") == ["release", "resize", "recover"]
    every = complete(cli, "")
    assert {"run", "ls", "show", "--help"} <= set(every)
    for verb in every:
        if not verb.startswith("-"):
            assert subprocess.run([SEMUNDO, verb, "--help"], stdout=subprocess.DEVNULL,
                                  timeout=60, check=False).returncode == 0


@pytest.mark.parametrize("words, expected", [
    (["show", "--j"], ["--json"]),
    (["run", "--no"], ["--nonblock"]),
    (["run", "n", "--clo"], ["--close"]),
    (["run", "-k", "l"], ["lock"]),
    (["create", "--kind", ""], ["lock", "permits", "signal"]),
    (["preload", "--undo", ""], ["binary", "none"]),
    (["preload", "--u"], ["--undo"]),
    (["ls", "--no"], ["--noheadings"]),
])
def test_options(cli, words, expected):
    assert complete(cli, *words) == expected


def test_names(cli):
    for name in ("one", "other", "a b"):
        cli.ok("create", name)
    assert complete(cli, "show", "o") == ["one", "other"]
    assert complete(cli, "run", "on") == ["one"]
    assert complete(cli, "run", "-c", "3", "on") == ["one"]
    assert complete(cli, "acquire", "-n", "2", "") == ["a\\ b", "one", "other"]
    assert complete(cli, "rm", "one", "ot") == ["other"]
    assert complete(cli, "show", "one", "o") == []
    assert complete(cli, "ls", "o") == []


def test_command_after_the_name(cli):
    assert "gzip" in complete(cli, "run", "x", "gzi")
    assert "gzip" in complete(cli, "preload", "gzi")
    assert "gzip" in complete(cli, "preload", "-u", "none", "gzi")
    assert complete(cli, "preload", "gzip", "--u") == []
    assert complete(cli, "run", "x", "gzip", os.path.basename("f")) == []
