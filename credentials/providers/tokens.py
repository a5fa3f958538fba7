"""What kind of token a text is, told from its shape alone, without asking anybody.

One table knows every prefix and shape. It only ever *warns*: providers change their formats, and a
self-managed GitLab chooses its own prefix, so a shape nobody knows is accepted and left to the provider.
"""

from __future__ import annotations

import re
import zlib
from collections.abc import Callable
from dataclasses import dataclass
from enum import StrEnum

from django.utils.translation import gettext_lazy as _

from credentials.verdicts import Text

MAXIMUM_LENGTH = 4096
"""Characters. The longest known shape, a stateless GitHub installation token, has about 520."""

_DIGITS = "0123456789"
_LOWER = "abcdefghijklmnopqrstuvwxyz"
_BASE36 = _DIGITS + _LOWER
_BASE62 = _DIGITS + _LOWER.upper() + _LOWER


class Kind(StrEnum):
    """What kind of secret a credential holds; the values are stored and shown to API callers."""

    OAUTH = "oauth"
    PERSONAL_TOKEN = "personal_token"  # noqa: S105  # a kind, not a password
    FINE_GRAINED_TOKEN = "fine_grained_token"  # noqa: S105  # a kind, not a password
    APP_TOKEN = "app_token"  # noqa: S105  # a kind, not a password
    ACCESS_TOKEN = "access_token"  # noqa: S105  # a kind, not a password
    API_TOKEN = "api_token"  # noqa: S105  # a kind, not a password

    @property
    def title(self) -> Text:  # type: ignore[override]  # str.title is of no use for the value of a state
        """What people call it, where a provider has no name of its own for it."""
        return _KIND_TITLES[self]


_KIND_TITLES: dict[Kind, Text] = {
    Kind.OAUTH: _("OAuth authorization"),
    Kind.PERSONAL_TOKEN: _("personal access token"),
    Kind.FINE_GRAINED_TOKEN: _("fine-grained personal access token"),
    Kind.APP_TOKEN: _("app user token"),
    Kind.ACCESS_TOKEN: _("project, group or workspace access token"),
    Kind.API_TOKEN: _("API token"),
}


@dataclass(frozen=True, kw_only=True, slots=True)
class Recognition:
    """What a shape says.

    ``provider`` is None where several providers share the shape. ``kind`` is None where the shape is
    unknown, or names something that can never be a credential. ``usable`` is False for things that do
    not let anyone read a repository for a person, ``retired`` for kinds the provider has switched off.
    ``checksum_ok`` and ``complete`` are None where no rule applies; False is a hint, not a proof.
    """

    provider: str | None
    kind: Kind | None
    title: Text
    usable: bool = True
    retired: bool = False
    checksum_ok: bool | None = None
    complete: bool | None = None

    @property
    def is_known_token(self) -> bool:
        """True where the shape belongs to one provider, or to a key of this product: no name looks so."""
        return self.provider is not None or (self.kind is None and not self.usable and bool(self.complete))

    @property
    def looks_mistyped(self) -> bool:
        """True where a character seems to be missing, added or changed."""
        return self.checksum_ok is False or self.complete is False


@dataclass(frozen=True, kw_only=True, slots=True)
class Shape:
    """One row of the table: a text belongs to it by its beginning, or as a whole where it has none.

    ``whole`` is what a complete one looks like; None where lengths vary or sources are silent.
    """

    title: Text
    prefix: str = ""
    whole: re.Pattern[str] | None = None
    provider: str | None = None
    kind: Kind | None = None
    usable: bool = True
    retired: bool = False
    checksum: Callable[[str], bool | None] | None = None

    def covers(self, text: str) -> bool:
        if self.prefix:
            return text.startswith(self.prefix)
        return self.whole is not None and self.whole.fullmatch(text) is not None

    def recognize(self, text: str) -> Recognition:
        return Recognition(
            provider=self.provider,
            kind=self.kind,
            title=self.title,
            usable=self.usable,
            retired=self.retired,
            checksum_ok=self.checksum(text) if self.checksum else None,
            complete=self.whole.fullmatch(text) is not None if self.whole else None,
        )


def _digits(number: int, alphabet: str, width: int) -> str:
    text = ""
    while number:
        number, remainder = divmod(number, len(alphabet))
        text = alphabet[remainder] + text
    return text.rjust(width, "0")


def github_checksum(text: str) -> bool | None:
    """Check the CRC-32 in the last six characters of a classic 40-character GitHub token.

    None where the rule does not apply: fine-grained and stateless tokens, and any future length.
    Source: GitHub's note on its token formats of 2021-04-05.
    """
    if not re.fullmatch(r"gh[pousr]_[0-9A-Za-z]{36}", text):
        return None
    return _digits(zlib.crc32(text[4:34].encode("ascii")), _BASE62, 6) == text[34:]


def gitlab_checksum(text: str, prefix: str = "glpat-") -> bool | None:
    """Check length and CRC-32 at the end of a routable GitLab token; None for the older shape.

    Source: GitLab's routable token generator; the CRC covers everything before it, prefix included.
    """
    match = re.fullmatch(r"([\w-]+)\.[0-9a-z]{2}\.([0-9a-z]{2})([0-9a-z]{7})", text, re.ASCII)
    if not match:
        return None
    body, length, checksum = match.groups()
    return (
        _digits(len(body) - len(prefix), _BASE36, 2) == length
        and _digits(zlib.crc32(text[:-7].encode("ascii")), _BASE36, 7) == checksum
    )


def atlassian_checksum(text: str) -> bool | None:
    """Check the CRC-32 that ends an Atlassian API token. Seen, never documented: the softest hint."""
    match = re.fullmatch(r"(ATATT3[\w-]+=)([0-9A-F]{8})", text, re.ASCII)
    if not match:
        return None
    return f"{zlib.crc32(match[1].encode('ascii')):08X}" == match[2]


def _wrong(provider: str | None, prefix: str, title: Text) -> Shape:
    """Something people paste that is no token of theirs for reading repositories."""
    return Shape(provider=provider, prefix=prefix, title=title, usable=False)


def _whole(pattern: str) -> re.Pattern[str]:
    return re.compile(pattern, re.ASCII)


SHAPES: tuple[Shape, ...] = (
    Shape(
        provider="github",
        prefix="ghp_",
        kind=Kind.PERSONAL_TOKEN,
        title=_("GitHub personal access token (classic)"),
        whole=_whole(r"ghp_[0-9A-Za-z]{36}"),
        checksum=github_checksum,
    ),
    Shape(
        provider="github",
        prefix="github_pat_",
        kind=Kind.FINE_GRAINED_TOKEN,
        title=_("GitHub fine-grained personal access token"),
        whole=_whole(r"github_pat_\w{82}"),
    ),
    Shape(
        provider="github",
        prefix="gho_",
        kind=Kind.OAUTH,
        title=_("GitHub OAuth access token"),
        whole=_whole(r"gho_[0-9A-Za-z]{36}"),
        checksum=github_checksum,
    ),
    Shape(
        provider="github",
        prefix="ghu_",
        kind=Kind.APP_TOKEN,
        title=_("GitHub App user access token"),
        checksum=github_checksum,
    ),
    _wrong("github", "ghs_", _("GitHub App installation token")),
    _wrong("github", "ghr_", _("GitHub refresh token")),
    Shape(
        provider="gitlab",
        prefix="glpat-",
        kind=Kind.PERSONAL_TOKEN,
        title=_("GitLab access token"),
        # The last form, with a single dot, is an older routable one whose checksum no source explains.
        whole=_whole(r"glpat-(?:[\w-]{20}|[\w-]{22,}\.[0-9a-z]{2}\.[0-9a-z]{9}|[\w-]{22,}\.[0-9a-z]{9,12})"),
        checksum=gitlab_checksum,
    ),
    _wrong("gitlab", "gloas-", _("GitLab OAuth application secret")),
    _wrong("gitlab", "gldt-", _("GitLab deploy token")),
    _wrong("gitlab", "glrt-", _("GitLab runner authentication token")),
    _wrong("gitlab", "glrtr-", _("GitLab runner registration token")),
    _wrong("gitlab", "glcbt-", _("GitLab CI/CD job token")),
    _wrong("gitlab", "glptt-", _("GitLab pipeline trigger token")),
    _wrong("gitlab", "glft-", _("GitLab feed token")),
    _wrong("gitlab", "glimt-", _("GitLab incoming mail token")),
    _wrong("gitlab", "glagent-", _("GitLab agent for Kubernetes token")),
    _wrong("gitlab", "glwt-", _("GitLab workspace token")),
    _wrong("gitlab", "glsoat-", _("GitLab SCIM token")),
    _wrong("gitlab", "glffct-", _("GitLab feature flags client token")),
    Shape(
        provider="bitbucket",
        prefix="ATATT3",
        kind=Kind.API_TOKEN,
        title=_("Atlassian API token"),
        checksum=atlassian_checksum,
    ),
    Shape(
        provider="bitbucket",
        prefix="ATCTT3",
        kind=Kind.ACCESS_TOKEN,
        title=_("Bitbucket repository, project or workspace access token"),
    ),
    Shape(
        provider="bitbucket",
        prefix="ATBB",
        title=_("Bitbucket app password"),
        usable=False,
        retired=True,
    ),
    Shape(
        provider="bitbucket_server",
        prefix="BBDC-",
        kind=Kind.PERSONAL_TOKEN,
        title=_("Bitbucket Data Center HTTP access token"),
        whole=_whole(r"BBDC-[A-Za-z0-9+/@_-]{40,50}={0,2}"),
    ),
    Shape(
        provider="azure_devops",
        kind=Kind.PERSONAL_TOKEN,
        title=_("Azure DevOps personal access token"),
        whole=_whole(r"[A-Za-z0-9]{76}AZDO[A-Za-z0-9]{4}"),
    ),
    Shape(
        title=_("service key of this product"),
        whole=_whole(r"fk_[0-9A-Za-z]+_[0-9A-Za-z_-]{20,}"),
        usable=False,
    ),
    _wrong(None, "-----BEGIN", _("private key or certificate")),
    _wrong(None, "ssh-", _("SSH public key")),
    _wrong(None, "ecdsa-sha2-", _("SSH public key")),
    _wrong(None, "sk-ssh-", _("SSH public key")),
    _wrong(None, "https://", _("web address")),
    _wrong(None, "http://", _("web address")),
    # Without a prefix: several providers share these shapes, so the person's choice of host decides.
    Shape(
        kind=Kind.PERSONAL_TOKEN,
        title=_("access token of 40 hexadecimal digits"),
        whole=_whole(r"[0-9a-f]{40}"),
    ),
    Shape(
        kind=Kind.PERSONAL_TOKEN,
        title=_("access token of 52 small letters and digits"),  # Azure DevOps until 2024
        whole=_whole(r"[0-9a-z]{52}"),
    ),
    Shape(
        kind=Kind.OAUTH,
        title=_("OAuth access token of 64 hexadecimal digits"),
        whole=_whole(r"[0-9a-f]{64}"),
    ),
    Shape(
        kind=Kind.OAUTH,
        title=_("OAuth access token (JWT)"),
        whole=_whole(r"eyJ[\w-]+\.eyJ[\w-]+\.[\w-]+"),
    ),
)

UNKNOWN = Recognition(provider=None, kind=None, title=_("token of an unknown shape"))

_INVISIBLE = "\ufeff\u200b\u200c\u200d\u2060"


def clean(text: str) -> str | None:
    """Strip what copying adds around a token; None where the rest cannot be a token.

    None means: empty, longer than :data:`MAXIMUM_LENGTH` characters, or containing white space, control
    or non-ASCII characters inside. Header values and Git's credential protocol could carry none of them.
    """
    stripped = text.strip().strip(_INVISIBLE).strip()
    if not 0 < len(stripped) <= MAXIMUM_LENGTH:
        return None
    return stripped if all("!" <= character <= "~" for character in stripped) else None


def recognize(text: str) -> Recognition:
    """Tell what a pasted text is. Never refuses: an unknown shape is usable until a provider says no."""
    stripped = text.strip().strip(_INVISIBLE).strip()
    for shape in SHAPES:
        if shape.covers(stripped):
            return shape.recognize(stripped)
    return UNKNOWN
