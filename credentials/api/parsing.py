"""Reads request bodies: JSON, small, and nothing a database or a header could not carry; a form where a file comes."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from typing import IO, Any, NoReturn

from rest_framework.exceptions import APIException, ParseError
from rest_framework.parsers import BaseParser, DataAndFiles, MultiPartParser

BODY_LIMIT = 64 * 1024
"""Bytes of a request body. The longest sensible request, with a token of 4096 characters, has about 8000."""


class BodyTooLarge(APIException):
    """RFC 9110, section 15.5.14."""

    status_code = 413
    default_detail = "The body is too large."
    default_code = "body_too_large"


class FormMalformed(APIException):
    """A form that is none, or that says one thing twice."""

    status_code = 400
    default_detail = "The form cannot be read."
    default_code = "malformed"


class SmallJSONParser(BaseParser):
    """``application/json``, at most :data:`BODY_LIMIT` bytes."""

    media_type = "application/json"

    def parse(
        self,
        stream: IO[bytes],
        media_type: str | None = None,
        parser_context: Mapping[str, Any] | None = None,
    ) -> Any:
        return read_json(stream)


class UploadParser(MultiPartParser):
    """``multipart/form-data`` with one file, which credentials/uploads.py takes; each field once."""

    def parse(
        self,
        stream: Any,
        media_type: str | None = None,
        parser_context: Mapping[str, Any] | None = None,
    ) -> DataAndFiles[Any, Any]:
        try:
            found = super().parse(stream, media_type, parser_context)
        except ParseError:
            raise FormMalformed from None
        if any(len(values) != 1 for _name, values in found.data.lists()):
            for _name, files in found.files.lists():
                for file in files:
                    file.close()
            raise FormMalformed
        return DataAndFiles(found.data.dict(), found.files)


def read_json(stream: Any) -> Any:
    """The JSON value in ``stream``; raises BodyTooLarge and ParseError, which repeat nothing of it."""
    body = stream.read(BODY_LIMIT + 1)
    if len(body) > BODY_LIMIT:
        raise BodyTooLarge
    try:
        value = json.loads(body.decode(), parse_constant=_refuse_constant)
        # Only an escape can write them: a lone surrogate has no UTF-8, and PostgreSQL stores no NUL.
        if b"\\u" in body and any("\0" in text or _is_broken(text) for text in _texts(value)):
            raise ParseError
    except (ValueError, RecursionError):
        # "from None": the chained exception would carry the body.
        raise ParseError from None
    return value


def _refuse_constant(name: str) -> NoReturn:
    """NaN and Infinity are Python's JSON, nobody else's."""
    raise ValueError(name)


def _is_broken(text: str) -> bool:
    try:
        text.encode()
    except UnicodeEncodeError:
        return True
    return False


def _texts(value: Any) -> Iterator[str]:
    if isinstance(value, str):
        yield value
    elif isinstance(value, dict):
        for name, item in value.items():
            yield name
            yield from _texts(item)
    elif isinstance(value, list):
        for item in value:
            yield from _texts(item)
