"""What git says of content it does not take, as a rule that was broken."""

from __future__ import annotations

import re
from typing import Final

from credentials.errors import ContentRefused, ImportProblem, StorageUnavailable
from credentials.sources.content import ContentLimits
from credentials.sources.git.wordings import voices
from credentials.verdicts.refusals import Refusal

_DISK: Final = ("no space left on device", "disk quota exceeded", "read-only file system")
_TOO_LARGE: Final = ("file too large", "died of signal 25")
_MEMORY: Final = ("out of memory", "mmap failed", "data too large to fit", "size_t overflow")
_SILENCE: Final = "fatal: fetch-pack: invalid index-pack output"
# https://git-scm.com/docs/git-fsck, "fsck messages", where another way to say it is plainer.
_FSCK: Final = {
    "hasDotgit": Refusal.GIT_FOLDER,
    "hasDot": Refusal.PATH_TRAVERSAL,
    "hasDotdot": Refusal.PATH_TRAVERSAL,
    "duplicateEntries": Refusal.DUPLICATE,
}
_INVALID: Final = (
    "fsck error",
    "bad object",
    "pack is corrupted",
    "pack has bad",
    "pack has junk",
    "pack signature mismatch",
    "unresolved delta",
    "did not receive expected object",
    "did not send all necessary objects",
    "inflate",
    "collision",
    "corrupt",
    "invalid blob object",
    "missing blob object",
    "unknown object type",
    "failed to apply delta",
)
_FSCK_WORD = re.compile(r"error: object [0-9a-f]+: ([A-Za-z]+):")


def problem_in(text: str, limits: ContentLimits) -> ImportProblem | None:
    """What git says itself, in ``text``, of the content and of this machine; None where it says nothing of them."""
    own, _said = voices(text)
    words = own.lower()
    if _has(words, _DISK):
        return StorageUnavailable("the disk takes nothing at present")
    if _has(words, _TOO_LARGE):
        return ContentRefused(Refusal.TOO_MANY_BYTES, limit=limits.bytes)
    if _has(words, _MEMORY):
        return ContentRefused(Refusal.FILE_TOO_LARGE, limit=limits.file_bytes)
    if match := _FSCK_WORD.search(own):
        return ContentRefused(_FSCK.get(match[1], Refusal.OBJECT_INVALID))
    if _has(words, _INVALID):
        return ContentRefused(Refusal.OBJECT_INVALID)
    return None


def is_out_of_time(text: str) -> bool:
    """Whether the part of git that opens a pack ended without a word: it had used up its time on the processor."""
    own, _said = voices(text)
    return [line for line in own.split("\n") if line.startswith(("fatal:", "error:"))] == [_SILENCE]


def is_lost(text: str) -> bool:
    """Whether what was asked for by its name is not there any more, or was not there by its id."""
    own, said = voices(text)
    return "couldn't find remote ref" in own or "not our ref" in said


def is_not_given(text: str) -> bool:
    """Whether the host gives nothing by its id alone: git says so for hosts of the protocol of old; JGit says "want
    … not valid"."""
    own, said = voices(text)
    return "does not allow request for unadvertised object" in own or "not valid" in said


def _has(words: str, parts: tuple[str, ...]) -> bool:
    return any(part in words for part in parts)
