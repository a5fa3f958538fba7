"""What git prints on standard error while it works: its progress, apart from everything else."""

from __future__ import annotations

import re
from typing import Final

_STEP = re.compile(
    rb"(?:remote: )?[A-Z][a-z]+ [a-z]+: +"
    rb"(?:[0-9]{1,3}% \((?P<done>[0-9]{1,12})/(?P<total>[0-9]{1,12})\)|[0-9]+)[^\r\n]{0,80}"
)
_RECEIVING: Final = b"Receiving objects:"
_HOST: Final = b"remote:"
_LINE_LIMIT: Final = 64 * 1024


class Messages:
    """Takes progress out of what git prints; ``done`` and ``total`` count the objects that were received."""

    def __init__(self) -> None:
        self.done = 0
        self.total = 0
        self._line = b""

    def sift(self, data: bytes) -> bytes:
        """What arrived, in whole lines and without progress; the beginning of a line comes with its end."""
        *ends, rest = data.split(b"\n")
        kept = b""
        for end in ends:
            kept += self._ended(self._line + end)
            self._line = b""
        # A line without end is not waited for; what is kept of it still says whose it is.
        self._line = (self._line + rest)[:_LINE_LIMIT]
        if not self._line.startswith(_HOST):
            self._line = self._without_progress(self._line)
        return kept

    def _ended(self, line: bytes) -> bytes:
        """A whole line. What follows a host's words in it stays the host's, although it stands on a terminal as if
        git had said it."""
        kept = self._without_progress(line + b"\r").removesuffix(b"\r")
        if line.startswith(_HOST) and kept and not kept.startswith(_HOST):
            kept = b"%s %s" % (_HOST, kept)
        return kept and kept + b"\n"

    def _without_progress(self, text: bytes) -> bytes:
        """Without those parts that a return ended and that are nothing but progress."""
        is_own = not text.startswith(_HOST)
        *parts, rest = text.split(b"\r")
        kept = [part for part in parts if part and not self._is_progress(part, is_own=is_own)]
        return b"\r".join([*kept, rest])

    def _is_progress(self, part: bytes, *, is_own: bool) -> bool:
        match = _STEP.fullmatch(part)
        if match is None:
            return False
        if is_own and part.startswith(_RECEIVING) and match["total"]:
            self.done, self.total = int(match["done"]), int(match["total"])
        return True
