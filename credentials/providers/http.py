"""The one guarded door to every provider: what is sent where, and what is believed of the answer."""

from __future__ import annotations

import base64
import json as jsonlib
import re
import socket
import threading
import zlib
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from http import HTTPStatus
from http.cookiejar import DefaultCookiePolicy
from typing import Any, Protocol
from urllib.parse import quote, urlencode, urlsplit

import requests
from requests.structures import CaseInsensitiveDict
from urllib3.exceptions import HTTPError

from credentials.crypto.secret import Secret
from credentials.errors import (
    AddressInvalid,
    ForgekeyError,
    ProviderAnswerUnexpected,
    ProviderError,
    ProviderRateLimited,
    ProviderUnreachable,
)
from credentials.providers.answers import Answer, retry_after
from credentials.providers.connections import Exchange, GuardedAdapter
from credentials.providers.network import Resolver

# One spelling that every URL parser reads alike: no user part, no fragment, no backslash, no blanks.
_URL = re.compile(
    r"https?://(?:[A-Za-z0-9](?:[A-Za-z0-9.-]*[A-Za-z0-9])?|\[[0-9A-Fa-f:.]+\])(?::[0-9]{1,5})?"
    r"(?:/[A-Za-z0-9._~!$&'()*+,;=:@%/-]*)?(?:\?[A-Za-z0-9._~!$&'()*+,;=:@%/?-]*)?"
)
_JSON_TYPE = re.compile(r"application/(?:[a-z0-9.+-]+\+)?json", re.IGNORECASE)
_CHUNK = 16_384


def utc_now() -> datetime:
    """The clock of a door that was given none."""
    return datetime.now(UTC)


def require_address(url: str) -> None:
    """Raises AddressInvalid unless every parser reads ``url`` alike, as one that a request can go to."""
    if not _URL.fullmatch(url):
        raise AddressInvalid("this is no address that a request can go to")


def path_segment(text: str) -> str:
    """Percent-encode one path segment that came from outside, slashes included.

    Raises AddressInvalid for ``.`` and ``..``, which encoding leaves alone and servers climb by.
    """
    if text in {"", ".", ".."}:
        raise AddressInvalid("a path segment may not be empty or made of dots")
    return quote(text, safe="")


@dataclass(frozen=True, kw_only=True, slots=True)
class Bearer:
    """``Authorization: Bearer`` (RFC 6750 section 2.1)."""

    token: Secret

    def header(self) -> tuple[str, str]:
        return "Authorization", f"Bearer {self.token.reveal()}"


@dataclass(frozen=True, kw_only=True, slots=True)
class Basic:
    """``Authorization: Basic`` (RFC 7617)."""

    username: str
    password: Secret

    def header(self) -> tuple[str, str]:
        pair = f"{self.username}:{self.password.reveal()}".encode()
        return "Authorization", f"Basic {base64.b64encode(pair).decode('ascii')}"


@dataclass(frozen=True, kw_only=True, slots=True)
class HeaderToken:
    """A token in a header of the provider's own."""

    name: str
    token: Secret

    def header(self) -> tuple[str, str]:
        return self.name, self.token.reveal()


Auth = Bearer | Basic | HeaderToken


@dataclass(frozen=True, kw_only=True, slots=True)
class _Sent:
    """What goes along with one request; nothing in it is opened or encoded yet."""

    auth: Auth | None
    json: object | None
    form: Mapping[str, str | Secret] | None
    body: bytes | None
    headers: Mapping[str, str]


class _Session(requests.Session):
    """A requests session that remembers nothing and follows nothing."""

    def __init__(self, *, ca_bundle: str | None) -> None:
        super().__init__()
        self.trust_env = False
        self.verify = ca_bundle or True
        self.cookies.set_policy(DefaultCookiePolicy(allowed_domains=[]))
        self.adapters.clear()
        self.mount("https://", GuardedAdapter())
        self.mount("http://", GuardedAdapter())

    def get_redirect_target(self, resp: requests.Response) -> str | None:
        # Even with redirects off, requests reads the whole body of a redirect to prepare the next request.
        return None


class Breaker(Protocol):
    """Decides before each request whether a host may be asked, and learns how it went."""

    def enter(self) -> None:
        """Raises ProviderUnreachable where nothing may be sent at this moment."""

    def succeeded(self) -> None:
        """The host answered."""

    def failed(self, problem: ProviderError) -> None:
        """The host did not answer, or not as itself."""


class NoBreaker:
    """Lets every request pass."""

    def enter(self) -> None:
        return

    def succeeded(self) -> None:
        return

    def failed(self, problem: ProviderError) -> None:
        return


class Door:
    """Asks one HTTP question at a time, and believes little of the answer.

    * ``allow_private`` opens loopback and private networks (and there, unencrypted HTTP);
    * ``timeout`` is (connect, read) and ``deadline`` the whole exchange, in seconds;
    * ``max_body`` caps an answer in bytes, counted after decompression;
    * ``ca_bundle`` is the path of a PEM file that replaces the public certificate authorities;
    * ``breaker`` is asked before each request.

    A door may be shared between threads; each gets a requests session of its own.
    """

    def __init__(
        self,
        *,
        allow_private: bool = False,
        timeout: tuple[float, float] = (5.0, 10.0),
        deadline: float = 20.0,
        max_body: int = 1 << 20,
        resolver: Resolver = socket.getaddrinfo,
        user_agent: str = "Forgekey",
        ca_bundle: str | None = None,
        breaker: Breaker | None = None,
        now: Callable[[], datetime] = utc_now,
    ) -> None:
        self._allow_private = allow_private
        self._timeout = timeout
        self._deadline = deadline
        self._max_body = max_body
        self._resolver = resolver
        self._user_agent = user_agent
        self._ca_bundle = ca_bundle
        self.breaker: Breaker = breaker or NoBreaker()
        self._now = now
        self._local = threading.local()

    def request(
        self,
        method: str,
        url: str,
        *,
        auth: Auth | None = None,
        params: Mapping[str, str | int] | None = None,
        json: object | None = None,
        form: Mapping[str, str | Secret] | None = None,
        body: bytes | None = None,
        headers: Mapping[str, str] | None = None,
    ) -> Answer:
        """Ask, and return every answer that is one, redirects and refusals included.

        ``json`` and ``form`` may carry :class:`Secret` values, which are opened only while the request is
        written; ``body`` is sent as it is, for what was signed byte by byte. Raises AddressInvalid and
        AddressForbidden for where nothing may be sent; ProviderUnreachable for a failed connection, a passed
        deadline and any 5xx; ProviderRateLimited for 429; ProviderAnswerUnexpected for a body larger than
        allowed.
        """
        call = f"{method} {self._path(url)}"
        target = f"{url}?{urlencode(params)}" if params else url
        require_address(target)
        sent = _Sent(auth=auth, json=json, form=form, body=body, headers=headers or {})
        self.breaker.enter()
        try:
            answer = self._answered(call, method, target, sent)
        except ProviderUnreachable as problem:
            self.breaker.failed(problem)
            raise
        # A page where JSON was due is no sign of health.
        if answer.json is not None or answer.status == HTTPStatus.NO_CONTENT:
            self.breaker.succeeded()
        if answer.status == HTTPStatus.TOO_MANY_REQUESTS:
            raise ProviderRateLimited(
                "the quota of the host is spent",
                status=answer.status,
                evidence=answer.evidence,
                retry_after=retry_after(answer.headers, self._now()),
            )
        return answer

    def _answered(self, call: str, method: str, target: str, sent: _Sent) -> Answer:
        # The frames that see the plaintext are gone before anything is raised, so that no traceback
        # with local variables can show it.
        outcome = self._ask(method, target, sent)
        if isinstance(outcome, str):
            raise ProviderUnreachable("the host cannot be reached", evidence=f"{call}: {outcome}")
        if isinstance(outcome, ForgekeyError):
            raise outcome
        if outcome.status >= HTTPStatus.INTERNAL_SERVER_ERROR or outcome.status < HTTPStatus.OK:
            raise ProviderUnreachable(
                "the host is out of order",
                status=outcome.status,
                evidence=outcome.evidence,
                retry_after=retry_after(outcome.headers, self._now()),
            )
        return outcome

    @staticmethod
    def _path(url: str) -> str:
        try:
            return urlsplit(url).path or "/"
        except ValueError:
            return "?"

    def _ask(self, method: str, url: str, sent: _Sent) -> Answer | ForgekeyError | str:
        headers = {
            "User-Agent": self._user_agent,
            "Accept": "application/json",
            "Accept-Encoding": "gzip",
            **sent.headers,
        }
        body = sent.body
        if sent.json is not None:
            body = jsonlib.dumps(_opened(sent.json)).encode()
            headers["Content-Type"] = "application/json"
        elif sent.form is not None:
            body = urlencode({name: _opened(value) for name, value in sent.form.items()}).encode()
            headers["Content-Type"] = "application/x-www-form-urlencoded"
        if sent.auth is not None:
            name, value = sent.auth.header()
            headers[name] = value
        exchange = Exchange(
            resolver=self._resolver, allow_private=self._allow_private, deadline=self._deadline
        )
        try:
            with exchange:
                response = self._session.request(
                    method,
                    url,
                    data=body,
                    headers=headers,
                    timeout=self._timeout,
                    allow_redirects=False,
                    stream=True,
                )
                return self._read(response, method, url, exchange)
        except ForgekeyError as problem:
            return problem.with_traceback(None)
        except (requests.RequestException, HTTPError, OSError, ValueError) as problem:
            return "deadline passed" if exchange.over_by_time else _cause(problem)

    @property
    def _session(self) -> _Session:
        session: _Session | None = getattr(self._local, "session", None)
        if session is None:
            session = self._local.session = _Session(ca_bundle=self._ca_bundle)
        return session

    def _read(
        self, response: requests.Response, method: str, url: str, exchange: Exchange
    ) -> Answer | ForgekeyError | str:
        content_type = response.headers.get("Content-Type", "").partition(";")[0].strip().lower()
        answer = Answer(
            method=method,
            path=self._path(url),
            status=response.status_code,
            headers=CaseInsensitiveDict(
                (name, value) for name, value in response.headers.items() if name.lower() != "set-cookie"
            ),
            content_type=content_type,
        )
        if response.status_code >= HTTPStatus.INTERNAL_SERVER_ERROR or not _JSON_TYPE.fullmatch(content_type):
            response.close()
            return answer
        body = _body(response, self._max_body)
        if exchange.over_by_time:
            return "deadline passed"
        if body is None:
            return ProviderAnswerUnexpected(
                "the answer is larger than allowed or encoded in an unknown way",
                status=answer.status,
                evidence=f"{answer.evidence}: body refused",
            )
        return Answer(
            method=answer.method,
            path=answer.path,
            status=answer.status,
            headers=answer.headers,
            json=_parsed(body),
            content_type=content_type,
        )


def _opened(value: object) -> Any:
    if isinstance(value, Secret):
        return value.reveal()
    if isinstance(value, Mapping):
        return {name: _opened(item) for name, item in value.items()}
    if isinstance(value, list | tuple):
        return [_opened(item) for item in value]
    return value


def _body(response: requests.Response, limit: int) -> bytes | None:
    """Read and decompress at most ``limit`` bytes; None where there is more, or an unknown encoding.

    Decompression is bounded at every step, so that a small body cannot grow large in memory first.
    """
    encoding = response.headers.get("Content-Encoding", "").strip().lower()
    if encoding not in {"", "identity", "gzip", "deflate"}:
        response.close()
        return None
    # wbits 47 reads gzip and zlib headers alike.
    inflate = zlib.decompressobj(wbits=47) if encoding in {"gzip", "deflate"} else None
    parts = bytearray()
    while chunk := response.raw.read1(_CHUNK, decode_content=False):
        if inflate is None:
            parts += chunk
        else:
            try:
                parts += inflate.decompress(chunk, limit + 1 - len(parts))
            except zlib.error:
                response.close()
                return None
        if len(parts) > limit:
            response.close()
            return None
    response.raw.release_conn()
    return bytes(parts)


def _parsed(body: bytes) -> Any:
    """The JSON value, or None: too deep, too long a number and ``NaN`` count as no JSON."""
    try:
        return jsonlib.loads(body, parse_constant=_refuse)
    except (ValueError, RecursionError):
        return None


def _refuse(name: str) -> None:
    raise ValueError(f"{name} is no JSON")


def _cause(problem: Exception) -> str:
    """A word for the evidence; the library's own text would repeat the address with its query."""
    for kind, words in (
        (requests.exceptions.SSLError, "no trusted TLS connection"),
        (requests.exceptions.ConnectTimeout, "no connection in time"),
        (requests.exceptions.Timeout, "no answer in time"),
        (requests.exceptions.ConnectionError, "connection failed"),
    ):
        if isinstance(problem, kind):
            return words
    return "answer cut off or malformed"
