"""A process that executes commands of resgen, one after another, and so imports torch once.

It reads a line of JSON for each run from standard input, {"commands": [[...]], "log": FILE}, and
answers with its exit code. Where its parent dies, it stops the run it is at, which saves it.
"""

from __future__ import annotations

import json
import os
import queue
import runpy
import shlex
import signal
import sys
import threading
import traceback
import warnings
from collections.abc import Sequence
from contextlib import redirect_stderr, redirect_stdout
from pathlib import Path

from resgen.experiment.runs import ENDED

STOPPED = 130


def perform(commands: Sequence[Sequence[str]], log: Path) -> int:
    """Executes commands in this process up to the first that fails; what they print goes to a log.

    The exit code is the last one's.
    """
    code = 0
    argv = sys.argv
    with (
        log.open("a", encoding="utf-8", buffering=1) as file,
        redirect_stdout(file),
        redirect_stderr(file),
        warnings.catch_warnings(),
    ):
        try:
            for command in commands:
                print(f"$ {shlex.join(command)}")
                sys.argv = list(command)
                code = _executed()
                if code:
                    break
        finally:
            sys.argv = argv
        print(f"{ENDED}{code}")
    return code


def _executed() -> int:
    """The command in sys.argv, as `python -m resgen` executes it."""
    try:
        runpy.run_module("resgen", run_name="__main__")
    except SystemExit as end:
        return end.code if isinstance(end.code, int) else int(end.code is not None)
    except KeyboardInterrupt:
        return STOPPED
    except BaseException:
        # A mistake of ours, or no memory left: the other runs go on.
        traceback.print_exc()
        return 1
    return 0


def main() -> None:
    """Executes what standard input asks for until it ends."""
    answers = os.fdopen(os.dup(1), "w", buffering=1)
    null = os.open(os.devnull, os.O_RDWR)
    os.dup2(null, 1)
    # Who started it decides when a run is stopped, and says so by SIGTERM.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    asked: queue.SimpleQueue[str | None] = queue.SimpleQueue()
    threading.Thread(target=_read, args=(asked,), daemon=True).start()
    while (line := asked.get()) is not None:
        given = json.loads(line)
        code = perform(given["commands"], Path(given["log"]))
        print(code, file=answers)


def _read(asked: queue.SimpleQueue[str | None]) -> None:
    for line in sys.stdin:
        asked.put(line)
    asked.put(None)
    os.kill(os.getpid(), signal.SIGTERM)


if __name__ == "__main__":
    main()
