#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""A ring buffer in shared memory, guarded by a lock. A worker is killed in the middle of a batch.

    ring.py multiprocessing|semundo
"""
import ctypes

from common import begin, dead, ends, kill_self, killed, say, start

SIZE, BATCH = 64, 8
WRITTEN, WHOLE, FIRST = 0, 1, 2  # entries written, entries of whole batches, the entries


def add_batch(lock, ring, value, dies_at=BATCH):
    with lock:
        for death in dead(lock):
            say(f"    it is told that process {death.pid} died with the lock, and takes back "
                f"{ring[WRITTEN] - ring[WHOLE]} entries")
            ring[WRITTEN] = ring[WHOLE]
        for n in range(BATCH):
            if n == dies_at:
                kill_self()
            ring[FIRST + ring[WRITTEN] % SIZE] = value
            ring[WRITTEN] += 1
        ring[WHOLE] = ring[WRITTEN]


def main():
    ctx, patience = begin()
    lock, ring = ctx.Lock(), ctx.RawArray(ctypes.c_uint64, FIRST + SIZE)
    start(ctx, add_batch, lock, ring, 1).join()
    victim = start(ctx, add_batch, lock, ring, 2, 3)
    killed(victim)
    say(f"process {victim.pid} was killed after 3 of {BATCH} entries")
    say("the next one adds its batch:")
    if ends(start(ctx, add_batch, lock, ring, 3), patience):
        say("    done")
    else:
        say("    it waits for the lock for ever")
    values = ring[FIRST:FIRST + ring[WRITTEN]]
    say(f"in the ring: {values.count(1)}, {values.count(2)} and {values.count(3)} entries of the "
        "three")


if __name__ == "__main__":
    main()
