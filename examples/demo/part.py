# SPDX-License-Identifier: Apache-2.0
"""One part of the demo: all jobs under one limiter, with kills, watched."""
import json
import os
import select
import subprocess
import sys
import time
from dataclasses import dataclass, field

import sampler
from chaos import Chaos, measure
from jobs import Pool
from limiters import UNITS

HUNG_AFTER = 5.0
STALL = 1.0  # so long for one look: the machine stood still, and the jobs too
TICK = 0.1
SAMPLE_EVERY = 0.02


@dataclass
class Result:
    title: str
    jobs: int
    finished: int = 0
    seconds: float = 0.0
    hung: bool = False
    free: int = 0
    all_can_be_taken: bool = False
    outputs: int = 0
    good_outputs: int = 0
    kills: list = field(default_factory=list)
    samples: int = 0
    most: int = 0
    longest: float = 0.0

    def recoveries(self):
        return [kill for kill in self.kills if kill.what != "waiter"]


class Sampler:
    """The independent look at the compressors, in a process of its own."""

    def __init__(self, directory):
        self.process = subprocess.Popen(
            [sys.executable, "-B", sampler.__file__, directory, str(SAMPLE_EVERY)],
            stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)

    def finish(self, result):
        out, _ = self.process.communicate(timeout=30)
        seen = json.loads(out)
        result.samples, result.longest = seen["samples"], seen["longest"]
        result.most = max(map(int, seen["counts"]), default=0)


class Part:
    def __init__(self, limiter, files, directory, seed, screen):
        self.limiter, self.screen = limiter, screen
        self.recovers = hasattr(limiter, "show")
        self.pool = Pool(files, limiter, directory)
        self.sampler = Sampler(directory)
        self.begin = self.idle_since = time.monotonic()
        self.chaos = Chaos(self.pool, seed, self.begin)

    def run(self):
        result = Result(self.limiter.title, len(self.pool.jobs))
        try:
            self.pool.start()
            while not self.pool.done() and not result.hung:
                began = time.monotonic()
                self.wait()
                self.turn()
                now = time.monotonic()
                if now - began > STALL:
                    self.idle_since += now - began
                result.hung = now - self.idle_since > HUNG_AFTER
            self.look(time.monotonic(), force=True)
            self.finish(result)
        finally:
            self.pool.stop(self.sampler.process.pid)
            if self.sampler.process.returncode is None:
                self.sampler.process.communicate(timeout=30)
        return result

    def wait(self):
        """Until some process ends, or it is time to look again."""
        poll = select.poll()
        for attempt in self.pool.attempts().values():
            poll.register(attempt.pidfd, select.POLLIN)
        for orphan in self.pool.orphans:
            poll.register(orphan.pidfd, select.POLLIN)
        poll.poll(TICK * 1000)

    def turn(self):
        for orphan in self.pool.reap():
            self.measure(self.chaos.orphan_ended(orphan))
        now = time.monotonic()
        kill = self.chaos.tick(now)
        if kill and (kill.what in ("both", "command") or kill.command_went_on is not None):
            self.measure(kill)
        self.look(now)

    def measure(self, kill):
        if kill and self.recovers:
            measure(kill, self.limiter)

    def look(self, now, force=False):
        running = self.pool.compressors()
        if running:
            self.idle_since = now
        if now < self.screen.next_at and not force:
            return
        self.screen.next_at = now + self.screen.every
        line, states = self.facts(running)
        head = f"{now - self.begin:5.1f} s  {line}; compressors running: {len(running)}"
        self.screen.draw(self.screen.picture(self.pool, head, states, self.chaos.kills,
                                             self.recovers))

    def facts(self, running):
        """What the semaphore says: a line, and who holds and who waits."""
        if not self.recovers:
            states = {pid: "holds" if pid in running.values() else "waits"
                      for pid in self.pool.attempts()}
            return f"value {self.limiter.free()} of {UNITS}", states
        shown = self.limiter.show()
        states = {peer["pid"]: "holds" if peer["held"] else "waits"
                  for peer in shown["peers"] if peer["held"] or peer["waiting"]}
        return (f"value {shown['value']} of {shown['capacity']}, held {shown['held']}, "
                f"waiters {shown['waiters']}, died {shown['died']}"), states

    def finish(self, result):
        result.seconds = time.monotonic() - self.begin
        self.sampler.finish(result)
        result.finished = len(self.pool.jobs) - len(self.pool.unfinished())
        result.kills = self.chaos.kills
        result.free = self.limiter.free()
        result.all_can_be_taken = self.limiter.all_can_be_taken()
        result.outputs, result.good_outputs = self.pool.verify()
