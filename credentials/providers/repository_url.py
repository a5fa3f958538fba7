"""Repository addresses: read once, by one parser, into one canonical form.

Nobody ever uses the text a person typed. Requests, comparisons and Git get the canonical address that is
built here, so that two parsers can never disagree about where a credential goes.
"""

from __future__ import annotations

import ipaddress
import re
import string
from dataclasses import dataclass
from typing import Final
from urllib.parse import quote, unquote_to_bytes

from django.utils.translation import gettext_lazy as _

from credentials.errors import AddressInvalid
from credentials.providers.tokens import UNKNOWN, recognize

MAXIMUM_LENGTH: Final = 2048
"""Characters of an address as typed."""

_DEFAULT_PORTS = {"https": 443, "http": 80}
_LABEL = re.compile(r"[a-z0-9](?:[a-z0-9-]{0,61}[a-z0-9])?")
_NUMERIC_LABEL = re.compile(r"[0-9]+|0x[0-9a-f]*")
_SCP_LIKE = re.compile(
    r"(?P<user>[A-Za-z0-9._-]+)@(?P<host>\[[^\]]*\]|[^:/@\[\]]+):(?P<path>[^:].*)", re.DOTALL
)
_WITH_SCHEME = re.compile(r"(?P<scheme>[A-Za-z][A-Za-z0-9+.-]*)://(?P<rest>.*)", re.DOTALL)
_WITHOUT_SCHEME = re.compile(r"[A-Za-z0-9-]+(?:\.[A-Za-z0-9-]+)*\.[A-Za-z]{2,}/.*", re.DOTALL)

# SSH through the HTTPS port has names of its own; the web pages and HTTPS live elsewhere.
# https://docs.github.com/authentication/troubleshooting-ssh/using-ssh-over-the-https-port
# https://docs.gitlab.com/user/gitlab_com/#alternative-ssh-port
# https://support.atlassian.com/bitbucket-cloud/docs/configure-ssh-and-two-step-verification/
# https://learn.microsoft.com/azure/devops/repos/git/use-ssh-keys-to-authenticate
_SSH_NAMES = {
    "ssh.github.com": "github.com",
    "altssh.gitlab.com": "gitlab.com",
    "altssh.bitbucket.org": "bitbucket.org",
    "ssh.dev.azure.com": "dev.azure.com",
}

# Only A to Z: Unicode folding would make "K" (Kelvin sign) equal to "k", and "ß" to "ss".
_ASCII_LOWER = str.maketrans(string.ascii_uppercase, string.ascii_lowercase)

# Shorter ones are names that happen to begin like a token.
_SHORTEST_TOKEN = 20

_NO_NAMES = frozenset({"", ".", ".."})

_NOT_AN_ADDRESS = _("This is not the address of a repository. It begins with https://.")
_BAD_CHARACTER = _("The address contains a character that addresses do not have.")
_BAD_HOST = _("The name of the host is not valid. Write it as in the browser's address bar.")
_BAD_PATH = _("The path of the address is not valid.")
_NO_USER = _("Remove the user name or token from the address.")


@dataclass(frozen=True, kw_only=True, slots=True)
class RepositoryAddress:
    """A canonical address.

    ``hostname`` is in lower case and without brackets, ``port`` None where it is the scheme's own, and
    ``segments`` are decoded, in the case they were typed in, without ``.git``. There may be none: then
    the address names a host only.
    """

    scheme: str
    hostname: str
    port: int | None
    segments: tuple[str, ...]

    @property
    def origin(self) -> str:
        """``https://host[:port]``, without a slash at the end."""
        host = f"[{self.hostname}]" if ":" in self.hostname else self.hostname
        return f"{self.scheme}://{host}" + (f":{self.port}" if self.port else "")

    @property
    def path(self) -> str:
        """The path, percent-encoded, beginning with a slash; empty for a host only."""
        return "".join(f"/{quote(segment, safe='~@+:,')}" for segment in self.segments)

    @property
    def text(self) -> str:
        """The whole canonical address."""
        return f"{self.origin}{self.path}"

    def segments_start_with(self, prefix: tuple[str, ...]) -> bool:
        """Compare whole segments, ignoring the case of A to Z: ``acme`` never covers ``acme-evil``."""
        return folded(self.segments[: len(prefix)]) == folded(prefix)


def folded(segments: tuple[str, ...]) -> tuple[str, ...]:
    """The segments for comparison: A to Z in lower case, everything else as it is."""
    return tuple(segment.translate(_ASCII_LOWER) for segment in segments)


def parse(text: str) -> RepositoryAddress:
    """Read an address as people paste it: HTTPS, SSH, ``git@host:path``, or ``host.tld/path``.

    SSH forms become the HTTPS address of the same host. Query and fragment are dropped. Raises
    AddressInvalid with a text for people that never repeats any of the input.
    """
    stripped = text.strip(" \t\r\n")
    if len(stripped) > MAXIMUM_LENGTH:
        raise AddressInvalid(_("The address is too long."))
    if any(not character.isprintable() for character in stripped) or "\\" in stripped:
        raise AddressInvalid(_BAD_CHARACTER)
    if match := _WITH_SCHEME.fullmatch(stripped):
        return _with_scheme(match["scheme"].lower(), match["rest"])
    if match := _SCP_LIKE.fullmatch(stripped):
        return _from_ssh(match["user"], match["host"], match["path"].lstrip("/"))
    if _WITHOUT_SCHEME.fullmatch(stripped):
        return _with_scheme("https", stripped)
    raise AddressInvalid(_NOT_AN_ADDRESS)


def _with_scheme(scheme: str, rest: str) -> RepositoryAddress:
    rest = re.split(r"[?#]", rest, maxsplit=1)[0]
    authority, _slash, path = rest.partition("/")
    if scheme == "ssh":
        user, _at, place = authority.rpartition("@")
        host, _port = _host_and_port(place)
        return _from_ssh(user, host, path)
    if scheme not in _DEFAULT_PORTS:
        raise AddressInvalid(_("Only addresses that begin with https:// can be used."))
    if "@" in authority:
        raise AddressInvalid(_NO_USER)
    host, port = _host_and_port(authority)
    return RepositoryAddress(
        scheme=scheme,
        hostname=_hostname(host),
        port=None if port == _DEFAULT_PORTS[scheme] else port,
        segments=_segments(path),
    )


def _from_ssh(user: str, host: str, path: str) -> RepositoryAddress:
    """The port of an SSH address says nothing about HTTPS and is left out, and so is the user name.

    A name like ``git`` belongs to every SSH address; a password or a token does not.
    """
    if not re.fullmatch(r"[A-Za-z0-9._-]*", user) or recognize(user) is not UNKNOWN:
        raise AddressInvalid(_NO_USER)
    hostname = _hostname(host)
    segments = _segments(path)
    if not segments:
        raise AddressInvalid(_NOT_AN_ADDRESS)
    if hostname == "ssh.dev.azure.com":
        segments = _azure_segments(segments)
    return RepositoryAddress(
        scheme="https", hostname=_SSH_NAMES.get(hostname, hostname), port=None, segments=segments
    )


def _azure_segments(segments: tuple[str, ...]) -> tuple[str, ...]:
    """``v3/organization/project/repository`` by SSH is ``organization/project/_git/repository`` by HTTPS."""
    match segments:
        case ("v3", organization, project, repository):
            return organization, project, "_git", repository
        case _:
            return segments


def _host_and_port(authority: str) -> tuple[str, int | None]:
    match = re.fullmatch(r"(\[[^\[\]]*\]|[^:\[\]]*)(?::([0-9]{1,5}))?", authority, re.ASCII)
    if not match:
        raise AddressInvalid(_BAD_HOST)
    if match[2] is None:
        return match[1], None
    port = int(match[2])
    if not 0 < port < 1 << 16 or match[2].startswith("0"):
        raise AddressInvalid(_("The port in the address is not valid."))
    return match[1], port


def _hostname(host: str) -> str:
    """Letters, digits and hyphens, or an IP address in its one proper spelling.

    A name that ends in a number is read as an IPv4 address by resolvers, in octal, in hexadecimal and with
    parts left out (WHATWG URL, "ends in a number"); only four plain decimal parts are let through.
    """
    if host.startswith("["):
        try:
            return ipaddress.IPv6Address(_without_zone(host[1:-1])).compressed
        except ValueError:
            raise AddressInvalid(_BAD_HOST) from None
    name = host.translate(_ASCII_LOWER)
    labels = name.split(".")
    if len(name) > 253 or not all(_LABEL.fullmatch(label) for label in labels):  # noqa: PLR2004  # RFC 1035
        raise AddressInvalid(_BAD_HOST)
    if _NUMERIC_LABEL.fullmatch(labels[-1]):
        try:
            return str(ipaddress.IPv4Address(name))
        except ValueError:
            raise AddressInvalid(_BAD_HOST) from None
    return name


def _without_zone(address: str) -> str:
    if "%" in address:
        raise AddressInvalid(_BAD_HOST)
    return address


def _segments(path: str) -> tuple[str, ...]:
    trimmed = path.rstrip("/")
    if not trimmed:
        return ()
    segments = [_segment(part) for part in trimmed.split("/")]
    last = segments[-1]
    if last.lower().endswith(".git"):
        segments[-1] = last[: -len(".git")]
    if segments[-1] in _NO_NAMES:
        raise AddressInvalid(_BAD_PATH)
    return tuple(segments)


def _segment(part: str) -> str:
    """Decode one segment, once. What still looks encoded afterwards is an attempt to be decoded twice."""
    if re.search(r"%(?![0-9A-Fa-f]{2})", part):
        raise AddressInvalid(_BAD_PATH)
    try:
        segment = unquote_to_bytes(part).decode()
    except UnicodeDecodeError:
        raise AddressInvalid(_BAD_PATH) from None
    if not segment.isprintable() or set(segment) & set("/\\%?#"):
        raise AddressInvalid(_BAD_CHARACTER)
    if segment in _NO_NAMES or segment != segment.strip():
        raise AddressInvalid(_BAD_PATH)
    if len(segment) >= _SHORTEST_TOKEN and recognize(segment).is_known_token:
        raise AddressInvalid(_NO_USER)
    if segment.startswith("-") and segment != "-":  # GitLab's own separator is a lone hyphen
        raise AddressInvalid(_BAD_PATH)
    return segment
