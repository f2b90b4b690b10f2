# SPDX-License-Identifier: Apache-2.0
"""The examples do what they say, and README shows the one it claims to show."""
import os
import re
import shutil
import signal
import subprocess
import tempfile
from pathlib import Path

import pytest

HERE = Path(__file__).resolve().parent
BUILT = Path(os.environ["EXAMPLES"])
SEMUNDO = os.environ["SEMUNDO"]


@pytest.fixture
def env():
    directory = tempfile.mkdtemp(prefix="semundo-examples.", dir="/dev/shm")
    yield dict(os.environ, SEMUNDO_DIR=directory)
    shutil.rmtree(directory)


def run(*command, env, **more):
    return subprocess.run([str(c) for c in command], env=env, text=True, timeout=60,
                          stdout=subprocess.PIPE, stderr=subprocess.PIPE, **more)


def value(name, env):
    return run(SEMUNDO, "value", name, env=env).stdout.strip()


def test_permits_works_and_gives_its_unit_back(env):
    done = run(BUILT / "permits", env=env)
    assert (done.returncode, done.stdout) == (0, "working: at most 3 of us at once\n")
    assert value("downloads", env) == "3"


def test_permits_says_what_is_wrong(env):
    done = run(BUILT / "permits", env=dict(env, SEMUNDO_DIR=env["SEMUNDO_DIR"] + "/none"))
    assert done.returncode == 1
    assert env["SEMUNDO_DIR"] + "/none" in done.stderr


def test_lock_loses_no_addition(env, tmp_path):
    number = tmp_path / "number"
    runs = [subprocess.Popen([BUILT / "lock", number], env=env) for _ in range(20)]
    assert [r.wait(timeout=60) for r in runs] == [0] * 20
    assert number.read_text() == "20\n"


def test_lock_tells_the_next_owner_of_a_death(env, tmp_path):
    number = tmp_path / "number"
    owner = subprocess.Popen([BUILT / "lock", number], env=dict(env, LOCK_PAUSE="1"),
                             stdout=subprocess.PIPE, text=True)
    assert owner.stdout.readline() == "owning the lock\n"
    owner.kill()
    assert owner.wait(timeout=60) == -signal.SIGKILL
    owner.stdout.close()
    told = run(BUILT / "lock", number, env=env)
    assert told.stdout == f"process {owner.pid} died while it owned the lock\n"
    assert number.read_text() == "1\n"
    assert os.listdir(tmp_path) == ["number"]
    assert run(BUILT / "lock", number, env=env).stdout == ""
    assert number.read_text() == "2\n"


@pytest.mark.parametrize("workers", [1, 2, 8])
def test_busy_counts_workers_and_not_the_dead(env, workers):
    done = run(BUILT / "busy", workers, env=env)
    assert done.returncode == 0, done.stderr
    assert done.stdout == (f"at first: 0 of {workers} busy\n"
                           f"all at work: {workers} of {workers} busy\n"
                           f"one crashed: {workers - 1} of {workers} busy\n"
                           f"all came back: 0 of {workers} busy\n")


def test_compress_compresses_all(env, tmp_path):
    files = [tmp_path / f"file {i}" for i in range(6)]
    for file in files:
        file.write_text(file.name * 1000)
    done = run(HERE / "compress.bash", *files, env=dict(env, SEMUNDO=SEMUNDO))
    assert (done.returncode, done.stdout) == (0, "6 of 6 files compressed\n"), done.stderr
    for file in files:
        assert run("gzip", "-dc", f"{file}.gz", env=env).stdout == file.read_text()


def test_compress_counts_failures(env, tmp_path):
    (tmp_path / "there").write_text("text")
    done = run(HERE / "compress.bash", tmp_path / "there", tmp_path / "not there",
               env=dict(env, SEMUNDO=SEMUNDO))
    assert (done.returncode, done.stdout) == (1, "1 of 2 files compressed\n")


def test_posix_sem_run_passes_the_status_on(env):
    name = f"semundo-example.{os.getpid()}"
    program = BUILT / "posix_sem_run"
    try:
        assert run(program, name, 1, "sh", "-c", "exit 7", env=env).returncode == 7
        assert run(program, name, 1, "/nonexistent", env=env).returncode == 127
        assert run(program, "--value", name, env=env).stdout == "1\n"
    finally:
        assert run(program, "--unlink", name, env=env).returncode == 0


def test_posix_sem_run_killed_loses_its_unit(env):
    name = f"semundo-example.{os.getpid()}"
    program = BUILT / "posix_sem_run"
    holder = subprocess.Popen([program, name, "1", "sh", "-c", "echo; read x"], env=env,
                              stdin=subprocess.PIPE, stdout=subprocess.PIPE)
    try:
        holder.stdout.readline()
        holder.kill()
        holder.wait(timeout=60)
        holder.stdin.close()
        assert holder.stdout.read() == b""  # the command has ended too
        assert run(program, "--value", name, env=env).stdout == "0\n"
    finally:
        holder.stdout.close()
        assert run(program, "--unlink", name, env=env).returncode == 0


def test_readme_shows_the_c_example():
    shown = re.findall(r"```c\n(.*?)```", (HERE.parent / "README.md").read_text(), re.S)
    lines = (HERE / "permits.c").read_text().splitlines(keepends=True)
    code = "".join(lines[2:])
    assert code in shown
