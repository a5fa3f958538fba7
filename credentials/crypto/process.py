"""Hardening of a process that holds keys."""

from __future__ import annotations

import ctypes
import os
import resource
import sys
from dataclasses import dataclass

_PR_SET_DUMPABLE = 4
_PRIVATE_UMASK = 0o077


@dataclass(frozen=True, kw_only=True, slots=True)
class Hardening:
    """What :func:`harden_process` achieved.

    ``not_dumpable``: other processes of the same user cannot read this one's memory, environment or open
    files; ``no_core_files``: a crash writes no memory to disk; ``private_umask``: new files are the
    user's alone.
    """

    not_dumpable: bool
    no_core_files: bool
    private_umask: bool


def harden_process(*, platform: str = sys.platform) -> Hardening:
    """Shut this process off from others of the same user; does nothing elsewhere than on Linux.

    Call it at the start of every process that loads the key ring: a fork keeps it, but execve undoes the
    first part (prctl(2), PR_SET_DUMPABLE). Never raises; what could not be done is False in the answer.
    """
    if platform != "linux":
        return Hardening(not_dumpable=False, no_core_files=False, private_umask=False)
    os.umask(_PRIVATE_UMASK)
    return Hardening(not_dumpable=_forbid_dumps(), no_core_files=_forbid_core_files(), private_umask=True)


def _forbid_dumps() -> bool:
    try:
        prctl = ctypes.CDLL(None, use_errno=True).prctl
    except (OSError, AttributeError):
        return False
    # prctl takes unsigned longs; without the types ctypes would pass ints.
    prctl.argtypes = [ctypes.c_int, *[ctypes.c_ulong] * 4]
    prctl.restype = ctypes.c_int
    return bool(prctl(_PR_SET_DUMPABLE, 0, 0, 0, 0) == 0)


def _forbid_core_files() -> bool:
    try:
        resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    except (OSError, ValueError):
        return False
    return True
