# SPDX-License-Identifier: Apache-2.0
"""Workers are killed at random moments, again and again; whoever is left goes on.

SEMUNDO_KILLS=1000 kills more.
"""
import os
import random
import signal
import time

from helpers import LIMIT, until
from mp_helpers import LONG, Contexts
from semundo.multiprocessing import get_context

KILLS = int(os.environ.get("SEMUNDO_KILLS", "60"))
WORKERS = 4


def consume(cond, items):
    """Takes items, one at a time."""
    while True:
        with cond:
            cond.wait_for(lambda: items.value > 0)
            items.value -= 1


def follow(events, first, counts):
    """Through one event after the other."""
    for i in range(first, len(events)):
        events[i].wait()
        with counts.get_lock():
            counts[i] += 1
    time.sleep(LONG)


class Kills(Contexts):
    def setUp(self):
        super().setUp()
        self.ctx = get_context("fork")
        self.seed = random.randrange(1 << 32)
        self.random = random.Random(self.seed)
        self.workers = []

    def begin(self, target, *args):
        process = self.ctx.Process(target=target, args=args, daemon=True)
        process.start()
        self.workers.append(process)

    def tearDown(self):
        for process in self.workers:
            process.kill()
            process.join(LIMIT)

    def kill_one(self):
        """At some moment in the next half of a millisecond."""
        process = self.workers.pop(self.random.randrange(len(self.workers)))
        end = time.monotonic() + self.random.random() * 0.0005
        while time.monotonic() < end:
            pass
        os.kill(process.pid, signal.SIGKILL)
        process.join(LIMIT)
        self.assertEqual(process.exitcode, -signal.SIGKILL)

    def test_condition(self):
        """One is notified, and may be the one who is killed."""
        cond, items = self.ctx.Condition(), self.ctx.RawValue("i", 0)
        for _ in range(WORKERS):
            self.begin(consume, cond, items)
        for _ in range(KILLS):
            with cond:
                items.value += 1
                cond.notify()
            self.kill_one()
            until(lambda: items.value <= 0, f"everything is taken (seed {self.seed})")
            self.begin(consume, cond, items)

    def test_event(self):
        events, counts = [self.ctx.Event() for _ in range(KILLS)], self.ctx.Array("i", KILLS)
        for _ in range(WORKERS):
            self.begin(follow, events, 0, counts)
        for i, event in enumerate(events):
            event.set()
            self.kill_one()
            until(lambda i=i: counts[i] >= WORKERS - 1, f"those who live went through (seed {self.seed})")
            self.begin(follow, events, i + 1, counts)
