"""Starts one program inside resource limits, tells how it ended, and outlives nobody.

A program of its own, run with ``python -I -S``: limits have to be set between fork and exec, and Python
code that runs there (``preexec_fn``) can deadlock in a process with threads, which every server is.

    launcher.py REPORT_FD,FD,… LIMIT=VALUE … [INPUT=NUMBER] -- PROGRAM ARGUMENT …

The program finds the open files at 3, 4 and so on, in this order: git traces to single digits only. The one that
is at ``INPUT`` then becomes its standard input.

The launcher leads the process group, and its standard input is a line to whoever started it: when that is
cut, by ``kill -9`` for instance, the whole group dies. After the program has ended it stays until it is
killed, so that the group's id belongs to nobody else in the meantime.
"""

from __future__ import annotations

import _thread
import fcntl
import os
import resource
import signal
import sys

FIRST = 3


def _limit(name: str, value: int) -> None:
    """Lower a limit for good. Linux knows all of them; elsewhere what the system refuses is left out."""
    kind: int = getattr(resource, f"RLIMIT_{name}")
    hard = resource.getrlimit(kind)[1]
    lowest = value if hard == resource.RLIM_INFINITY else min(value, hard)
    try:
        resource.setrlimit(kind, (lowest, lowest))
    except (OSError, ValueError):
        if sys.platform == "linux":
            raise


def _renumber(descriptors: list[int]) -> None:
    """Move open files to 3, 4 …, by a way around through numbers where none of them is."""
    away = [fcntl.fcntl(descriptor, fcntl.F_DUPFD_CLOEXEC, 100) for descriptor in descriptors]
    for descriptor in descriptors:
        os.close(descriptor)
    for number, descriptor in enumerate(away, FIRST):
        os.dup2(descriptor, number)
        os.close(descriptor)


def _tell(child: int) -> None:
    status = os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
    os.write(FIRST, b"exit %d\n" % status)


def main(words: list[str]) -> None:
    """Do what the words say; see the top of the file."""
    end = words.index("--")
    _renumber([int(word) for word in words[0].split(",")])
    source: list[tuple[object, ...]] = [(os.POSIX_SPAWN_OPEN, 0, os.devnull, os.O_RDONLY, 0)]
    for word in words[1:end]:
        name, _equals, value = word.partition("=")
        if name == "INPUT":
            source = [(os.POSIX_SPAWN_DUP2, int(value), 0), (os.POSIX_SPAWN_CLOSE, int(value))]
        else:
            _limit(name, int(value))
    command = words[end + 1 :]
    child = os.posix_spawn(command[0], command, os.environ, file_actions=source)
    # Only the program and its own children keep these open, so that their end can be seen.
    os.close(1)
    os.close(2)
    _thread.start_new_thread(_tell, (child,))
    os.read(0, 1)
    os.killpg(0, signal.SIGKILL)


if __name__ == "__main__":
    main(sys.argv[1:])
