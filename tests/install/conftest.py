# SPDX-License-Identifier: Apache-2.0
"""One installation in a temporary directory, for all tests here."""
import json
import os
import pathlib
import re
import subprocess

import pytest

HERE = pathlib.Path(__file__).resolve().parent
BUILD = pathlib.Path(os.environ["SEMUNDO_BUILD"])
HEADERS = ["semundo.h", "semundo/semaphore.h"]
MESON = os.environ["MESON"]


def run(*command, **options):
    """The output of a command that must succeed."""
    done = subprocess.run([str(word) for word in command], stdin=subprocess.DEVNULL,
                          stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True,
                          errors="replace", check=False, timeout=120, **options)
    assert done.returncode == 0, f"{command} ended with {done.returncode}:\n{done.stdout}"
    return done.stdout


def build_options():
    options = json.loads(run(MESON, "introspect", "--buildoptions", BUILD))
    return {option["name"]: option["value"] for option in options}


class Installation:
    def __init__(self, root, work):
        self.root = root
        self.work = work
        self.options = build_options()
        run(MESON, "install", "-C", BUILD, "--no-rebuild", "--quiet", "--destdir", root)

    def dir(self, option):
        """A directory of the installation, such as "libdir"."""
        prefix = self.options["prefix"]
        return self.root / os.path.join(prefix, self.options[option]).lstrip("/")

    def environment(self):
        return dict(
            os.environ,
            LD_LIBRARY_PATH=str(self.dir("libdir")),
            SEMUNDO_DIR=str(self.work),
            PKG_CONFIG_LIBDIR=str(self.dir("libdir") / "pkgconfig"),
            PKG_CONFIG_SYSROOT_DIR=str(self.root),
            PKG_CONFIG_ALLOW_SYSTEM_CFLAGS="1",
            PKG_CONFIG_ALLOW_SYSTEM_LIBS="1",
        )

    def run(self, *command):
        return run(*command, env=self.environment(), cwd=self.work)

    def pkg_config(self, *arguments):
        return self.run("pkg-config", *arguments, "semundo").split()

    def sanitizer(self):
        wanted = self.options["b_sanitize"]
        return [] if wanted == "none" else [f"-fsanitize={wanted}"]

    def headers(self):
        return [self.dir("includedir") / name for name in HEADERS]

    def header_functions(self):
        """The prototypes of the headers: name -> text."""
        text = "".join(header.read_text(encoding="utf-8") for header in self.headers())
        text = re.sub(r"/\*.*?\*/", "", text, flags=re.S)
        found = re.findall(r"^((?:const )?\w[\w ]*[ *](semundo_\w+)\([^;{]*\));", text, re.M)
        return {name: re.sub(r"\s+", " ", prototype) for prototype, name in found}


@pytest.fixture(scope="session", name="installed")
def fixture_installed(tmp_path_factory):
    """The project, installed; its semaphores are in a directory of their own."""
    base = tmp_path_factory.mktemp("installed", numbered=True)
    with_shm = run("mktemp", "-d", "/dev/shm/semundo-install.XXXXXX").strip()
    try:
        yield Installation(base, pathlib.Path(with_shm))
    finally:
        run("rm", "-rf", with_shm)
        run("rm", "-rf", base)
