# SPDX-License-Identifier: Apache-2.0
"""What runs in the processes of the tests of semundo.multiprocessing's queues and pools."""
import hashlib
import os
import signal
import time

SIZES = (0, 10, 500, 20000, 65535, 65536, 65537, 300000)


def message(number, size):
    """What can be checked to be whole."""
    body = (b"%d " % number * (size // 2 + 1))[:size]
    return number, body, hashlib.md5(body).digest()


def is_whole(found):
    number, body, digest = found
    return hashlib.md5(body).digest() == digest and body == message(number, len(body))[1]


class Stuck:
    """Its pickling tells a pipe and never ends."""

    def __init__(self, tell):
        self.tell = tell

    def __reduce__(self):
        os.write(self.tell, b"x")
        while True:
            time.sleep(1000)


def put_all(queue, sizes):
    for number, size in enumerate(sizes):
        queue.put(message(number, size))


def put_for_ever(queue, sizes=SIZES):
    number = 0
    while True:
        queue.put(message(number, sizes[number % len(sizes)]))
        number += 1


def get_for_ever(queue, acknowledge):
    while True:
        found = queue.get()
        assert is_whole(found)
        os.write(acknowledge, found[0].to_bytes(8, "little"))


def do_for_ever(queue, tell):
    while True:
        queue.get()
        queue.task_done()
        os.write(tell, b"x")


def get_and_hold(queue, tell, count=1):
    for _ in range(count):
        queue.get()
    os.write(tell, b"x")
    signal.pause()


def put_stuck(queue, tell, more=0):
    """The first is never sent, and so are the others after it."""
    queue.put(Stuck(tell))
    for number in range(more):
        queue.put(number)
    os.write(tell, b"y")
    signal.pause()


def get_end(queue):
    """Takes one, as a process does that takes the word to end, and ends."""
    queue.get()


# ---- tasks

def double(x):
    return 2 * x


def name_and_double(x):
    return os.getpid(), 2 * x


def kill_self(x=0, number=signal.SIGKILL):
    os.kill(os.getpid(), number)
    signal.pause()


def kill_self_at(x, fatal):
    if x == fatal:
        kill_self()
    return x


def hold_child(tell):
    """Leaves a child that has all that was open, and dies."""
    if os.fork() == 0:
        os.write(tell, os.getpid().to_bytes(4, "little"))
        signal.pause()
    kill_self()


class Unpicklable(Exception):
    """Cannot be made anew from its pickle."""

    def __init__(self, one, two):
        super().__init__(one)


def raise_unpicklable():
    raise Unpicklable(1, 2)


def fail_to_begin():
    os._exit(7)


def work_a_little(x):
    end = time.monotonic() + 0.001
    while time.monotonic() < end:
        pass
    return x * x
