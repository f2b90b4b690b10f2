#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""A server of three processes that counts by key, with a lock for each key. One is killed while it
holds the lock of the key "red"; the server starts another in its place.

    prefork.py multiprocessing|semundo
"""
import ctypes
import socket
from multiprocessing.connection import wait

from common import LIMIT, begin, dead, kill_self, killed, say, start

KEYS = ("red", "green")
WORKERS = 3


def serve(listener, locks, counts):
    while True:
        connection, _ = listener.accept()
        with connection:
            word, key = connection.recv(100).decode().split()
            n = KEYS.index(key)
            with locks[n]:
                if word == "crash":
                    kill_self()
                counts[n] += 1
                note = "".join(f" (process {d.pid} died with its lock)" for d in dead(locks[n]))
                connection.sendall(f"{counts[n]}{note}".encode())


def ask(address, words, patience):
    with socket.socket(socket.AF_UNIX) as connection:
        connection.settimeout(patience)
        connection.connect(address)
        connection.sendall(words.encode())
        try:
            return connection.recv(100).decode() or "the connection is closed"
        except socket.timeout:
            return "no answer"


def main():
    ctx, patience = begin()
    listener = socket.socket(socket.AF_UNIX)
    listener.bind("")  # a name that the kernel chooses
    listener.listen(10)
    address = listener.getsockname()
    locks, counts = [ctx.Lock() for _ in KEYS], ctx.RawArray(ctypes.c_int, len(KEYS))
    workers = [start(ctx, serve, listener, locks, counts) for _ in range(WORKERS)]

    for words, seconds in [("count red", LIMIT), ("count green", LIMIT), ("crash red", LIMIT)]:
        say(f"{words}: {ask(address, words, seconds)}")
    victim = the_killed(workers)
    say(f"process {victim.pid} was killed; another takes its place")
    workers[workers.index(victim)] = start(ctx, serve, listener, locks, counts)
    for words in ["count red"] * WORKERS + ["count green"]:
        say(f"{words}: {ask(address, words, patience)}")

    for worker in workers:
        worker.kill()
        worker.join()


def the_killed(workers):
    sentinel, = wait([worker.sentinel for worker in workers], LIMIT)
    victim = next(worker for worker in workers if worker.sentinel == sentinel)
    killed(victim)
    return victim


if __name__ == "__main__":
    main()
