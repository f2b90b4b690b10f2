#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""A worker is killed while it has a lock. Plain Python:

    python3 killed_worker.py                       the next worker waits in vain
    semundo preload -- python3 killed_worker.py    it goes on

Arguments: how many seconds to wait for the lock (default: 3), and the start
method (fork, spawn or forkserver).
"""
import multiprocessing
import os
import signal
import sys


def killed(lock):
    with lock:
        os.kill(os.getpid(), signal.SIGKILL)  # as the OOM killer would do


def next_one(lock, seconds):
    if not lock.acquire(timeout=seconds):
        sys.exit(1)
    lock.release()


def main():
    seconds = float(sys.argv[1]) if len(sys.argv) > 1 else 3.0
    context = multiprocessing.get_context(sys.argv[2] if len(sys.argv) > 2 else None)
    lock = context.Lock()
    first = context.Process(target=killed, args=(lock,))
    first.start()
    first.join()
    print("worker 0 was killed while it had the lock", flush=True)
    second = context.Process(target=next_one, args=(lock, seconds))
    second.start()
    second.join()
    print("worker 1 waits in vain" if second.exitcode else "worker 1 got it")
    return second.exitcode


if __name__ == "__main__":
    sys.exit(main())
