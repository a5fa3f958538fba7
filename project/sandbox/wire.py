"""What goes over the wire: a request, a response and the small router between them."""

from __future__ import annotations

import base64
import binascii
import gzip
import json
import zlib
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from email.message import Message
from http.cookies import CookieError, SimpleCookie
from typing import TYPE_CHECKING, Any, Protocol
from urllib.parse import parse_qsl, quote, unquote, urlencode

if TYPE_CHECKING:
    from project.sandbox.tokens import Token

MOST_BODY_BYTES = 2 * 1024 * 1024


class Readable(Protocol):
    """The body of a request, already without its transfer coding."""

    def read(self, size: int = -1, /) -> bytes: ...


class BadRequestError(Exception):
    """The request cannot be understood; the text is shown to the caller."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Authorization:
    """What the caller showed: `scheme` is none, basic, bearer, token, private-token or other."""

    scheme: str
    username: str = ""
    secret: str = field(default="", repr=False)


class Request:
    """One HTTP request. `path` is as sent, without the query; `token` is set once the caller is known."""

    def __init__(self, *, method: str, target: str, headers: Message, stream: Readable) -> None:
        self.method = method
        self.path, _, self.query_string = target.partition("?")
        self.query = dict(parse_qsl(self.query_string, keep_blank_values=True))
        self.headers = headers
        self.stream = stream
        self.token: Token | None = None
        self._body: bytes | None = None

    def header(self, name: str) -> str:
        return self.headers.get(name) or ""

    @property
    def authorization(self) -> Authorization:
        private = self.header("PRIVATE-TOKEN")
        if private:
            return Authorization(scheme="private-token", secret=private)
        scheme, _, value = self.header("Authorization").partition(" ")
        value = value.strip()
        match scheme.lower():
            case "":
                return Authorization(scheme="none")
            case "basic":
                username, secret = _basic(value)
                return Authorization(scheme="basic", username=username, secret=secret)
            case "bearer" | "token" as known:
                return Authorization(scheme=known, secret=value)
            case _:
                return Authorization(scheme="other")

    def cookie(self, name: str) -> str:
        try:
            jar = SimpleCookie(self.header("Cookie"))
        except CookieError:
            return ""
        return jar[name].value if name in jar else ""

    def body(self) -> bytes:
        """The whole body, unpacked if it came gzip'd. Raises BadRequestError above two mebibytes."""
        if self._body is None:
            raw = self.stream.read(MOST_BODY_BYTES + 1)
            if len(raw) > MOST_BODY_BYTES:
                raise BadRequestError("The request body is too large.")
            self._body = _gunzip(raw) if self.header("Content-Encoding") == "gzip" else raw
        return self._body

    def fields(self) -> dict[str, Any]:
        """The fields of a JSON object or of a form. Raises BadRequestError for anything else."""
        body = self.body()
        if not body:
            return {}
        if "json" in self.header("Content-Type"):
            try:
                data = json.loads(body)
            except ValueError as error:
                raise BadRequestError("Problems parsing JSON") from error
            if not isinstance(data, dict):
                raise BadRequestError("Body should be a JSON object")
            return data
        return self._form(body)

    @staticmethod
    def _form(body: bytes) -> dict[str, Any]:
        fields: dict[str, Any] = {}
        for name, value in parse_qsl(body.decode("utf-8", "replace"), keep_blank_values=True):
            if name.endswith("[]"):
                fields.setdefault(name[:-2], []).append(value)
            else:
                fields[name] = value
        return fields


def _basic(value: str) -> tuple[str, str]:
    try:
        username, _, secret = base64.b64decode(value, validate=True).decode().partition(":")
    except (binascii.Error, UnicodeDecodeError):
        return "", ""
    return username, secret


def _gunzip(raw: bytes) -> bytes:
    unpacker = zlib.decompressobj(wbits=31)
    try:
        body = unpacker.decompress(raw, MOST_BODY_BYTES)
    except (zlib.error, gzip.BadGzipFile) as error:
        raise BadRequestError("The request body is not gzip.") from error
    if unpacker.unconsumed_tail:
        raise BadRequestError("The request body is too large.")
    return body


@dataclass(frozen=True, kw_only=True, slots=True)
class Response:
    """One HTTP answer; a body that is an iterator is sent as it comes.

    `cut` breaks off half-way; of a `lost` one not a byte is sent. Either is sent only after `delay` seconds.
    """

    status: int = 200
    headers: tuple[tuple[str, str], ...] = ()
    body: bytes | Iterator[bytes] = b""
    cut: bool = False
    lost: bool = False
    delay: float = 0.0

    def header(self, name: str) -> str | None:
        return next((value for key, value in self.headers if key.lower() == name.lower()), None)

    def with_headers(self, headers: Iterable[tuple[str, str]]) -> Response:
        """The same answer with more headers; one that is already there stays as it is."""
        more = tuple(pair for pair in headers if self.header(pair[0]) is None)
        return replace(self, headers=self.headers + more)


Headers = Iterable[tuple[str, str]]
Handler = Callable[..., Response]


def json_response(data: object, *, status: int = 200, headers: Headers = ()) -> Response:
    kind = ("Content-Type", "application/json; charset=utf-8")
    return Response(status=status, headers=(kind, *headers), body=json.dumps(data).encode())


def text_response(text: str, *, status: int = 200, headers: Headers = ()) -> Response:
    kind = ("Content-Type", "text/plain; charset=utf-8")
    return Response(status=status, headers=(kind, *headers), body=text.encode())


def html_response(text: str, *, status: int = 200, headers: Headers = ()) -> Response:
    kind = ("Content-Type", "text/html; charset=utf-8")
    return Response(status=status, headers=(kind, *headers), body=text.encode())


def form_response(data: Mapping[str, str], *, status: int = 200) -> Response:
    kind = ("Content-Type", "application/x-www-form-urlencoded; charset=utf-8")
    return Response(status=status, headers=(kind,), body=urlencode(data).encode())


def redirect(location: str, *, status: int = 302, headers: Headers = ()) -> Response:
    return Response(status=status, headers=(("Location", location), *headers))


def empty(status: int = 204, *, headers: Headers = ()) -> Response:
    return Response(status=status, headers=tuple(headers))


def with_query(url: str, **values: str) -> str:
    return url + ("&" if "?" in url else "?") + urlencode(values, quote_via=quote)


class Router:
    """Patterns of path segments: `{name}` is one segment, a final `{name*}` is all that remain.

    Segments are split before they are decoded, so that `acme%2Fcases` stays one segment. A path of the
    table asked with another method is not found, like any other path: that is what the originals answer.
    """

    def __init__(self) -> None:
        self._routes: list[tuple[str, list[str], Handler]] = []

    def add(self, methods: str, pattern: str, handler: Handler) -> None:
        for method in methods.split():
            self._routes.append((method, pattern.split("/"), handler))

    def find(self, method: str, path: str) -> tuple[Handler, dict[str, str]] | None:
        segments = path.split("/")
        wanted = "GET" if method == "HEAD" else method
        for known, pattern, handler in self._routes:
            if known == wanted and (found := _match(pattern, segments)) is not None:
                return handler, found
        return None


def _match(pattern: list[str], segments: list[str]) -> dict[str, str] | None:
    found: dict[str, str] = {}
    for position, part in enumerate(pattern):
        if part.endswith("*}"):
            rest = "/".join(unquote(segment) for segment in segments[position:])
            return found | {part[1:-2]: rest} if rest else None
        if position >= len(segments):
            return None
        segment = segments[position]
        if part.startswith("{") and segment:
            found[part[1:-1]] = unquote(segment)
        elif part != segment:
            return None
    return found if len(pattern) == len(segments) else None
