"""Progress is taken out of what git prints, and nobody's words become another's by that."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from credentials.sources.git.messages import Messages

REAL = (
    b"remote: Enumerating objects: 3, done.        \n"
    b"remote: Counting objects:  33% (1/3)        \rremote: Counting objects: 100% (3/3), done.        \n"
    b"remote: Total 3 (delta 0), reused 0 (delta 0), pack-reused 0        \n"
    b"Receiving objects:  33% (1/3)\rReceiving objects: 100% (3/3), 205 bytes | 205.00 KiB/s, done.\n"
    b"Resolving deltas: 100% (1/1), done.\n"
    b"From http://git.example/acme/cases\n"
)
KEPT = (
    b"remote: Total 3 (delta 0), reused 0 (delta 0), pack-reused 0        \n"
    b"From http://git.example/acme/cases\n"
)


@pytest.mark.parametrize("size", [1, 2, 7, 50, 1000])
def test_progress_goes_and_everything_else_stays(size: int) -> None:
    messages = Messages()
    kept = b"".join(messages.sift(REAL[start : start + size]) for start in range(0, len(REAL), size))
    assert kept == KEPT
    assert (messages.done, messages.total) == (3, 3)


def test_how_far_it_is_is_known_before_the_line_ends() -> None:
    messages = Messages()
    assert messages.sift(b"Receiving objects:  10% (123/1234), 1.20 MiB | 2.30 MiB/s\rReceiving") == b""
    assert (messages.done, messages.total) == (123, 1234)


def test_what_git_says_in_the_middle_of_its_progress_is_its_own() -> None:
    said = Messages().sift(b"Receiving objects:  50% (1/2)\rfatal: write error: File too large\n")
    assert said == b"fatal: write error: File too large\n"


@pytest.mark.parametrize(
    "line",
    [
        b"remote: Counting objects:  33% (1/3)\rfatal: no space left on device\n",
        b"remote: Counting objects:  33% (1/3)\r\r\rReceiving objects:  33% (1/3)\rfatal: x\n",
        b"remote: \rfatal: x\n",
        b"remote: " + b"Counting objects:  33% (1/3)\r" * 5000 + b"fatal: x\n",
        b"remote: " + b"x" * 100_000 + b"\rfatal: x\n",
    ],
)
@pytest.mark.parametrize("size", [9, 10, 100, 1_000_000])
def test_a_host_does_not_get_out_of_its_line(line: bytes, size: int) -> None:
    messages = Messages()
    kept = b"".join(messages.sift(line[start : start + size]) for start in range(0, len(line), size))
    assert kept.startswith(b"remote:")
    assert kept.count(b"\n") == 1
    assert (messages.done, messages.total) == (0, 0)


@settings(max_examples=200)
@given(
    st.lists(st.sampled_from([b"remote: ", b"Receiving objects:  1% (1/9)", b"\r", b"fatal: x", b"\n", b"a"]))
)
def test_every_line_of_a_host_stays_the_hosts(parts: list[bytes]) -> None:
    """Git puts ``remote:`` before each line that a host sends, and the host chooses what is in it."""
    lines = [b"remote: " + line + b"\n" for line in b"".join(parts).split(b"\n")]
    kept = Messages().sift(b"".join(lines))
    assert all(line.startswith(b"remote:") for line in kept.split(b"\n")[:-1])


def test_a_line_without_end_takes_no_memory() -> None:
    messages = Messages()
    for _block in range(1000):
        assert messages.sift(b"x" * 10_000) == b""
    assert len(messages.sift(b"\n")) <= 64 * 1024 + 1
