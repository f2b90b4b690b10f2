# SPDX-License-Identifier: Apache-2.0
"""The tracker, and each verb of the command once under valgrind's memcheck, and once where it fails."""
import os
import pathlib
import shutil
import subprocess
import tempfile

import pytest

SEMUNDO = os.environ["SEMUNDO"]
LIMIT = 200
ERRORS = 99  # a status of none of the command's own

VALGRIND = ["valgrind", "-q", f"--error-exitcode={ERRORS}", "--leak-check=full",
            "--show-leak-kinds=definite", "--errors-for-leak-kinds=definite"]

# Calls of the kernel that valgrind does not know: it says ENOSYS to the
# command, which then does without.
UNKNOWN = ("unhandled amd64-linux syscall", "You may be able to write your own handler",
           "Read the file README_MISSING_SYSCALL_OR_IOCTL", "Nevertheless we consider this a bug",
           "it at http://valgrind.org/support/bug_reports.html", "unhandled arm64-linux syscall")

pytestmark = pytest.mark.skipif(not shutil.which("valgrind"), reason="valgrind is not installed")


@pytest.fixture(name="directory", scope="module")
def fixture_directory():
    directory = tempfile.mkdtemp(prefix="semundo-valgrind.", dir="/dev/shm")
    yield directory
    shutil.rmtree(directory)


def complaints(path):
    lines = [line for line in path.read_text(errors="replace").splitlines() if line.strip()]
    return [line for line in lines if not any(text in line for text in UNKNOWN)]


# In this order. Not `acquire`, nor a `release` of what it holds: they need
# pidfd_open(2), which valgrind 3.19 does not know.
STEPS = [
    (0, "create", "pool", "--capacity", "3"),
    (0, "create", "bell", "--kind", "signal"),
    (0, "release", "bell"),
    (0, "run", "pool", "--", "true"),
    (3, "run", "pool", "--", "sh", "-c", "exit 3"),
    (0, "show", "pool"),
    (0, "show", "--json", "pool"),
    (0, "ls"),
    (0, "ls", "--json"),
    (0, "value", "pool"),
    (0, "resize", "pool", "2"),
    (0, "wait", "pool"),
    (0, "recover", "pool"),
    (0, "rm", "pool"),
    (None, "show", "pool"),
    (None, "run", "-n", "no/name", "--", "true"),
    (0, "--help"),
]


@pytest.mark.parametrize("step", STEPS, ids=lambda step: " ".join(map(str, step[1:])))
def test_no_error(directory, tmp_path, step):
    status, *words = step
    report = tmp_path / "report"
    done = subprocess.run(
        [*VALGRIND, f"--log-file={report}", SEMUNDO, *words], check=False, timeout=LIMIT,
        env=dict(os.environ, SEMUNDO_DIR=directory), stdin=subprocess.DEVNULL,
        capture_output=True, text=True)
    said = complaints(report)
    assert not said, "\n".join(said)
    assert done.returncode != ERRORS
    if status is not None:
        assert done.returncode == status, done
    else:
        assert done.returncode != 0


# It says ENOSYS to pidfd_open(2) too: so this goes the way of older kernels.
LINES = """\
REGISTER:/a:dummy
REGISTER:/a:dummy
UNREGISTER:/a:dummy
REGISTER:/none:shared_memory
nonsense
{"cmd":"PROBE","base64_command":"Y2F0","pid":%(pid)d,"start":%(start)d,"ns":%(ns)d}
{"cmd":"REGISTER","rtype":"dummy","base64_name":"YQ==","pid":%(pid)d,"start":%(start)d,"ns":%(ns)d}
{"cmd":"REGISTER","rtype":"dummy","base64_name":"Yg==","pid":%(pid)d,"start":%(start)d,"ns":%(ns)d}
{"cmd":"UNREGISTER","rtype":"dummy","base64_name":"Yg==","pid":%(pid)d,"start":%(start)d,"ns":%(ns)d}
{"cmd":"LEAVE","pid":%(pid)d,"start":%(start)d,"ns":%(ns)d}
{"cmd":"REGISTER","rtype":"dummy","base64_name":"YQ==","pid":%(pid)d,"start":1,"ns":%(ns)d}
{"cmd":"REGISTER","rtype":[],"pid":1e9}
"""


def tracker(directory, tmp_path, lines, status):
    """One that is killed in the middle if status is negative; its journal stays."""
    report = tmp_path / "report"
    reader, writer = os.pipe() if tracker.pipe is None else tracker.pipe
    tracker.pipe = reader, writer
    with subprocess.Popen(
            [*VALGRIND, f"--log-file={report}", os.environ["SEMUNDO_TRACKER_PROGRAM"], str(reader)],
            pass_fds=[reader], env=dict(os.environ, SEMUNDO_DIR=directory), text=True,
            stdin=subprocess.DEVNULL, stderr=subprocess.PIPE) as process:
        os.write(writer, lines.encode())
        if status < 0:
            while "nonsense" not in process.stderr.readline():
                pass
            process.kill()
        else:
            os.close(writer)
            os.close(reader)
        told = process.communicate(timeout=LIMIT)[1]
    said = complaints(report)
    assert not said, "\n".join(said)
    assert process.returncode == status, told


def test_tracker(directory, tmp_path):
    """Lines of all kinds; and the next one, which reads the journal."""
    with open("/proc/self/stat", encoding="ascii", errors="replace") as file:
        start = int(file.read().rpartition(")")[2].split()[19])
    who = {"pid": os.getpid(), "start": start, "ns": os.stat("/proc/self/ns/pid").st_ino}
    tracker.pipe = None
    tracker(directory, tmp_path, LINES % who, -9)
    tracker(directory, tmp_path, LINES % who, 1)
    assert [name for name in os.listdir(directory) if "tracker" in name] == []
