"""Sends a snapshot's archive: as a stream, in part where a part is asked for, and not at all where it is known.

RFC 9110, sections 13 and 14. Whatever is odd about a condition or a range is passed over, as it says.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping
from typing import Any, Protocol

from django.http import HttpResponse, StreamingHttpResponse
from django.http.response import HttpResponseBase
from django.utils.http import content_disposition_header, parse_etags

from credentials.models import Snapshot

CACHED = (200, 206, 304)
_BLOCK = 256 * 1024
# More than one range is answered with everything (section 14.2).
_ONE_RANGE = re.compile(r"bytes=(?P<first>\d{0,18})-(?P<last>\d{0,18})")
_LONGEST_STEM = 100


class Opened(Protocol):
    """An open file of the storage."""

    def read(self, size: int = ..., /) -> bytes: ...
    def seek(self, offset: int, /) -> Any: ...
    def close(self) -> Any: ...


def etag(snapshot: Snapshot) -> str:
    """The same tree gives the same bytes on every machine."""
    return f'"{snapshot.tree.digest}"'


def is_known(meta: Mapping[str, Any], snapshot: Snapshot) -> bool:
    """Whether the caller has this archive already (``If-None-Match``)."""
    known = [tag.removeprefix("W/") for tag in parse_etags(str(meta.get("HTTP_IF_NONE_MATCH", "")))]
    return "*" in known or etag(snapshot) in known


def archive_response(
    meta: Mapping[str, Any], snapshot: Snapshot, *, opening: Callable[[], Opened], with_body: bool
) -> HttpResponseBase:
    """The archive, or the range of it that is asked for; ``opening`` is called only where bytes are sent."""
    size = snapshot.tree.archive_bytes
    part = _part(meta, snapshot)
    if part is not None and part.start >= size:
        return HttpResponse(status=416, headers={"Content-Range": f"bytes */{size}"})
    sent = range(size) if part is None else part
    headers = {
        "Content-Length": str(len(sent)),
        "Content-Disposition": content_disposition_header(True, _file_name(snapshot)) or "attachment",
        "Accept-Ranges": "bytes",
    }
    if part is not None:
        headers["Content-Range"] = f"bytes {sent.start}-{sent.stop - 1}/{size}"
    return StreamingHttpResponse(
        _Blocks(opening(), sent) if with_body else (),
        status=200 if part is None else 206,
        content_type="application/zip",
        headers=headers,
    )


def _part(meta: Mapping[str, Any], snapshot: Snapshot) -> range | None:
    """The bytes asked for, None for all of them; one that begins behind the end cannot be sent."""
    size = snapshot.tree.archive_bytes
    found = _ONE_RANGE.fullmatch(str(meta.get("HTTP_RANGE", "")).replace(" ", ""))
    if found is None or meta.get("HTTP_IF_RANGE", etag(snapshot)) != etag(snapshot):
        return None
    first, last = found["first"], found["last"]
    if first:
        stop = min(int(last) + 1, size) if last else size
        return range(int(first), stop) if int(first) < stop or int(first) >= size else None
    if not last:
        return None
    return range(max(0, size - int(last)), size) if int(last) else range(size, size)


def _file_name(snapshot: Snapshot) -> str:
    """The library's name, in what every system takes for a name, and the snapshot's number."""
    letters = (letter if letter.isalnum() or letter in " .-_" else "-" for letter in snapshot.library.name)
    stem = "".join(letters).strip(" .-")[:_LONGEST_STEM]
    return f"{stem or 'library'}-{snapshot.number}.zip"


class _Blocks:
    """Reads a part of a file, and closes it with the response, sent or not."""

    def __init__(self, file: Opened, sent: range) -> None:
        self._file, self._sent = file, sent

    def __iter__(self) -> Iterator[bytes]:
        self._file.seek(self._sent.start)
        left = len(self._sent)
        while left and (block := self._file.read(min(_BLOCK, left))):
            left -= len(block)
            yield block

    def close(self) -> None:
        self._file.close()
