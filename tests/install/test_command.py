# SPDX-License-Identifier: Apache-2.0
"""The installed command runs, and comes with its page and completion."""
import re

import pytest
from conftest import run


def command(installed):
    return installed.dir("bindir") / "semundo"


def test_command_runs(installed):
    version = installed.pkg_config("--modversion")[0]
    assert version in installed.run(command(installed), "--version")
    out = installed.run(command(installed), "run", "installed-command", "--", "echo", "held")
    assert out == "held\n"


def test_command_needs_no_library_of_ours(installed):
    """It has the library inside: `semundo run` starts faster so."""
    dynamic = run("readelf", "-d", command(installed))
    assert re.search(r"NEEDED.*\[libc\.so", dynamic)
    assert "libsemundo" not in dynamic
    assert "RPATH" not in dynamic and "RUNPATH" not in dynamic


@pytest.mark.parametrize("name", ["semundo", "semundo-tracker"])
def test_command_has_a_page(installed, name):
    page = installed.dir("mandir") / "man1" / f"{name}.1"
    assert name in run("man", "-l", page, env={"PATH": "/usr/bin:/bin", "LC_ALL": "C.UTF-8"})


def test_tracker_runs(installed):
    tracker = installed.dir("bindir") / "semundo-tracker"
    assert installed.pkg_config("--modversion")[0] in installed.run(tracker, "--version")
    assert "libsemundo" not in run("readelf", "-d", tracker)


def test_completion_is_loaded_by_bash(installed):
    completions = installed.dir("datadir") / "bash-completion" / "completions"
    script = completions / "semundo"
    out = run("bash", "--norc", "-c", 'source "$1" && complete -p semundo', "bash", script)
    assert re.match(r"complete .* semundo$", out)
