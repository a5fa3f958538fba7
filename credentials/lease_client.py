"""Borrows a credential over Forgekey's HTTP API, on a machine that runs builds and not Forgekey.

Needs neither Django nor a database. The environment says where Forgekey is and as whom to ask:
``FORGEKEY_URL``, ``FORGEKEY_KEY_FILE`` (or ``FORGEKEY_KEY``), ``FORGEKEY_USER``, ``FORGEKEY_PURPOSE`` and,
for a private certificate authority, ``FORGEKEY_CA_FILE``.
"""

from __future__ import annotations

import ipaddress
import json
import os
import re
import stat
import uuid
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from http import HTTPStatus

import requests

from credentials.errors import (
    ConfigurationError,
    ForgekeyError,
    InputInvalid,
    KeySourceUnsafe,
    NotAuthenticated,
    RequestError,
)

BODY_LIMIT = 256 * 1024
KEY_FILE_LIMIT = 4096
TEXT_LIMIT = 400
# Seconds to connect, and to wait for more: lending may have to renew a token at the Git host first.
TIMEOUT = (5.0, 40.0)

AUTHORITY = re.compile(r"(?:\[([0-9A-Fa-f:.]+)\]|([A-Za-z0-9][A-Za-z0-9._-]*))(?::([0-9]{1,5}))?")
WEB_ADDRESS = re.compile(r"(https?)://([^/?#]+)(/[!-~]*)?")
KEY = re.compile(r"fk_[A-Za-z0-9_-]{20,500}")
DEFAULT_PORTS = {"https": 443, "http": 80}


@dataclass(frozen=True, kw_only=True, slots=True)
class Origin:
    """Scheme, host and port, normalized: what two addresses must share to get the same secret."""

    scheme: str
    host: str
    port: int

    @property
    def authority(self) -> str:
        host = f"[{self.host}]" if ":" in self.host else self.host
        return host if self.port == DEFAULT_PORTS[self.scheme] else f"{host}:{self.port}"

    @property
    def url(self) -> str:
        return f"{self.scheme}://{self.authority}"

    @property
    def is_loopback(self) -> bool:
        if self.host == "localhost":
            return True
        try:
            return ipaddress.ip_address(self.host).is_loopback
        except ValueError:
            return False


@dataclass(frozen=True, kw_only=True, slots=True)
class Settings:
    """Where Forgekey is and as whom to ask; ``ca_file`` is empty for the public authorities."""

    url: str
    key: str = field(repr=False)
    user: str
    purpose: str
    ca_file: str


@dataclass(frozen=True, kw_only=True, slots=True)
class Answer:
    """What was lent, for which origin, and until when (seconds since the epoch)."""

    lease_id: str
    origin: Origin
    username: str
    password: str = field(repr=False)
    ends: int


def read_origin(scheme: str, authority: str) -> Origin:
    """Normalize ``authority`` (``host`` or ``host:port``); :class:`InputInvalid` unless it is exactly that.

    Plain http is refused everywhere but on loopback, where the secret does not reach a network.
    """
    match = AUTHORITY.fullmatch(authority)
    if scheme not in DEFAULT_PORTS or match is None:
        raise InputInvalid("Only https addresses with a plain host name are answered.", field="host")
    six, name, port = match.groups()
    try:
        host = str(ipaddress.IPv6Address(six)) if six else name.lower()
    except ValueError:
        raise InputInvalid("This is not a host name.", field="host") from None
    origin = Origin(scheme=scheme, host=host, port=int(port or DEFAULT_PORTS[scheme]))
    if not 0 < origin.port < 2**16:
        raise InputInvalid("This is not a port.", field="host")
    if scheme == "http" and not origin.is_loopback:
        raise InputInvalid("Credentials are not sent over plain http; use https.", field="protocol")
    return origin


def read_address(address: str) -> tuple[Origin, str]:
    """Split a web address into origin and path; a user name, a query or a blank is refused."""
    match = WEB_ADDRESS.fullmatch(address)
    if match is None:
        raise InputInvalid("This is not a web address.", field="url")
    return read_origin(match[1], match[2]), match[3] or ""


def read_key_file(path: str) -> str:
    """Read the service key; :class:`KeySourceUnsafe` if somebody else could read or replace it.

    The checks look at the open descriptor, so that the file cannot be exchanged between check and read.
    """
    try:
        # O_NONBLOCK: a named pipe in the file's place must not hang the build.
        descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC | os.O_NONBLOCK)
    except (OSError, ValueError):
        raise ConfigurationError("The file FORGEKEY_KEY_FILE names cannot be opened.") from None
    try:
        facts = os.fstat(descriptor)
        if not stat.S_ISREG(facts.st_mode) or facts.st_uid not in (0, os.geteuid()):
            raise KeySourceUnsafe("FORGEKEY_KEY_FILE must be a regular file that belongs to you or to root.")
        if stat.S_IMODE(facts.st_mode) & 0o077:
            raise KeySourceUnsafe("The file FORGEKEY_KEY_FILE names is open to others; give it mode 0600.")
        return os.read(descriptor, KEY_FILE_LIMIT).decode("ascii", "replace").strip()
    finally:
        os.close(descriptor)


def read_settings(environ: Mapping[str, str]) -> Settings:
    """Read the environment; :class:`ConfigurationError` says which name is missing or wrong."""
    for name in ("FORGEKEY_URL", "FORGEKEY_USER"):
        if not environ.get(name, "").strip():
            raise ConfigurationError(f"{name} is not set.")
    try:
        origin, path = read_address(environ["FORGEKEY_URL"].strip())
    except InputInvalid:
        raise ConfigurationError("FORGEKEY_URL must be an https address (http on loopback only).") from None
    file = environ.get("FORGEKEY_KEY_FILE", "")
    key = read_key_file(file) if file else environ.get("FORGEKEY_KEY", "").strip()
    # Also keeps a wrong file, a private SSH key perhaps, from being sent anywhere.
    if not KEY.fullmatch(key):
        raise ConfigurationError("FORGEKEY_KEY_FILE (or FORGEKEY_KEY) holds no Forgekey service key.")
    ca_file = environ.get("FORGEKEY_CA_FILE", "")
    if ca_file and not os.path.isfile(ca_file):
        raise ConfigurationError("The file FORGEKEY_CA_FILE names does not exist.")
    return Settings(
        url=origin.url + path.rstrip("/"),
        key=key,
        user=environ["FORGEKEY_USER"].strip(),
        purpose=environ.get("FORGEKEY_PURPOSE", "").strip() or "git",
        ca_file=ca_file,
    )


class LeaseClient:
    """The two calls of the API that a borrower needs (contract of ``/api/v1/leases/``)."""

    def __init__(self, settings: Settings, session: requests.Session) -> None:
        self.settings = settings
        self.session = session
        # Otherwise a proxy or a .netrc named by the environment would see the key or replace it.
        session.trust_env = False
        session.verify = settings.ca_file or True

    def lend(self, repository_url: str) -> Answer:
        """Borrow a credential for ``repository_url``; a :class:`ForgekeyError` says in plain words why not.

        The caller compares the answer's origin with the one it asked about.
        """
        wanted = {
            "user": self.settings.user,
            "repository_url": repository_url,
            "purpose": self.settings.purpose,
        }
        return read_answer(self._post("leases/", wanted, HTTPStatus.CREATED))

    def report(self, lease_id: str, outcome: str) -> None:
        """Say whether the host ``accepted`` or ``rejected`` what was lent under ``lease_id``."""
        self._post(f"leases/{lease_id}/report/", {"outcome": outcome}, None)

    def _post(self, path: str, body: Mapping[str, str], expected: int | None) -> Mapping[str, object]:
        """The answer's JSON object, if its status is ``expected`` (``None``: any success)."""
        try:
            with self.session.post(
                f"{self.settings.url}/api/v1/{path}",
                json=body,
                headers={
                    "Authorization": f"Bearer {self.settings.key}",
                    "Accept": "application/json, application/problem+json",
                    "Accept-Encoding": "identity",
                    "User-Agent": "git-credential-forgekey",
                },
                allow_redirects=False,
                timeout=TIMEOUT,
                stream=True,
            ) as response:
                answer = _json_object(response)
        except requests.exceptions.SSLError:
            # "from None" here and below: these exceptions carry the request, and the request the key.
            raise RequestError("FORGEKEY_URL offers no TLS connection that can be trusted.") from None
        except (requests.RequestException, OSError, ValueError):
            raise RequestError("Forgekey cannot be reached at FORGEKEY_URL.") from None
        status = response.status_code
        if status != expected if expected else not HTTPStatus.OK <= status < HTTPStatus.MULTIPLE_CHOICES:
            raise refusal(response, answer)
        return answer


def _json_object(response: requests.Response) -> Mapping[str, object]:
    """The body as a JSON object, empty if it is none; nothing is read beyond BODY_LIMIT bytes."""
    body = bytearray()
    for piece in response.iter_content(8192):
        body += piece
        if len(body) > BODY_LIMIT:
            raise RequestError("The answer is too long to be Forgekey's; is FORGEKEY_URL right?")
    try:
        answer = json.loads(bytes(body))
    except (ValueError, RecursionError):
        return {}
    return answer if isinstance(answer, dict) else {}


def read_answer(body: Mapping[str, object]) -> Answer:
    """Read a lease with its secret; :class:`RequestError` if it is not what the API promises."""
    try:
        ends = _epoch(body["lease_expires_at"])
        if body.get("expires_at") is not None:
            ends = min(ends, _epoch(body["expires_at"]))
        return Answer(
            lease_id=str(uuid.UUID(_text(body, "id"))),
            origin=read_address(_text(body, "repository_url"))[0],
            username=_text(body, "username"),
            password=_text(body, "password"),
            ends=ends,
        )
    except (KeyError, TypeError, ValueError, OverflowError, InputInvalid):
        raise RequestError("The answer is not a lease; is FORGEKEY_URL right?") from None


def _text(body: Mapping[str, object], name: str) -> str:
    value = body[name]
    if not isinstance(value, str):
        raise TypeError(name)
    value.encode()  # a lone surrogate could not be written to anybody
    return value


def _epoch(value: object) -> int:
    moment = datetime.fromisoformat(str(value))
    if moment.tzinfo is None:
        raise ValueError("no time zone")
    return int(moment.timestamp())


def refusal(response: requests.Response, problem: Mapping[str, object]) -> ForgekeyError:
    """Put an answer that lends nothing into words, the verdict's own if it carries one (RFC 9457 body)."""
    status = response.status_code
    if isinstance(problem.get("verdict"), dict):
        return RequestError(_verdict_words(problem["verdict"]) or "No credential can be lent.")
    if HTTPStatus.MULTIPLE_CHOICES <= status < HTTPStatus.BAD_REQUEST:
        return RequestError("FORGEKEY_URL answers with a redirect, which is not followed; set the final one.")
    if status == HTTPStatus.UNAUTHORIZED:
        return NotAuthenticated("Forgekey does not accept this service key; it may have expired.")
    if status == HTTPStatus.TOO_MANY_REQUESTS or status >= HTTPStatus.INTERNAL_SERVER_ERROR:
        wait = response.headers.get("Retry-After", "")
        again = f"in {wait} seconds" if re.fullmatch("[0-9]{1,6}", wait) else "later"
        return RequestError(f"Forgekey has no answer now (status {status}); try again {again}.")
    reason = plain(problem.get("detail") or problem.get("title")) or "Is FORGEKEY_URL right?"
    return RequestError(f"Forgekey refused the request (status {status}). {reason}")


def _verdict_words(verdict: object) -> str:
    """The verdict's summary and, on a line of its own, the first thing to do."""
    facts = verdict if isinstance(verdict, dict) else {}
    steps = facts.get("steps")
    step = steps[0] if isinstance(steps, list) and steps and isinstance(steps[0], dict) else {}
    lines = (plain(facts.get("summary")), plain(f"{step.get('text') or ''} {step.get('url') or ''}"))
    return "\n".join(line for line in lines if line)


def plain(text: object) -> str:
    """``text`` fit for a terminal: one line of printable characters, at most TEXT_LIMIT of them.

    A terminal obeys escape sequences in what a server says (CVE-2024-52005).
    """
    shown = "".join(character if character.isprintable() else " " for character in str(text or ""))
    return " ".join(shown.split())[:TEXT_LIMIT]
