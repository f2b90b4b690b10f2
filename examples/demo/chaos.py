# SPDX-License-Identifier: Apache-2.0
"""Kills jobs and the programs that run them, and measures how long it takes
until the unit is back."""
import os
import random
import signal
import time
from dataclasses import dataclass

import jobs
import sampler

# What is killed, in this order, by SIGKILL.
PLAN = ("both", "runner", "command", "both", "runner", "waiter", "both", "command")
WORDS = {"both": "runner and command", "runner": "runner only", "command": "command only",
         "waiter": "waiting runner"}
PAUSE = 1.0  # before the first and between two, if no job finishes sooner
GIVE_UP = 10.0


@dataclass
class Kill:
    what: str
    job: object
    runner: int
    at: float              # seconds since the part began
    held_until: float      # monotonic: from then on nothing holds the unit
    realtime: float        # the same moment, of the clock that deaths are noted with
    seconds: float = None  # until the unit was back
    command_went_on: float = None


class Chaos:
    def __init__(self, pool, seed, begin):
        self.pool, self.begin = pool, begin
        self.random = random.Random(seed)
        self.plan = list(PLAN)
        self.next_at = begin + PAUSE
        self.finished = 0  # jobs, at the latest kill
        self.kills = []

    def tick(self, now):
        """Kills the next one, when it is time and there is one of that sort."""
        finished = len(self.pool.jobs) - len(self.pool.unfinished())
        if not self.plan or (now < self.next_at and finished == self.finished):
            return None
        kill = self.strike(self.plan[0])
        if kill:
            self.plan.pop(0)
            self.kills.append(kill)
            self.next_at, self.finished = now + PAUSE, finished
        return kill

    def victim(self, waiting):
        compressors = {runner: pid for pid, runner in self.pool.compressors().items()}
        attempts = self.pool.attempts()
        choice = sorted(pid for pid in attempts if (pid in compressors) != waiting)
        if not choice:
            return None, None
        pid = self.random.choice(choice)
        return attempts[pid], compressors.get(pid)

    def strike(self, what):
        attempt, command = self.victim(what == "waiter")
        if attempt is None:
            return None
        if what == "waiter":
            signal.pidfd_send_signal(attempt.pidfd, signal.SIGKILL)
            return self.note(what, attempt)
        pidfd = open_child(command, attempt.pid)
        if pidfd is None:
            return None  # it has just ended by itself
        if what == "command":
            send_kill(pidfd)
            os.close(pidfd)
            return self.note(what, attempt)
        signal.pidfd_send_signal(attempt.pidfd, signal.SIGKILL)
        attempt.process.wait()  # from now on the command is a child of this process
        if what == "both":
            send_kill(pidfd)
        kill = self.note(what, attempt)
        if sampler.parent(command) == os.getpid():
            self.pool.orphans.append(jobs.Orphan(attempt, command, pidfd))
        else:  # it had ended, and its runner had just seen it
            os.close(pidfd)
            kill.command_went_on = 0.0
        return kill

    def note(self, what, attempt):
        now = time.monotonic()
        return Kill(what, attempt.job, attempt.pid, now - self.begin, now, time.time())

    def orphan_ended(self, orphan):
        """The kill whose unit comes back only now, with its command's end."""
        for kill in self.kills:
            if kill.what == "runner" and kill.runner == orphan.runner:
                kill.command_went_on = orphan.ended[0] - kill.held_until
                kill.held_until, kill.realtime = orphan.ended
                return kill
        return None


def open_child(pid, parent):
    """A descriptor of that very child, or None if it is gone."""
    try:
        pidfd = os.pidfd_open(pid)
    except ProcessLookupError:
        return None
    if sampler.is_running(sampler.stat(pid)) and sampler.parent(pid) == parent:
        return pidfd
    os.close(pidfd)
    return None


def send_kill(pidfd):
    try:
        signal.pidfd_send_signal(pidfd, signal.SIGKILL)
    except ProcessLookupError:
        pass  # ended and waited for in this very moment


def measure(kill, limiter):
    """Waits until the killed one's unit is back, and notes how long it took."""
    give_up = time.monotonic() + GIVE_UP
    while time.monotonic() < give_up:
        shown = limiter.show()
        seen = time.monotonic()
        if holds(shown, kill.runner):
            continue
        noted = [d["when"] for d in shown.get("deaths", []) if d["pid"] == kill.runner]
        if noted:
            kill.seconds = max(0.0, noted[0] - kill.realtime)
        else:
            kill.seconds = seen - kill.held_until
        return


def holds(shown, pid):
    return any(peer["pid"] == pid and peer["held"] for peer in shown["peers"])
