# SPDX-License-Identifier: Apache-2.0
"""The Python client, with each interpreter, in the three start methods."""
import os
import pathlib
import subprocess

import pytest
from conftest import LIMIT, until

CLIENT = pathlib.Path(__file__).with_name("client.py")
PYTHONS = os.environ["SEMUNDO_PYTHONS"].split(":")
METHODS = ["fork", "spawn", "forkserver"]
IN_EACH = ["killed", "attached", "maker_killed", "tracker_killed", "children_restart"]
ONCE = ["killed_with_a_semaphore", "in_order", "forked", "finalizers", "threads", "interface",
        "closed", "unwritable", "without_program", "late"]


def run(world, python, case, method):
    env = {**world.env, "PYTHONPATH": os.environ["SEMUNDO_PACKAGE"], "PYTHONWARNINGS": "default"}
    env.pop("SEMUNDO_TRACKER", None)
    done = subprocess.run([python, CLIENT, case, method], env=env, timeout=2 * LIMIT,
                          stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                          stderr=subprocess.PIPE, text=True, check=False)
    assert (done.returncode, done.stdout.splitlines()[-1:]) == (0, ["ok"]), done.stderr
    until(lambda: world.journals() == [], "the trackers have ended")
    return done


@pytest.mark.parametrize("python", PYTHONS, ids=lambda path: path.replace("/", "."))
def test_cases(world, python):
    for case in IN_EACH:
        for method in METHODS if python == PYTHONS[0] else METHODS[1:2]:
            names = run(world, python, case, method).stdout.split()[:-1]
            assert not any(world.exists("/" + name) for name in names)
    for case in ONCE:
        run(world, python, case, "spawn")


def test_leak_is_named(world):
    """At the end of a program that left something, and only then."""
    code = """if 1:
        from multiprocessing import shared_memory
        from semundo.multiprocessing._tracker import use_tracker
        use_tracker()
        one, two = (shared_memory.SharedMemory(create=True, size=1) for _ in range(2))
        for memory in (one, two):
            memory.close()
        two.unlink()
        print(one.name)
    """
    env = {**world.env, "PYTHONPATH": os.environ["SEMUNDO_PACKAGE"]}
    process = subprocess.Popen([PYTHONS[0], "-c", code], env=env, stdout=subprocess.PIPE,
                               stderr=subprocess.PIPE, stdin=subprocess.DEVNULL, text=True)
    out, errors = process.communicate(timeout=LIMIT)
    name = out.strip()
    assert process.returncode == 0
    assert "There appear to be 1 leaked shared_memory objects" in errors
    assert f"'/{name}' was made by process {process.pid} ({PYTHONS[0]} -c if 1:\\x0a" in errors
    assert not world.exists("/" + name)
