# SPDX-License-Identifier: Apache-2.0
"""The wire protocol: both forms, what is no line, and the exit status."""
import _multiprocessing
import os
import random
import signal
import subprocess
import threading

import pytest
from conftest import LIMIT, TRACKER, encoded, stat_field, until


def test_nothing(world):
    world.start()
    world.write("PROBE:0:noop\n")
    world.json("PROBE")
    world.json("PROBE", "0", "noop")
    assert world.end(0) == ""
    assert world.journals() == []


@pytest.mark.parametrize("form", ["plain", "json"])
def test_registered_and_unregistered(world, form):
    kept, left = world.shm(), world.shm()
    world.start()
    send = getattr(world, form)
    send("REGISTER", kept)
    send("REGISTER", left)
    send("UNREGISTER", kept)
    errors = world.end(1)
    assert "resource_tracker: There appear to be 1 leaked shared_memory objects" in errors
    assert f"'{left}' was made at 20" in errors and kept not in errors
    assert world.exists(kept) and not world.exists(left)


def test_forms_mixed(world):
    name = world.shm()
    world.start()
    world.plain("REGISTER", name)
    world.json("REGISTER", name)
    world.plain("UNREGISTER", name)
    world.json("UNREGISTER", name)
    assert world.end(0) == ""
    assert world.exists(name)


def test_counts(world):
    """Python's own keeps a set: the second of two would be removed with the first."""
    name = world.shm()
    world.start()
    for _ in range(3):
        world.plain("REGISTER", name)
    for _ in range(2):
        world.plain("UNREGISTER", name)
    world.end(1)
    assert not world.exists(name)


def test_name_that_is_gone_is_nobodys(world):
    """One of those who registered it removed it: the others may say so, or not."""
    names = [world.shm() for _ in range(2)]
    world.start()
    for name in names:
        for _ in range(3):
            world.plain("REGISTER", name)
        os.unlink("/dev/shm" + name)
        world.plain("UNREGISTER", name)
    world.plain("UNREGISTER", names[0])
    world.plain("UNREGISTER", names[0])
    assert world.end(0) == ""


def test_gone_without_a_word(world):
    name = world.shm()
    world.start()
    world.plain("REGISTER", name)
    os.unlink("/dev/shm" + name)
    assert f"resource_tracker: '{name}': [Errno 2]" in world.end(2)


def test_never_registered(world):
    world.start()
    world.plain("UNREGISTER", "/x")
    assert "it is not registered: 'UNREGISTER:/x:shared_memory'" in world.end(3)


def test_leak_counts_more_than_a_bad_line(world):
    world.start()
    world.write("nonsense\n")
    world.plain("REGISTER", world.shm())
    world.end(1)


BAD = [
    (b"nonsense", "CMD:NAME:RTYPE"),
    (b"", "CMD:NAME:RTYPE"),
    (b":", "CMD:NAME:RTYPE"),
    (b"REGISTER:x", "CMD:NAME:RTYPE"),
    (b"REGISTER::semaphore", "name is empty"),
    (b"REGISTER:/x:socket", "unknown resource type 'socket'"),
    (b"PROBE:0:", "unknown resource type ''"),
    (b"register:/x:semaphore", "unrecognized command 'register'"),
    (b"LEAVE:/x:semaphore", "JSON form"),
    (b"REGISTER:a:b:semaphore", "has a ':' in it"),
    (b"REGISTER:native:x:shared_memory", "has a ':' in it"),
    (b"REGISTER:/x\0y:semaphore", "NUL"),
    (b"REGISTER:/\xc3\xa4:semaphore", "not ASCII"),
    (b"{", "not JSON"),
    (b"{}", '"cmd" is missing'),
    (b'{"cmd":1}', '"cmd" is missing or no text'),
    (b'{"cmd":"REGISTER"}', '"rtype" is missing'),
    (b'{"cmd":"REGISTER","rtype":"semaphore"}', "name is empty"),
    (b'{"cmd":"REGISTER","rtype":"semaphore","base64_name":"a"}', '"base64_name" is not base64'),
    (b'{"cmd":"REGISTER","rtype":"semaphore","base64_name":"L3+="}', "is not base64"),
    (b'{"cmd":"REGISTER","rtype":"semaphore","base64_name":"YQ==YQ=="}', "is not base64"),
    (b'{"cmd":"REGISTER","rtype":"semaphore","base64_name":"YQBi"}', "is not base64"),
    (b'{"cmd":"REGISTER","cmd":"PROBE"}', "not JSON"),
    (b'{"cmd":"PROBE","pid":"1"}', '"pid" is not a number'),
    (b'{"cmd":"PROBE","pid":-1}', '"pid" is not a number'),
    (b'{"cmd":"PROBE","pid":1e3}', '"pid" is not a number'),
    (b'{"cmd":"PROBE","pid":9999999999}', '"pid" is not a number'),
    (b'{"cmd":"PROBE","pid":1}', '"pid" needs'),
    (b'{"cmd":"LEAVE"}', 'LEAVE needs "pid"'),
    (b'{"cmd":"PROBE"} {"cmd":"PROBE"}', "not JSON"),
    (b'{"cmd":"PROBE","x":"\0"}', "not JSON"),
    (b'{"cmd":"gone","note":"gone"}', "unrecognized command"),
    (b"x" * 512, "longer than 512"),
    (b"x" * 100000, "longer than 512"),
    (b"REGISTER:" + b"x" * 510 + b":semaphore", "longer than 512"),
]


@pytest.mark.parametrize("line, why", BAD, ids=lambda v: repr(v[:40]))
def test_bad_line(world, line, why):
    """It is told of and ignored; what comes after it counts."""
    name = world.shm()
    world.start()
    world.plain("REGISTER", name)
    end = threading.Thread(target=world.write, args=(line + b"\n",))
    end.start()
    end.join(LIMIT)
    world.plain("UNREGISTER", name)
    errors = world.end(3)
    assert errors.startswith("semundo-tracker: a line was ignored: ") and why in errors
    assert errors.count("\n") == 1 and "\0" not in errors
    assert world.exists(name)


def test_longest_line(world):
    """512 bytes with the newline."""
    world.start()
    name = "n" * (512 - len("REGISTER::noop\n"))
    world.plain("REGISTER", name, "noop")
    world.plain("UNREGISTER", name[2:], "noop")
    assert "not registered" in world.end(2)


@pytest.mark.parametrize("space", [b" ", b"\t", b"\r"])
def test_space_around(world, space):
    world.start()
    world.write(space + b"PROBE:0:noop" + space + b"\n" + space + b'{"cmd":"PROBE"}' + space + b"\n")
    assert world.end(0) == ""


def test_end_within_a_line(world):
    """It was written as a whole: no write of a line is cut."""
    name = world.shm()
    world.start()
    world.plain("REGISTER", name)
    world.write(f"UNREGISTER:{name}:shared_memory")
    assert world.end(0) == ""
    assert world.exists(name)


def test_end_within_nonsense(world):
    world.start()
    world.write("REGISTER:/x:sema")
    assert "unknown resource type 'sema'" in world.end(3)


def test_any_name(world):
    name = world.name() + "-ä ' \" \x1b[1m"
    path = "/dev/shm" + name
    with open(path, "xb"):
        pass
    world.paths.append(path)
    world.start()
    world.json("REGISTER", name)
    errors = world.end(1)
    assert "\x1b" not in errors and "\\x1b[1m" in errors
    assert not os.path.exists(path)


def test_noop_and_dummy(world):
    world.start()
    world.plain("REGISTER", "x", "dummy")
    assert world.end(1) == ""


def test_noop(world):
    world.start()
    world.plain("REGISTER", "x", "noop")
    assert "resource_tracker: 'x': a noop is for PROBE" in world.end(2)


# ---- resources

def test_posix_semaphore(world):
    name = world.name()
    sem = _multiprocessing.SemLock(1, 1, 1, name, False)
    world.paths.append("/dev/shm/sem." + name[1:])
    world.start()
    world.plain("REGISTER", name, "semaphore")
    del sem
    assert "1 leaked semaphore objects" in world.end(1)
    assert not os.path.exists(world.paths[-1])


def command(world, *words, status=0):
    done = subprocess.run([os.environ["SEMUNDO"], *words], env=world.env, timeout=LIMIT,
                          stdin=subprocess.DEVNULL, capture_output=True, text=True, check=False)
    assert done.returncode == status, done
    return done.stdout


@pytest.mark.parametrize("engine", ["native", "sysv", "posix"])
@pytest.mark.parametrize("form", ["plain", "json"])
def test_semaphore_of_an_engine(world, engine, form):
    name = f"{engine}:{world.name()[1:]}"
    command(world, "create", name, "--kind", "signal")
    world.start()
    getattr(world, form)("REGISTER", name, "semaphore")
    assert "1 leaked semaphore objects" in world.end(1)
    command(world, "show", name, status=66)


def test_semaphore_of_a_directory(world):
    """The one that the client means, not the tracker's own."""
    other = os.path.join(world.directory, "other")
    os.mkdir(other)
    name = "native:" + world.name()[1:]
    command(world, "create", name)
    world.env["SEMUNDO_DIR"] = other
    command(world, "create", name)
    world.env["SEMUNDO_DIR"] = world.directory
    world.start()
    world.json("REGISTER", name, "semaphore", base64_dir=encoded(other))
    world.end(1)
    command(world, "show", name)
    assert [file for file in os.listdir(other) if file.startswith("semundo.")] == []


def test_not_to_be_removed(world):
    """The library's own sentence."""
    world.start()
    world.plain("REGISTER", "native:none-such", "semaphore")
    assert "resource_tracker: 'native:none-such': " in world.end(2)


# ---- many

def test_random_requests(world):
    """Against a model: a count for each name."""
    seed = random.randrange(1 << 32)
    print("seed", seed)
    rng = random.Random(seed)
    counts = {world.shm(): 0 for _ in range(6)}
    world.start()
    for _ in range(3000):
        name = rng.choice(list(counts))
        form = rng.choice([world.plain, world.json])
        if counts[name] and rng.random() < 0.6:
            form("UNREGISTER", name)
            counts[name] -= 1
        else:
            form("REGISTER", name)
            counts[name] += 1
    world.end(1 if any(counts.values()) else 0)
    assert {name: world.exists(name) for name in counts} == \
        {name: not count for name, count in counts.items()}


def test_random_bytes(world):
    """No bytes end it, and none stop what comes after them."""
    seed = random.randrange(1 << 32)
    print("seed", seed)
    rng = random.Random(seed)
    parts = [b"REGISTER", b":", b"semaphore", b"\n", b"\0", b"{", b"}", b'"cmd"', b'"PROBE"',
             b"UNREGISTER:none:noop\n", b'{"cmd":"PROBE","pid":', b"7", b'"base64_name":"',
             b"YQ==", b'"', b",", b"\\u0000", b"\xff", b"x" * 300, b"[[[[", b"1e999", b" "]
    world.start()
    for _ in range(300):
        chunk = b"".join(rng.choice(parts) for _ in range(rng.randrange(1, 60)))
        if rng.random() < 0.2:
            chunk = bytes(rng.randrange(256) for _ in range(rng.randrange(1, 2000)))
        world.write(chunk)
    name = world.shm()
    world.write(b"\n")
    world.plain("REGISTER", name)
    errors = world.end(1)
    assert not world.exists(name)
    assert "more lines were ignored" in errors


def test_flood_blocks_nobody(world):
    """Who writes as fast as the pipe takes it delays another's line only by what is in
    the pipe."""
    world.start()
    flooding = True

    def flood():
        while flooding:
            world.write(b"PROBE:0:noop\n" * 39)

    writer = threading.Thread(target=flood)
    writer.start()
    try:
        for _ in range(5):
            world.heard()
    finally:
        flooding = False
        writer.join(LIMIT)
    world.end(1)


def test_sleeps(world):
    """It does nothing when there is nothing to do."""
    world.start()
    process = world.process()
    world.plain("REGISTER", world.shm())
    world.heard()

    def used():
        return int(stat_field(world.tracker.pid, 14)) + int(stat_field(world.tracker.pid, 15))

    def is_idle():
        before = used()
        try:
            process.wait(0.2)
        except subprocess.TimeoutExpired:
            return used() == before
        return False

    until(is_idle, "the tracker is idle")
    world.end(1)


# ---- the process

@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP, signal.SIGQUIT])
def test_survives(world, number):
    world.start()
    world.tracker.send_signal(number)
    world.heard()
    world.tracker.send_signal(number)
    world.heard()
    world.end(1)


def test_blocked_signals_that_came_before(world):
    def block():
        signal.pthread_sigmask(signal.SIG_BLOCK, [signal.SIGTERM])
        os.kill(os.getpid(), signal.SIGTERM)

    world.start(preexec_fn=block)
    world.heard()
    world.end(1)


def test_keeps_no_descriptors(world):
    """Nobody waits for it who reads what the program writes."""
    reader, writer = os.pipe()
    process = subprocess.Popen([TRACKER, str(world.reader)], pass_fds=[world.reader, writer],
                               stdin=writer, stdout=writer, stderr=subprocess.PIPE, env=world.env)
    world.processes.append(process)
    os.close(writer)
    with open(reader, "rb") as file:
        assert file.read() == b""
    world.end(0, process)


def test_input_that_is_no_pipe(world, tmp_path):
    name = world.shm()
    path = tmp_path / "lines"
    path.write_text(f"REGISTER:{name}:shared_memory\n", encoding="ascii")
    with open(path, "rb") as file:
        tracker = world.start(input=file.fileno())
    world.end(1, tracker)
    assert not world.exists(name)


@pytest.mark.parametrize("words", [[], ["x"], ["-1"], ["999"], ["0", "1"], ["--none"],
                                   ["--ready", "x", "0"], ["99999999999999999999"]])
def test_usage(words):
    done = subprocess.run([TRACKER, *words], stdin=subprocess.DEVNULL, capture_output=True,
                          text=True, timeout=LIMIT, check=False)
    assert (done.returncode, done.stdout) == (64, "")
    assert "semundo-tracker" in done.stderr


def test_help_and_version():
    for word in ("--help", "--version"):
        done = subprocess.run([TRACKER, word], stdin=subprocess.DEVNULL, capture_output=True,
                              text=True, timeout=LIMIT, check=False)
        assert (done.returncode, done.stderr) == (0, "") and "semundo-tracker" in done.stdout


def test_standard_error_that_nobody_reads(world):
    """What does not fit is left out, and the tracker goes on."""
    reader, writer = os.pipe()
    told, ready = os.pipe()
    process = subprocess.Popen([TRACKER, "--ready", str(ready), str(world.reader)],
                               pass_fds=[world.reader, ready], stderr=writer, env=world.env)
    world.processes.append(process)
    os.close(writer)
    os.close(ready)
    assert os.read(told, 1) == b"1"
    os.close(told)
    for _ in range(100):
        world.write("x" * 500 + "\n")
    for _ in range(400):
        name = world.shm()
        world.plain("REGISTER", name)
    world.tracker = process
    world.heard()
    os.close(world.writer)
    world.writer = None
    process.wait(LIMIT)
    assert process.returncode == 1
    assert not world.exists(name)
    os.close(reader)
