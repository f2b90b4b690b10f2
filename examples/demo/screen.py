# SPDX-License-Identifier: Apache-2.0
"""The live table: who runs, who waits, what was killed."""
import shutil
import sys

from chaos import WORDS

BOLD, DIM, RED, GREEN, YELLOW, PLAIN = (
    "\033[1m", "\033[2m", "\033[31m", "\033[32m", "\033[33m", "\033[0m")
EVENTS = 5


def duration(seconds):
    if seconds is None:
        return "never"
    if seconds < 0.0001:
        return "under 0.1 ms"
    return f"{seconds * 1000:.1f} ms" if seconds < 1 else f"{seconds:.1f} s"


class Screen:
    """Redraws in place on a terminal; elsewhere prints a picture now and then."""

    def __init__(self):
        self.terminal = sys.stdout.isatty()
        self.every = 0.2 if self.terminal else 5.0
        self.next_at = 0.0
        self.lines = 0
        self.columns = shutil.get_terminal_size().columns - 1

    def paint(self, colour, text):
        if not self.terminal:
            return text
        return f"{colour}{text[:self.columns]}{PLAIN}"  # a wrapped line is not redrawn

    def draw(self, lines):
        if self.terminal and self.lines:
            sys.stdout.write(f"\033[{self.lines}A\033[J")
        self.lines = len(lines)
        sys.stdout.write("\n".join(lines) + ("\n" if self.terminal else "\n\n"))
        sys.stdout.flush()

    def leave(self):
        self.lines = 0

    def job_row(self, job, state, colour):
        pid = job.attempt.pid if job.output is None else ""
        again = f"attempt {job.attempts}" if job.attempts > 1 else ""
        row = (f"  {job.number + 1:2}  {job.name[:28]:28} {job.size / 1048576:5.1f} MiB"
               f"  {job.compressor[0]:4} {pid:>8}  {state:10} {again}")
        return self.paint(colour, row.rstrip())

    def job_rows(self, pool, states):
        """states: of each runner, whether it holds or waits."""
        for job in pool.jobs:
            if job.output is not None:
                yield self.job_row(job, "done", GREEN)
            else:
                state = states.get(job.attempt.pid, "")
                yield self.job_row(job, state, BOLD if state == "holds" else DIM)

    def orphan_rows(self, pool):
        for orphan in pool.orphans:
            row = (f"  --  {orphan.job.name[:28]:28} {'':9}  {orphan.job.compressor[0]:4}"
                   f" {orphan.pid:>8}  inherited  its runner was killed")
            yield self.paint(YELLOW, row)

    def event_rows(self, kills, recovers):
        for kill in kills[-EVENTS:]:
            yield self.paint(RED, "  " + sentence(kill, recovers))

    def picture(self, pool, head, states, kills, recovers):
        title = f"{pool.limiter.title}: {len(pool.jobs)} compressions, at most 3 at once"
        return [self.paint(BOLD, title), self.paint(PLAIN, head), *self.job_rows(pool, states),
                *self.orphan_rows(pool), *self.event_rows(kills, recovers)]


def sentence(kill, recovers):
    text = f"{kill.at:5.1f} s  SIGKILL {WORDS[kill.what]:18} {kill.job.name[:22]:22}  "
    if kill.what == "waiter":
        return text + "held nothing"
    if kill.what == "command" and not recovers:
        return text + "given back by its runner"
    if not recovers:
        return text + "unit lost"
    if kill.seconds is None:
        return text + "command goes on, unit kept"
    if kill.command_went_on is not None:
        text += f"went on {kill.command_went_on:.1f} s, then "
    return text + f"unit back in {duration(kill.seconds)}"
