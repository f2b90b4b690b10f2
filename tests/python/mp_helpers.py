# SPDX-License-Identifier: Apache-2.0
"""What the tests of semundo.multiprocessing share: outcomes, and what children do."""
import os
import signal
import threading
import time

from helpers import LIMIT, Case
from semundo.multiprocessing import get_context

RECURSIVE, SEMAPHORE = 0, 1
LONG = 10 * LIMIT  # nobody gets to see the end of it
METHODS = "fork", "spawn", "forkserver"


def outcome(function):
    """What it returns, or the kind and the words of what it raises."""
    try:
        return function()
    except Exception as error:
        kind = next(cls for cls in type(error).__mro__ if cls.__module__ == "builtins")
        if isinstance(error, OSError):
            return kind.__name__, error.errno
        return kind.__name__, str(error) if isinstance(error, (AssertionError, ValueError)) else ""


def die():
    os.kill(os.getpid(), signal.SIGKILL)


# ---- what children do; at the top, for those that are not forked

def hold(lock, ready):
    lock.acquire()
    ready.release()
    time.sleep(LONG)


def wait_for(cond, ready, woken):
    with cond:
        ready.release()
        if cond.wait(LONG):
            woken.release()


def wait_event(event, ready, woken):
    ready.release()
    if event.wait(LONG):
        woken.release()


def meet(barrier, ready, passed, broken):
    ready.release()
    try:
        barrier.wait(LONG)
    except threading.BrokenBarrierError:
        broken.release()
    else:
        passed.release()


def hold_value(value, ready):
    with value.get_lock():
        value.value = 7
        ready.release()
        time.sleep(LONG)


class Contexts(Case):
    def start(self, ctx, target, *args):
        process = ctx.Process(target=target, args=args, daemon=True)
        process.start()
        self.addCleanup(process.join, LIMIT)
        self.addCleanup(process.kill)
        return process

    def kill(self, process):
        process.kill()
        process.join(LIMIT)
        self.assertEqual(process.exitcode, -signal.SIGKILL)

    def take(self, semaphore, times=1):
        for _ in range(times):
            self.assertTrue(semaphore.acquire(timeout=LIMIT))

    def each(self):
        for method in METHODS:
            with self.subTest(method=method):
                yield get_context(method)

    def dies(self, target, *args):
        """In a forked child, which this kills at a point of its choice."""
        self.assertEqual(self.fork(lambda: target(*args)), -signal.SIGKILL)
