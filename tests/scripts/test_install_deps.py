# SPDX-License-Identifier: Apache-2.0
"""Packages are installed when they are missing, with a word about it, and only then.

The commands of Debian that the script calls are stand-ins that note their
arguments, so nothing is installed here.
"""
import pathlib
import shutil
import subprocess

import pytest

SCRIPT = pathlib.Path(__file__).resolve().parents[2] / "scripts" / "install-deps"
NEEDED = ["sh", "env", "mktemp", "rm", "cat"]


class System:
    """A directory of commands: the PATH of the script."""

    def __init__(self, directory):
        self.directory = directory
        self.calls = directory / "calls"
        for name in NEEDED:
            (directory / name).symlink_to(shutil.which(name))
        self.command("apt-get", f'echo "$@" >>{self.calls}')

    def command(self, name, body):
        path = self.directory / name
        path.write_text(f"#!/bin/sh\n{body}\n", encoding="ascii")
        path.chmod(0o755)

    def installed(self, *names):
        cases = "|".join(names) or "none"
        self.command("dpkg-query", f'case $4 in {cases}) echo installed ;; *) exit 1 ;; esac')

    def user(self, number):
        self.command("id", f"echo {number}")

    def run(self, *groups):
        return subprocess.run([SCRIPT, *groups], env={"PATH": str(self.directory)},
                              stdin=subprocess.DEVNULL, capture_output=True, text=True,
                              check=False, timeout=30)

    def apt_calls(self):
        return self.calls.read_text(encoding="utf-8").splitlines() if self.calls.exists() else []


@pytest.fixture(name="system")
def fixture_system(tmp_path):
    directory = tmp_path / "bin"
    directory.mkdir()
    system = System(directory)
    system.user(0)
    return system


BUILD = ["gcc", "libc6-dev", "libjansson-dev", "libsmartcols-dev", "meson", "ninja-build",
         "pkg-config"]


def test_silent_when_all_is_there(system):
    system.installed(*BUILD)
    done = system.run("build")
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")
    assert system.apt_calls() == []


def test_installs_what_is_missing_and_says_why(system):
    system.installed(*(name for name in BUILD if name not in ("meson", "pkg-config")))
    done = system.run("build")
    assert done.returncode == 0
    assert "to build: meson pkg-config" in done.stdout
    update, install = system.apt_calls()
    assert update.split()[-1] == "update"
    assert install.split()[-3:] == ["--no-install-recommends", "meson", "pkg-config"]


def test_other_processors_where_there_are_packages(system):
    system.installed("spin")
    system.command("dpkg", "echo arm64")
    assert system.run("check").returncode == 0
    assert system.apt_calls() == []
    system.command("dpkg", "echo amd64")
    assert system.run("check").returncode == 0
    assert system.apt_calls()[1].split()[-4:] == [
        "gcc-12-multilib", "gcc-aarch64-linux-gnu", "libc6-dev-arm64-cross", "qemu-user"]


def test_goes_through_sudo(system):
    system.installed()
    system.user(1000)
    system.command("sudo", f'echo sudo >>{system.calls}; [ "$1" = -n ] && shift; exec "$@"')
    done = system.run("build")
    assert done.returncode == 0
    assert "through sudo" in done.stdout
    assert system.apt_calls()[0] == "sudo"
    assert len(system.apt_calls()) == 4


def test_without_sudo_says_what_to_do(system):
    system.installed()
    system.user(1000)
    done = system.run("build")
    assert done.returncode == 1
    assert "As root: apt-get install --no-install-recommends gcc" in done.stderr
    assert system.apt_calls() == []


def test_failure_of_apt_is_shown(system):
    system.installed()
    system.command("apt-get", "echo the mirror burns; exit 100")
    done = system.run("build")
    assert done.returncode == 1
    assert "the mirror burns" in done.stderr
    assert "Could not install them" in done.stderr


def test_old_package_lists_will_do(system):
    system.installed()
    system.command("apt-get", f'case "$*" in *update) exit 100 ;; esac; echo "$@" >>{system.calls}')
    done = system.run("build")
    assert done.returncode == 0
    assert "apt-get update failed" in done.stderr
    assert len(system.apt_calls()) == 1


def test_other_systems_are_told(system):
    done = system.run("build")
    assert done.returncode == 0
    assert "Not a Debian system; to build, this is needed: gcc" in done.stdout


@pytest.mark.parametrize("group, name", [
    ("test", "check"), ("demo", "xz-utils"), ("macos", "xz-utils"), ("more", "clang-14"), ("more", "libclang-rt-14-dev"),
    ("more", "valgrind"), ("analyze", "cppcheck"), ("analyze", "clang-tidy-14"),
    ("coverage", "gcovr"),
])
def test_groups(system, group, name):
    system.installed()
    assert system.run(group).returncode == 0
    assert name in system.apt_calls()[-1].split()


def test_unknown_group(system):
    system.installed()
    assert system.run("cook").returncode != 0
    assert system.apt_calls() == []


def test_python_group(system):
    system.installed()
    done = system.run("python")
    assert done.returncode == 0
    assert system.apt_calls()[-1].split("--no-install-recommends ")[1].split() == [
        "gunicorn", "mypy", "python3", "python3-dev", "python3-mesonpy", "python3-sysv-ipc",
        "python3-venv"]
