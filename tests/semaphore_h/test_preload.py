# SPDX-License-Identifier: Apache-2.0
"""`semundo preload`: unmodified programs, and what the binary policy does when."""
import contextlib
import json
import os
import shutil
import signal
import subprocess
import tempfile
import time
import uuid

import pytest

SEMUNDO = os.environ["SEMUNDO"]
LIBRARY = os.environ["SEMUNDO_PRELOAD"]
PROGRAMS = os.environ["PROGRAMS"].split(":")
EXAMPLE = os.environ["EXAMPLE"]
PYTHON = "/usr/bin/python3"
if os.environ["SANITIZE"] != "none":
    pytest.skip("a library with sanitizers cannot be preloaded into programs without",
                allow_module_level=True)
LIMIT = 60


class User:
    """A program that does POSIX calls when told."""

    def __init__(self, world, *options, program=PROGRAMS[0], plain=False):
        command = [program] if plain else [*world.preload, *options, "--", program]
        self.process = subprocess.Popen(command, env=world.env, text=True, stdin=subprocess.PIPE,
                                        stdout=subprocess.PIPE)
        world.users.append(self)

    def tell(self, line):
        self.process.stdin.write(line + "\n")
        self.process.stdin.flush()

    def hear(self):
        return self.process.stdout.readline().rstrip("\n")

    def __call__(self, line):
        self.tell(line)
        return self.hear()

    def end(self, how):
        """By a line that ends it, or by a signal."""
        if isinstance(how, str):
            self.tell(how)
        else:
            self.process.send_signal(how)
        self.process.wait(LIMIT)

    def sleeps(self):
        end = time.monotonic() + LIMIT
        path = f"/proc/{self.process.pid}/stat"
        while True:
            with open(path, encoding="utf-8") as file, \
                    open(path.replace("stat", "syscall"), encoding="utf-8") as call:
                words = call.read().split()
                if file.read().rpartition(")")[2].split()[0] == "S" and words[0] not in ("0", "63"):
                    return
            assert time.monotonic() < end
            time.sleep(0.002)


class World:
    preload = [SEMUNDO, "preload", f"--library={LIBRARY}"]

    def __init__(self, directory):
        self.env = dict(os.environ, SEMUNDO_DIR=directory)
        self.users = []

    def user(self, *options, **more):
        return User(self, *options, **more)

    def info(self, name):
        out = subprocess.run([SEMUNDO, "show", "--json", name], env=self.env, check=True,
                             timeout=LIMIT, stdout=subprocess.PIPE).stdout
        return json.loads(out)

    def finish(self):
        for user in self.users:
            if user.process.poll() is None:
                user.process.kill()
            user.process.wait(LIMIT)
            with contextlib.suppress(BrokenPipeError):
                user.process.stdin.close()
            user.process.stdout.close()


@pytest.fixture(name="world")
def fixture_world():
    directory = tempfile.mkdtemp(prefix="semundo-preload.", dir="/dev/shm")
    world = World(directory)
    try:
        yield world
    finally:
        world.finish()
        shutil.rmtree(directory)


def two(world, value=1, **more):
    """Two programs with the same semaphore."""
    a, b = world.user(**more), world.user(**more)
    assert a(f"open /x {value}") == b("open /x") == "ok"
    return a, b


@pytest.mark.parametrize("program", PROGRAMS)
def test_semaphores_are_ours(world, program):
    a, b = two(world, program=program)
    assert world.info("x")["kind"] == "lock"
    assert a("value") == "1" and a("wait") == "ok" and b("value") == "0"
    assert b("trywait") == "EAGAIN"
    assert world.info("x")["held"] == 1
    b.tell("timedwait")
    b.sleeps()
    assert a("post") == "ok" and b.hear() == "ok"
    assert b("post") == "ok" and a("unlink /x") == "ok" and b("open /x") == "ENOENT"
    assert a("close") == b("close") == "ok" and a("post") == "EINVAL"


@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGTERM, signal.SIGABRT])
def test_lock_of_a_killed_process_comes_back(world, number):
    a, b = two(world)
    assert a("wait") == "ok"
    b.tell("wait")
    b.sleeps()
    a.end(number)
    assert b.hear() == "ok"
    assert b("value") == "0" and b("post") == "ok" and b("value") == "1"
    assert world.info("x")["kind"] == "lock" and world.info("x")["deaths"]


def test_nothing_comes_back_with_undo_none(world):
    a, b = world.user("--undo=none"), world.user("--undo=none")
    assert a("open /x 1") == b("open /x") == a("wait") == "ok"
    a.end(signal.SIGKILL)
    assert b("trywait") == "EAGAIN" and world.info("x")["kind"] == "signal"


@pytest.mark.parametrize("end", ["exit", "_exit", "close"])
def test_who_ends_by_its_own_will_leaves_it_taken(world, end):
    """As a process that puts into a queue of length 1 and ends."""
    a, b = two(world)
    assert a("wait") == "ok"
    if end == "close":
        assert a("close") == "ok"
    else:
        a.end(end)
    assert b("value") == "0" and b("trywait") == "EAGAIN"
    assert b("post") == "ok" and b("value") == "1" and world.info("x")["kind"] == "signal"


def test_post_by_another_makes_a_signal(world):
    a, b = two(world)
    assert a("wait") == b("post") == "ok" and b("value") == "1"
    assert world.info("x")["kind"] == "signal"
    assert a("wait") == "ok"
    a.end(signal.SIGKILL)
    assert b("trywait") == "EAGAIN" and b("post") == b("post") == "ok" and b("value") == "2"
    assert b("wait") == b("wait") == "ok" and b("trywait") == "EAGAIN"


def test_post_of_a_free_one_makes_a_signal_of_2(world):
    a, b = two(world)
    assert a("post") == "ok" and b("value") == "2"
    assert b("wait") == "ok"
    b.end(signal.SIGKILL)
    assert a("value") == "1"


def test_waiters_go_on_when_it_becomes_a_signal(world):
    a, b = two(world)
    c = world.user()
    assert c("open /x") == a("wait") == "ok"
    for user in (b, c):
        user.tell("wait")
        user.sleeps()
    d = world.user()
    assert d("open /x") == d("post") == d("post") == "ok"
    assert b.hear() == c.hear() == "ok" and d("value") == "0"


def test_repair_of_a_death_is_not_counted_twice(world):
    """A program that posts for its killed worker itself."""
    a, b = two(world)
    assert a("wait") == "ok"
    a.end(signal.SIGKILL)
    subprocess.run([SEMUNDO, "recover", "x"], env=world.env, check=True, timeout=LIMIT)
    assert b("value") == "0" and world.info("x")["value"] == 1
    assert b("post") == "ok" and b("value") == "1"


def test_child_is_another_process(world):
    a, b = two(world)
    assert a("wait") == "ok" and a("fork exit") == "ok" and a("vfork") == "ok"
    assert world.info("x")["kind"] == "lock" and world.info("x")["held"] == 1
    assert a("fork post") == "ok" and b("value") == "1"
    assert world.info("x")["kind"] == "signal"


@pytest.mark.parametrize("value", [0, 2, 70000])
def test_other_values_are_signals(world, value):
    a, b = two(world, value)
    assert world.info("x")["kind"] == "signal" and b("value") == str(value)
    assert a("post") == b("wait") == "ok"
    b.end(signal.SIGKILL)
    assert a("value") == str(value)


def test_unnamed_ones_are_left_alone(world):
    a = world.user()
    assert a("init") == a("wait") == "ok" and a("trywait") == "EAGAIN"
    assert a("post") == "ok" and a("value") == "1"


def test_name_of_the_c_library_is_shared(world):
    name = f"/semundo-test-{uuid.uuid4().hex}"
    plain, ours = world.user(plain=True), world.user()
    assert plain(f"open {name} 1 excl") == "ok"
    try:
        assert ours(f"open {name} 1 excl") == "EEXIST"
        assert ours(f"open {name} 1") == ours("wait") == "ok"
        assert plain("value") == "0" and plain("post") == "ok" and ours("value") == "1"
        assert ours(f"unlink {name}") == "ok" and plain(f"open {name}") == "ENOENT"
    finally:
        plain(f"unlink {name}")


def test_policy_that_is_none_is_an_error(world):
    world.env["LD_PRELOAD"] = LIBRARY
    world.env["SEMUNDO_PRELOAD_UNDO"] = "perhaps"
    assert world.user(plain=True)("open /x 1") == "EINVAL"


def test_command_line(world):
    def run(*words):
        return subprocess.run([SEMUNDO, "preload", *words], env=world.env, text=True, check=False,
                              capture_output=True, timeout=LIMIT)
    ours = f"--library={LIBRARY}"
    done = run(ours, "sh", "-c", "echo $LD_PRELOAD $SEMUNDO_PRELOAD_UNDO; exit 7")
    assert (done.returncode, done.stdout) == (7, f"{os.path.realpath(LIBRARY)} binary\n")
    world.env["LD_PRELOAD"] = "/nonexistent/other.so"
    done = run(ours, "-u", "none", "--", "sh", "-c", "echo $LD_PRELOAD $SEMUNDO_PRELOAD_UNDO")
    assert done.stdout == f"{os.path.realpath(LIBRARY)}:/nonexistent/other.so none\n"
    del world.env["LD_PRELOAD"]
    for words, status, said in [
            ((ours, "/nonexistent"), 127, "cannot execute '/nonexistent'"),
            ((ours, "/etc/passwd"), 126, "cannot execute '/etc/passwd'"),
            (("--library=/nonexistent.so", "true"), 66, "cannot preload '/nonexistent.so'")]:
        done = run(*words)
        assert done.returncode == status and said in done.stderr


# ---- Python's multiprocessing ----------------------------------------------------------


def python(world, *arguments, preload):
    command = [PYTHON, *arguments]
    return subprocess.run([*world.preload, "--", *command] if preload else command, text=True,
                          env=world.env, capture_output=True, timeout=LIMIT, check=False)


def test_example_hangs_without(world):
    done = python(world, EXAMPLE, "2", preload=False)
    assert (done.returncode, done.stdout) == (1, "worker 0 was killed while it had the lock\n"
                                                 "worker 1 waits in vain\n")


@pytest.mark.parametrize("method", ["fork", "spawn", "forkserver"])
def test_example_survives(world, method):
    done = python(world, EXAMPLE, "30", method, preload=True)
    assert (done.returncode, done.stdout) == (0, "worker 0 was killed while it had the lock\n"
                                                 "worker 1 got it\n"), done.stderr


QUEUE = """
import multiprocessing, os, signal, sys
def put(queue, killed):
    queue.put("x" * 100)
    queue.close()
    queue.join_thread()
    if killed:
        os.kill(os.getpid(), signal.SIGKILL)
if __name__ == "__main__":
    queue = multiprocessing.Queue(1)
    for i in range(6):
        process = multiprocessing.Process(target=put, args=(queue, i % 2))
        process.start()
        process.join()
        print(len(queue.get()))
"""


def test_queue_of_length_1(world, tmp_path):
    """Its semaphore begins with 1 and is a signal; its writers end, or are killed."""
    program = tmp_path / "queue_of_1.py"
    program.write_text(QUEUE, encoding="utf-8")
    done = python(world, program, preload=True)
    assert (done.returncode, done.stdout) == (0, "100\n" * 6), done.stderr


SYNCHRONIZE = """
import multiprocessing as mp
def work(event, barrier, condition, total, lock, rlock, bounded):
    event.wait()
    barrier.wait()
    for _ in range(200):
        with lock, rlock, rlock, bounded:
            total.value += 1
    with condition:
        condition.notify_all()
if __name__ == "__main__":
    n = 4
    event, barrier, condition = mp.Event(), mp.Barrier(n), mp.Condition()
    total = mp.Value("i", 0, lock=False)
    parts = event, barrier, condition, total, mp.Lock(), mp.RLock(), mp.BoundedSemaphore(1)
    workers = [mp.Process(target=work, args=parts) for _ in range(n)]
    for worker in workers:
        worker.start()
    with condition:
        event.set()
        assert condition.wait_for(lambda: total.value >= 200, timeout=50)
    for worker in workers:
        worker.join()
    with mp.Pool(2) as pool:
        print(total.value, sum(pool.map(abs, range(100))))
"""


def test_everything_of_multiprocessing(world, tmp_path):
    program = tmp_path / "synchronize.py"
    program.write_text(SYNCHRONIZE, encoding="utf-8")
    done = python(world, program, preload=True)
    assert (done.returncode, done.stdout, done.stderr) == (0, "800 4950\n", "")
