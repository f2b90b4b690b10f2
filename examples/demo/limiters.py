# SPDX-License-Identifier: Apache-2.0
"""The two programs that let at most so many run: one over semundo, one over a
POSIX semaphore."""
import json
import os
import shutil
import subprocess
import tempfile

UNITS = 3


def output_of(command, env=None):
    done = subprocess.run(command, env=env, text=True, stdout=subprocess.PIPE,
                          stderr=subprocess.PIPE, check=False, timeout=30)
    if done.returncode:
        raise RuntimeError(f"{' '.join(command)}: status {done.returncode}: {done.stderr}")
    return done.stdout


class Semundo:
    title = "semundo run"
    name = "compress"

    def __init__(self, build):
        self.program = os.path.join(build, "cli", "semundo")
        self.directory = tempfile.mkdtemp(prefix="semundo-demo.", dir="/dev/shm")
        os.environ["SEMUNDO_DIR"] = self.directory

    def command(self, command):
        return [self.program, "run", self.name, "-c", str(UNITS), "--", *command]

    def show(self):
        return json.loads(output_of([self.program, "show", "--json", self.name]))

    def free(self):
        return int(output_of([self.program, "value", self.name]))

    def all_can_be_taken(self):
        """The final proof: somebody takes all units at once."""
        return subprocess.run([self.program, "run", self.name, "-n", str(UNITS), "--nonblock",
                               "--", "true"], check=False).returncode == 0

    def remove(self):
        shutil.rmtree(self.directory)


class Posix:
    title = "POSIX semaphore"

    def __init__(self, build):
        self.program = os.path.join(build, "examples", "posix_sem_run")
        self.name = f"semundo-demo.{os.getpid()}"

    def command(self, command):
        return [self.program, self.name, str(UNITS), *command]

    def free(self):
        return int(output_of([self.program, "--value", self.name]))

    def all_can_be_taken(self):
        return self.free() == UNITS

    def remove(self):
        subprocess.run([self.program, "--unlink", self.name], stderr=subprocess.DEVNULL,
                       check=False)


def missing_parts(build):
    parts = [os.path.join(build, "cli", "semundo"),
             os.path.join(build, "examples", "posix_sem_run")]
    return [part for part in parts if not os.access(part, os.X_OK)] + \
           [tool for tool in ("xz", "gzip", "cmp") if not shutil.which(tool)]
