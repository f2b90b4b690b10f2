# SPDX-License-Identifier: Apache-2.0
"""usage: python -m semundo.multiprocessing [--engine native|sysv|posix] PROGRAM [ARGUMENT...]

Runs a Python program that uses multiprocessing, with the locks of this package
in it and in its children. PROGRAM is a file, or -m MODULE, or -c CODE.
"""
from __future__ import annotations

import io
import os
import runpy
import sys
import types
from typing import Any, List, NoReturn, Tuple

from ._install import install


def _fail(text: str) -> NoReturn:
    print(f"semundo.multiprocessing: {text}\n{(__doc__ or '').splitlines()[0]}", file=sys.stderr)
    sys.exit(2)


def _options(words: List[str]) -> Tuple[Any, List[str]]:
    engine = None
    while words and words[0].startswith("-") and words[0] not in ("-m", "-c"):
        option, _, value = words.pop(0).partition("=")
        if option in ("-h", "--help"):
            print(__doc__)
            sys.exit(0)
        if option != "--engine":
            _fail(f"there is no option {option}")
        if not value and not words:
            _fail("--engine needs a name")
        engine = value or words.pop(0)
    if not words or (words[0] in ("-m", "-c") and len(words) == 1):
        _fail("a program is needed")
    return engine, words


def _run_code(code: Any, path: str | None) -> None:
    """As __main__, of which children that are spawned load the file."""
    module = types.ModuleType("__main__")
    if path is not None:
        module.__file__ = path
    sys.modules["__main__"] = module
    exec(code, module.__dict__)


def _run_file(path: str) -> None:
    try:
        with io.open_code(path) as file:
            source = file.read()
    except OSError as error:
        _fail(f"cannot read {path}: {error.strerror}")
    sys.path[0] = os.path.dirname(os.path.abspath(path))
    _run_code(compile(source, path, "exec"), path)


def main(words: List[str]) -> None:
    """Never returns to the module's own names: they are the program's by then."""
    engine, words = _options(words)
    try:
        install(engine)
    except ValueError as error:
        _fail(str(error))
    if words[0] == "-m":
        sys.argv = words[1:]
        runpy.run_module(words[1], run_name="__main__", alter_sys=True)
    elif words[0] == "-c":
        sys.argv = ["-c"] + words[2:]
        sys.path[0] = ""
        _run_code(compile(words[1], "<string>", "exec"), None)
    else:
        sys.argv = words
        _run_file(words[0])


if __name__ == "__main__":
    main(sys.argv[1:])
