"""How much memory the programs take that a test has started, read from /proc while they live."""

from __future__ import annotations

import os
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path


@contextmanager
def peak_of_children() -> Iterator[Callable[[], int]]:
    """Gives a function that tells the most bytes a single descendant of this process has had in memory so far."""
    ended = threading.Event()
    mine = _command(os.getpid())
    most = 0

    def look() -> None:
        nonlocal most
        while not ended.is_set():
            # Between fork and exec, a child has the memory and the name of its parent.
            others = (process for process in _descendants(os.getpid()) if _command(process) != mine)
            most = max([most, *map(resident, others)])
            ended.wait(0.01)

    watch = threading.Thread(target=look)
    watch.start()
    try:
        yield lambda: most
    finally:
        ended.set()
        watch.join()


def _descendants(parent: int) -> Iterator[int]:
    try:
        for task in os.listdir(f"/proc/{parent}/task"):
            for child in Path(f"/proc/{parent}/task/{task}/children").read_text().split():
                yield int(child)
                yield from _descendants(int(child))
    except OSError:
        return


def _command(process: int) -> bytes:
    try:
        return Path(f"/proc/{process}/cmdline").read_bytes()
    except OSError:
        return b""


def resident(process: int) -> int:
    """The most bytes a process has had in memory so far (VmHWM, proc(5)); 0 where the system does not say."""
    try:
        status = Path(f"/proc/{process}/status").read_text()
    except OSError:
        return 0
    line = next((line for line in status.splitlines() if line.startswith("VmHWM:")), "VmHWM: 0 kB")
    return int(line.split()[1]) * 1024
