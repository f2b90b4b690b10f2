# SPDX-License-Identifier: Apache-2.0
"""A small run of the demo, and its sampler on its own: would it see a fourth?"""
import os
import subprocess
import sys
from pathlib import Path

DEMO = Path(__file__).resolve().parent / "demo"
sys.dont_write_bytecode = True
sys.path.insert(0, str(DEMO))

import sampler  # noqa: E402


def in_shm():
    return {n for n in os.listdir("/dev/shm") if "semundo-demo" in n}


def test_small_demo_passes_its_own_checks_and_leaves_nothing():
    before = in_shm()
    done = subprocess.run([DEMO / "run", "--megabytes", "4"], text=True, timeout=200,
                          stdout=subprocess.PIPE, stderr=subprocess.STDOUT)
    assert done.returncode == 0, done.stdout
    assert "hung" in done.stdout and "12 of 12" in done.stdout
    assert in_shm() - before == set()


def test_demo_without_a_build_says_what_to_do():
    done = subprocess.run([DEMO / "run"], text=True, timeout=60, stderr=subprocess.PIPE,
                          env=dict(os.environ, SEMUNDO_BUILD="/nonexistent"))
    assert done.returncode == 2
    assert "make demo" in done.stderr


def test_sampler_sees_a_fourth_process(tmp_path):
    """Compressors that wait for their input, so that all are there at once."""
    ours = [subprocess.Popen(["gzip", "-c"], cwd=tmp_path, stdin=subprocess.PIPE,
                             stdout=subprocess.DEVNULL) for _ in range(4)]
    other = subprocess.Popen(["gzip", "-c"], stdin=subprocess.PIPE, stdout=subprocess.DEVNULL)
    looker = sampler.Looker(str(tmp_path))
    try:
        assert looker.running() == {p.pid for p in ours}
        ours[0].kill()
        ours[0].wait()
        assert looker.running() == {p.pid for p in ours[1:]}
        ours[1].kill()
        os.waitid(os.P_PID, ours[1].pid, os.WEXITED | os.WNOWAIT)
        assert looker.running() == {p.pid for p in ours[2:]}  # a zombie does not run
    finally:
        for process in [*ours, other]:
            process.stdin.close()
            process.wait()
