"""Git's own words about content and disk become the rule that was broken; the host's words never do."""

from __future__ import annotations

import pytest

from credentials.errors import ContentRefused, StorageUnavailable
from credentials.sources.git import refusals
from credentials.verdicts.refusals import Refusal
from tests.credentials.sources.git.hosts import LIMITS

OBJECT = "error: object 11c0845fc7b4a28e72173ea94bac78960ac66edf: "
END = "fatal: fetch-pack: invalid index-pack output\n"
SAID = [
    ("fatal: write error: File too large\n", Refusal.TOO_MANY_BYTES, LIMITS.bytes),
    ("error: index-pack died of signal 25\n", Refusal.TOO_MANY_BYTES, LIMITS.bytes),
    ("fatal: Out of memory, malloc failed (tried to allocate 4294967297 bytes)\n", Refusal.FILE_TOO_LARGE,
     LIMITS.file_bytes),
    (f"{OBJECT}hasDotgit: contains '.git'\nfatal: fsck error in packed object\n", Refusal.GIT_FOLDER, None),
    (f"{OBJECT}hasDotdot: contains '..'\nfatal: fsck error in packed object\n", Refusal.PATH_TRAVERSAL, None),
    (f"{OBJECT}duplicateEntries: contains duplicate file entries\n", Refusal.DUPLICATE, None),
    (f"{OBJECT}gitmodulesUrl: disallowed submodule url: -u\n", Refusal.OBJECT_INVALID, None),
    ("fatal: fsck error in packed object\n", Refusal.OBJECT_INVALID, None),
    ("fatal: pack has bad object at offset 142: inflate returned -5\n", Refusal.OBJECT_INVALID, None),
    ("fatal: did not receive expected object 11c0845f\n", Refusal.OBJECT_INVALID, None),
]  # fmt: skip


@pytest.mark.parametrize(("text", "reason", "limit"), SAID)
def test_what_git_says_names_the_rule(text: str, reason: Refusal, limit: int | None) -> None:
    problem = refusals.problem_in(text + END, LIMITS)
    assert isinstance(problem, ContentRefused)
    assert (problem.reason, problem.limit) == (reason, limit)


@pytest.mark.parametrize("text", [text for text, _reason, _limit in SAID])
def test_what_a_host_says_names_nothing(text: str) -> None:
    for said in ("".join(f"remote: {line}\n" for line in text.splitlines()), f"fatal: remote error: {text}"):
        assert refusals.problem_in(said, LIMITS) is None


@pytest.mark.parametrize("words", ["No space left on device", "Disk quota exceeded", "Read-only file system"])
def test_a_disk_that_takes_nothing_comes_first(words: str) -> None:
    text = f"fatal: write error: {words}\nfatal: pack has bad object at offset 12\n"
    assert isinstance(refusals.problem_in(text, LIMITS), StorageUnavailable)


def test_a_part_that_ended_without_a_word_had_no_time_left() -> None:
    assert refusals.is_out_of_time(END)
    assert not refusals.is_out_of_time(f"fatal: early EOF\n{END}")
    assert not refusals.is_out_of_time(f"remote: {END}")


def test_lost_and_not_given_are_told_apart() -> None:
    gone, unknown = (
        "fatal: couldn't find remote ref refs/heads/x\n",
        "fatal: remote error: upload-pack: not our ref 5c\n",
    )
    old = "error: Server does not allow request for unadvertised object 5ca1\n"
    jgit = "fatal: remote error: want 5ca1 not valid\n"
    assert [refusals.is_lost(text) for text in (gone, unknown, old, jgit)] == [True, True, False, False]
    assert [refusals.is_not_given(text) for text in (gone, unknown, old, jgit)] == [False, False, True, True]
