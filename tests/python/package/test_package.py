# SPDX-License-Identifier: Apache-2.0
"""What is installed: by pip into an environment of its own, with its types."""
import os
import pathlib
import shutil
import subprocess
import sys
import tempfile
import textwrap
import unittest

ROOT = pathlib.Path(__file__).resolve().parents[3]
SOURCES = ["LICENSE", "README.md", "cli", "include", "meson.build", "meson_options.txt",
           "pyproject.toml", "python", "src", "tracker"]
LIMIT = 390


def run(*words, status=0, **options):
    done = subprocess.run(list(map(str, words)), stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                          stderr=subprocess.STDOUT, universal_newlines=True, timeout=LIMIT,
                          check=False, **options)
    if done.returncode != status:
        raise AssertionError(f"{words}: status {done.returncode}\n{done.stdout}")
    return done.stdout


class Temporary(unittest.TestCase):
    def setUp(self):
        self.directory = pathlib.Path(tempfile.mkdtemp(prefix="semundo-package."))
        self.addCleanup(shutil.rmtree, str(self.directory))

    def write(self, name, text):
        path = self.directory / name
        path.write_text(textwrap.dedent(text), encoding="utf-8")
        return path


class Wheel(Temporary):
    def test_pip_install(self):
        source = self.directory / "source"
        source.mkdir()
        for name in SOURCES:
            whole = ROOT / name
            (shutil.copytree if whole.is_dir() else shutil.copy)(str(whole), str(source / name))
        environment = self.directory / "environment"
        run(sys.executable, "-m", "venv", "--system-site-packages", environment)
        python = environment / "bin" / "python"
        env = {key: value for key, value in os.environ.items() if key != "PYTHONPATH"}
        env["SEMUNDO_DIR"] = str(self.directory)
        run(python, "-m", "pip", "install", "--no-build-isolation", "--no-index",
            "--disable-pip-version-check",
            f"--config-settings=builddir={self.directory / 'build'}",  # else it builds twice
            source, env=env)
        told = run(python, "-c", "import semundo\nwith semundo.Lock('x') as l: print(l)\n"
                                 "print(semundo.__file__)", env=env, cwd=str(self.directory))
        self.assertIn("<semundo.Lock 'x' value 0 of 1>", told)
        self.assertIn(str(environment), told)
        package = pathlib.Path(told.splitlines()[-1]).parent
        built = pathlib.Path(os.environ["PYTHONPATH"]) / "semundo"
        self.assertEqual(self.files(package), self.files(built))
        tracker = run(python, "-c", "from semundo.multiprocessing import _tracker\n"
                                    "print(_tracker.find_program())", env=env)
        self.assertEqual(tracker.strip(), str(package / "semundo-tracker"))
        self.assertIn("semundo-tracker", run(tracker.strip(), "--version"))
        run(python, "-m", "pip", "uninstall", "--yes", "semundo", env=env)

    @staticmethod
    def files(package):
        """Those of the package, without the numbers of interpreters."""
        return {str(path.relative_to(package)).partition(".cpython-")[0]
                for path in package.rglob("*")
                if path.is_file() and path.suffix in (".py", ".pyi", ".so", ".typed")}


class Types(Temporary):
    def mypy(self, *words, status=0):
        return run("mypy", "--cache-dir", self.directory / "cache", *words, status=status)

    def test_package(self):
        package = pathlib.Path(os.environ["PYTHONPATH"]) / "semundo"
        for version in ("3.8", "3.11"):
            self.mypy("--strict", "--python-version", version, package)

    def test_as_it_is_used(self):
        program = self.write("good.py", """
            from typing import List, Optional
            import semundo

            def told(s: semundo.Lock, deaths: object) -> None: ...

            with semundo.Lock("x", on_recover=told) as lock:
                number: int = lock.value
                who: List[semundo.Peer] = lock.holders()
                pids: List[int] = [death.pid for death in lock.recovered]
            got: bool = semundo.Semaphore("y", 3).acquire(timeout=1.5)

            async def work(s: semundo.Semaphore) -> Optional[str]:
                async with s as same:
                    return same.name if await s.acquire_async(2, timeout=1) else None
        """)
        self.mypy("--strict", program)

    def test_mistakes_are_found(self):
        program = self.write("bad.py", """
            import semundo
            semundo.Semaphore(3)
            semundo.Lock("x").acquire(timeout="1")
            text: str = semundo.Lock("x").value
        """)
        errors = self.mypy(program, status=1)
        self.assertEqual([line.split(":")[1] for line in errors.splitlines() if ": error:" in line],
                         ["3", "4", "5"])


class Pythons(Temporary):
    """scripts/find-pythons"""

    def find(self, *words, status=0, **env):
        return run(sys.executable, ROOT / "scripts" / "find-pythons", *words, status=status,
                   env={**os.environ, **env})

    def test_this_one(self):
        first = self.find(PATH="/nonexistent", PYENV_ROOT="/nonexistent").splitlines()[0]
        path, version, suffix, include = first.split("|")
        self.assertEqual(path, "/usr/bin/python3")
        self.assertEqual(version, sys.version.split()[0])
        self.assertIn(".cpython-", suffix)
        self.assertTrue(os.path.exists(os.path.join(include, "Python.h")))

    def test_named(self):
        self.assertEqual(len(self.find(sys.executable).splitlines()), 1)

    def test_unfit(self):
        old = self.write("python3.7", """\
            #!/bin/sh
            echo "CPython|3.7.3|.so|/usr/include"
        """)
        old.chmod(0o755)
        self.assertIn("3.8 or later", self.find(old, status=1))
        self.assertIn("does not run", self.find("/bin/false", status=1))
        self.assertNotIn(str(old), self.find(PATH=str(self.directory)))
