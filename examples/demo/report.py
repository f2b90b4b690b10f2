# SPDX-License-Identifier: Apache-2.0
"""What came out of it: the kills, both programs side by side, the checks."""
from chaos import PLAN
from limiters import UNITS
from screen import duration, sentence

SLOWEST_ALLOWED = 2.0
FEWEST_SAMPLES = 20


def slowest(result):
    times = [kill.seconds for kill in result.recoveries()]
    return None if None in times else max(times, default=0.0)


def rows(posix, semundo):
    def both(text):
        return [text(posix), text(semundo)]

    yield "jobs finished", both(lambda r: f"{r.finished} of {r.jobs}")
    yield "took", both(lambda r: f"hung, stopped at {r.seconds:.1f} s" if r.hung
                       else f"{r.seconds:.1f} s")
    yield "kills by SIGKILL", both(lambda r: str(len(r.kills)))
    yield "most compressors at once", both(lambda r: f"{r.most} ({r.samples} looks)")
    yield "units free at the end", both(lambda r: f"{r.free} of {UNITS}")
    yield "slowest return of a unit", ["never", duration(slowest(semundo))]
    yield "outputs equal to the original", both(lambda r: f"{r.good_outputs} of {r.outputs}")


def checks(posix, semundo):
    yield f"all {len(PLAN)} kills were made", len(semundo.kills) == len(PLAN)
    yield "all jobs finished", semundo.finished == semundo.jobs
    yield "every finished output decompresses to its original", \
        all(r.good_outputs == r.outputs for r in (posix, semundo))
    yield f"never more than {UNITS} compressors at once, and {UNITS} at some time", \
        posix.most <= UNITS and semundo.most == UNITS and \
        all(r.samples >= FEWEST_SAMPLES for r in (posix, semundo))
    yield "every unit came back, and all can be taken at once", \
        semundo.free == UNITS and semundo.all_can_be_taken
    yield f"each came back within {SLOWEST_ALLOWED:.0f} s of the last holder's end", \
        slowest(semundo) is not None and slowest(semundo) <= SLOWEST_ALLOWED
    yield "the POSIX semaphore lost its units, and its jobs hung", posix.hung and posix.free == 0


def print_all(posix, semundo):
    """Prints the report; returns whether all is as promised."""
    print("kills under semundo run, and when the unit was held by another or free again")
    for kill in semundo.kills:
        print("  " + sentence(kill, True))
    print(f"\n{'':32}{posix.title:28}{semundo.title}")
    for name, (left, right) in rows(posix, semundo):
        print(f"{name:32}{left:28}{right}")
    print()
    results = list(checks(posix, semundo))
    for name, good in results:
        print(f"  {'ok    ' if good else 'FAILED'}  {name}")
    return all(good for _, good in results)
