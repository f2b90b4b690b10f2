# SPDX-License-Identifier: Apache-2.0
"""usage: client.py CASE METHOD: a program whose tracker is this project's.

It says what it found in lines of output: names, PIDs, "ok".
"""
import multiprocessing
import os
import signal
import subprocess
import sys
import threading
import time
import warnings
from multiprocessing import resource_tracker, shared_memory

from semundo.multiprocessing._tracker import Tracker, use_tracker

use_tracker()
LIMIT = 60


def until(condition):
    end = time.monotonic() + LIMIT
    while not condition():
        assert time.monotonic() < end, "in vain"
        time.sleep(0.002)


def say(*words):
    print(*words, flush=True)


def exists(name):
    return os.path.exists("/dev/shm/" + name.lstrip("/"))


def tracker():
    return resource_tracker._resource_tracker


def kill_tracker():
    """And wait until it is dead. Its PID is that of the latest that this process started."""
    pid = tracker()._pid
    os.kill(pid, signal.SIGKILL)
    until(lambda: not tracker()._check_alive())


def make():
    return shared_memory.SharedMemory(create=True, size=16)


def child(task, to_parent, from_parent):
    """Each task: what a process does until it is killed or may go."""
    use_tracker()
    if task == "make":
        memory = make()
        to_parent.send((os.getpid(), memory.name))
    elif task == "semaphore":
        lock = multiprocessing.get_context("spawn").Lock()
        to_parent.send((os.getpid(), lock._semlock.name))
    elif task == "restart":
        to_parent.send((os.getpid(), None))
        from_parent.recv()
        memory = make()
        memory.close()
        memory.unlink()
        to_parent.send(tracker()._fd)
    else:
        memory = shared_memory.SharedMemory(task)
        to_parent.send((os.getpid(), memory.name))
    from_parent.recv()
    memory.close()


class Child:
    def __init__(self, context, task):
        theirs, self.parent_end = context.Pipe()
        self.process = context.Process(target=child, args=(task, theirs, theirs))
        self.process.start()
        theirs.close()
        self.pid, self.name = self.parent_end.recv()

    def kill(self):
        os.kill(self.pid, signal.SIGKILL)
        self.process.join(LIMIT)

    def let_go(self):
        """It ends in order."""
        self.parent_end.send("go")
        self.process.join(LIMIT)
        assert self.process.exitcode == 0, self.process.exitcode


# ---- cases

def killed(context):
    """What a killed child made goes while the program goes on."""
    one = Child(context, "make")
    assert exists(one.name)
    one.kill()
    until(lambda: not exists(one.name))


def killed_with_a_semaphore(context):
    one = Child(context, "semaphore")
    assert exists("sem." + one.name.lstrip("/"))
    one.kill()
    until(lambda: not exists("sem." + one.name.lstrip("/")))


def in_order(context):
    """What a child leaves in order is there for its parent."""
    one = Child(context, "make")
    one.let_go()
    memory = shared_memory.SharedMemory(one.name)
    memory.close()
    memory.unlink()


def attached(context):
    """An attached process that ends, this way or that, takes nothing along."""
    memory = make()
    for end in (Child.kill, Child.let_go):
        end(Child(context, memory.name))
        again = shared_memory.SharedMemory(memory.name)
        again.close()
    memory.close()
    memory.unlink()


def maker_killed(context):
    """Who has attached keeps it; the last one's end is its end."""
    maker = Child(context, "make")
    user = Child(context, maker.name)
    maker.kill()
    third = Child(context, maker.name)
    user.kill()
    assert exists(maker.name)
    third.kill()
    until(lambda: not exists(maker.name))


def forked(context):
    """A child of fork has what its parent has, without a word."""
    del context
    tracker().ensure_running()
    read, write = os.pipe()
    go_read, go_write = os.pipe()
    maker = os.fork()
    if maker == 0:
        memory = make()
        pid = os.fork()
        os.write(write, f"{pid or os.getppid()} {memory.name}\n".encode())
        if pid == 0:
            os.close(go_write)
            os.read(go_read, 1)
            os._exit(0)
        time.sleep(LIMIT)
        os._exit(1)
    os.close(write)
    os.close(go_read)
    with open(read, encoding="ascii", closefd=False) as file:
        name = [file.readline().split() for _ in range(2)][0][1]
    os.kill(maker, signal.SIGKILL)
    os.waitpid(maker, 0)
    kill_tracker()
    tracker().ensure_running()
    sign = Child(multiprocessing.get_context("fork"), "make")
    sign.kill()
    until(lambda: not exists(sign.name))
    assert exists(name)
    os.close(go_write)
    until(lambda: not exists(name))


def tracker_killed(context):
    """Nothing is forgotten, nothing is dropped, and children find the new one."""
    before = make()
    one = Child(context, "make")
    fd = tracker().getfd()
    kill_tracker()
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        discovers = make()
    assert [str(w.message).partition(";")[0] for w in caught] == \
        ["resource_tracker: process died unexpectedly"], caught
    assert tracker().getfd() == fd
    one.kill()
    until(lambda: not exists(one.name))
    two = Child(context, "make")
    two.kill()
    until(lambda: not exists(two.name))
    assert exists(before.name) and exists(discovers.name)
    say(before.name, discovers.name)


def children_restart(context):
    """Several processes find it dead at once: one wins, the others find that one."""
    children = [Child(context, "restart") for _ in range(5)]
    before = make()
    kill_tracker()
    for one in children:
        one.parent_end.send("go")
    for one in children:
        one.parent_end.recv()
    until(lambda: len(trackers()) == 1)
    for one in children:
        one.let_go()
    before.close()
    before.unlink()


def trackers():
    """Of this pipe: PIDs."""
    found = []
    target = os.readlink(f"/proc/self/fd/{tracker().getfd()}")
    for pid in filter(str.isdigit, os.listdir("/proc")):
        try:
            with open(f"/proc/{pid}/comm", encoding="utf-8") as file:
                if file.read() != "semundo-tracker\n"[:15] + "\n":
                    continue
            fds = [os.readlink(f"/proc/{pid}/fd/{fd}") for fd in os.listdir(f"/proc/{pid}/fd")]
        except OSError:
            continue
        if target in fds:
            found.append(pid)
    return found


def finalizers(context):
    """One that runs while this thread starts a tracker is heard after that."""
    del context
    own = Tracker()
    spawn = own._spawn

    def interrupted(*arguments):
        own.register("of a finalizer", "dummy")
        own.ensure_running()
        return spawn(*arguments)

    own._spawn = interrupted
    own.register("first", "dummy")
    for name in ("first", "of a finalizer"):
        own.unregister(name, "dummy")
    own._stop()
    assert own._exitcode == 0, own._exitcode


def threads(context):
    """The first uses of many threads start one tracker."""
    del context
    own = Tracker()
    ready = threading.Barrier(8)

    def work(number):
        ready.wait(LIMIT)
        for i in range(50):
            own.register(f"{number}-{i}", "dummy")
            own.unregister(f"{number}-{i}", "dummy")

    workers = [threading.Thread(target=work, args=(number,)) for number in range(8)]
    for worker in workers:
        worker.start()
    for worker in workers:
        worker.join(LIMIT)
    own._stop()
    assert own._exitcode == 0, own._exitcode


def interface(context):
    """What multiprocessing and its tests use."""
    del context
    own = resource_tracker.ResourceTracker()
    assert own._fd is None and own._pid is None
    own._stop()
    own.ensure_running()
    assert own._check_alive() and own.getfd() == own._fd and own._pid > 0
    own.register("x", "dummy")
    own._stop()
    assert (own._exitcode, own._fd) == (1, None)
    own.register("y", "dummy")
    own.unregister("y", "dummy")
    own._stop()
    assert own._exitcode == 0
    for name in ("a" * 600, "\N{SNOWMAN}" * 200):
        try:
            own.register(name, "shared_memory")
        except ValueError as error:
            assert "too long" in str(error)
        else:
            raise AssertionError("a long name was taken")
    own._stop()
    assert resource_tracker.register == tracker().register


def closed(context):
    """A program may close all descriptors: what is then under that number is its own."""
    own = Tracker()
    own.register("x", "dummy")
    pid = own._pid
    os.close(own._fd)
    read, write = os.pipe()
    if write != own._fd:
        os.dup2(write, own._fd)
    os.set_blocking(read, False)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        own.register("y", "dummy")
    try:
        assert os.read(read, 1) == b"", "the other pipe got a line"
    except BlockingIOError:
        pass
    own.unregister("y", "dummy")
    own._stop()
    assert own._exitcode == 0
    del context, pid


def unwritable(context):
    """A name in any encoding."""
    del context
    own = Tracker()
    name = "/semundo-\udcff\N{SNOWMAN}"
    own.register(name, "dummy")
    own.unregister(name, "dummy")
    own._stop()
    assert own._exitcode == 0


def without_program(context):
    """It says what is missing, and nothing has changed."""
    del context
    code = """
import os, shutil, sys
from multiprocessing import resource_tracker
from semundo.multiprocessing import _tracker
_tracker.PROGRAM = "semundo-none-such"
before = resource_tracker._resource_tracker
try:
    _tracker.use_tracker()
except FileNotFoundError as error:
    assert "there is no semundo-none-such" in str(error), error
    assert resource_tracker._resource_tracker is before
    print("refused")
"""
    done = subprocess.run([sys.executable, "-c", code], stdout=subprocess.PIPE, timeout=LIMIT,
                          check=True, universal_newlines=True)
    assert done.stdout == "refused\n"


def late(context):
    """What Python's tracker has stays with it."""
    del context
    code = """
from multiprocessing import resource_tracker, shared_memory
old = shared_memory.SharedMemory(create=True, size=1)
from semundo.multiprocessing._tracker import use_tracker
use_tracker()
new = shared_memory.SharedMemory(create=True, size=1)
for one in (old, new):
    one.close()
    one.unlink()
print("ok")
"""
    done = subprocess.run([sys.executable, "-c", code], stdout=subprocess.PIPE, timeout=LIMIT,
                          stderr=subprocess.PIPE, check=True, universal_newlines=True)
    assert (done.stdout, done.stderr) == ("ok\n", ""), done


if __name__ == "__main__":
    globals()[sys.argv[1]](multiprocessing.get_context(sys.argv[2]))
    say("ok")
