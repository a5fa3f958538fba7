"""Hardening of a process that holds keys, watched from outside."""

from __future__ import annotations

import inspect
import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

import credentials
from credentials.crypto.process import Hardening, harden_process

REPOSITORY = Path(inspect.getfile(credentials)).parent.parent
NOBODY = 65534

STATE = """
import ctypes, json, os, resource, sys
from dataclasses import asdict
from credentials.crypto.process import harden_process
done = asdict(harden_process())
dumpable = ctypes.CDLL(None).prctl(3, 0, 0, 0, 0)
print(json.dumps([done, dumpable, resource.getrlimit(resource.RLIMIT_CORE), os.umask(0)]))
"""
WAIT = """
import ctypes, os, sys
from credentials.crypto.process import harden_process
if os.geteuid() == 0:
    os.setgroups([])
    os.setgid(65534)
    os.setuid(65534)
    # Changing the user clears the flag; a process started by that user would have it.
    ctypes.CDLL(None).prctl(4, 1, 0, 0, 0)
if sys.argv[1] == "hardened":
    harden_process()
print("ready", flush=True)
sys.stdin.read()
"""

linux_only = pytest.mark.skipif(sys.platform != "linux", reason="prctl is Linux's")


@linux_only
def test_a_hardened_process_is_not_dumpable_writes_no_core_and_makes_private_files() -> None:
    answer = subprocess.run([sys.executable, "-c", STATE], cwd=REPOSITORY, capture_output=True, check=True)

    done, dumpable, core_limit, umask = json.loads(answer.stdout)

    assert done == {"not_dumpable": True, "no_core_files": True, "private_umask": True}
    assert dumpable == 0
    assert core_limit == [0, 0]
    assert umask == 0o077


@linux_only
@pytest.mark.parametrize(("state", "readable"), [("plain", True), ("hardened", False)])
def test_the_same_user_reads_the_environment_of_a_plain_process_but_not_of_a_hardened_one(
    state: str, readable: bool
) -> None:
    holder = subprocess.Popen(
        [sys.executable, "-c", WAIT, state],
        cwd=REPOSITORY,
        env={"CANARY": "canary-in-the-environment"},
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
    )
    # Root may read everything, so as root both sides become nobody.
    reader: dict[str, Any] = (
        {"user": NOBODY, "group": NOBODY, "extra_groups": []} if os.geteuid() == 0 else {}
    )
    with holder:
        assert holder.stdin is not None
        assert holder.stdout is not None
        assert holder.stdout.readline() == b"ready\n"
        answer = subprocess.run(
            ["/bin/cat", f"/proc/{holder.pid}/environ"], capture_output=True, check=False, **reader
        )
        holder.stdin.close()

    assert (b"canary-in-the-environment" in answer.stdout) is readable
    assert (answer.returncode == 0) is readable


def test_nothing_is_changed_elsewhere_than_on_linux() -> None:
    umask = os.umask(0o022)
    try:
        assert harden_process(platform="darwin") == Hardening(
            not_dumpable=False, no_core_files=False, private_umask=False
        )
        assert os.umask(0o022) == 0o022
    finally:
        os.umask(umask)
