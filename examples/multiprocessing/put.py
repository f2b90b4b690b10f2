#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Processes put long messages into a Queue and are killed at random moments. After each the queue
has to be as good as before: what was put is whole, and others can put and get.

    put.py multiprocessing|semundo
"""
import multiprocessing
import os
import random
import threading
import time

from common import begin, say, start

ROUNDS = 20


def put_for_ever(queue):
    while True:
        queue.put(b"x" * random.randrange(300000))


def put_word(queue, word):
    queue.put(word)


def one_round(ctx, queue):
    victim = start(ctx, put_for_ever, queue)
    queue.get()
    time.sleep(random.random() / 50)
    victim.kill()
    victim.join()
    start(ctx, put_word, queue, "the last word")
    while True:
        found = queue.get()
        if found == "the last word":
            return
        if found.strip(b"x"):
            raise ValueError("a message is not what was put")


def in_time(seconds, function, *args):
    """What is wrong with it, or None. It may hang."""
    wrong = ["nothing more comes out of the queue, for ever"]

    def run():
        try:
            function(*args)
            wrong[0] = None
        except Exception as error:
            wrong[0] = f"{type(error).__name__}: {error}"

    thread = threading.Thread(target=run, daemon=True)
    thread.start()
    thread.join(seconds)
    return wrong[0]


def rounds(ctx, patience):
    queue = ctx.Queue()
    for n in range(ROUNDS):
        wrong = in_time(patience, one_round, ctx, queue)
        if wrong:
            return f"process {n + 1} of {ROUNDS} was killed: {wrong}"
    return f"{ROUNDS} processes were killed, and all that came out of the queue was whole"


def main():
    ctx, patience = begin()
    say(rounds(ctx, 4 * patience))
    for child in multiprocessing.active_children():
        child.kill()
        child.join()
    os._exit(0)  # a thread may hang


if __name__ == "__main__":
    main()
