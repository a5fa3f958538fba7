"""Tokens: the record the sandbox keeps (never the token itself) and the shapes the originals give them."""

from __future__ import annotations

import base64
import hashlib
import json
import secrets
import zlib
from dataclasses import dataclass

BASE36 = "0123456789abcdefghijklmnopqrstuvwxyz"
BASE62 = "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"


@dataclass(frozen=True, kw_only=True, slots=True)
class Token:
    """One access token and, where there is one, the refresh token issued with it; only digests are kept.

    `family` joins the tokens of one authorization, `resource` is the one owner or `owner/repository` that
    the token is limited to, `sso` lists organizations whose single sign-on the token is authorized for.
    Times are seconds since the epoch.
    """

    id: str
    kind: str
    account: str
    scopes: tuple[str, ...]
    digest: str
    created_at: float
    expires_at: float | None = None
    revoked_at: float | None = None
    client_id: str | None = None
    family: str | None = None
    refresh_digest: str | None = None
    refresh_expires_at: float | None = None
    refresh_spent: bool = False
    resource: str | None = None
    pending: bool = False
    sso: tuple[str, ...] = ()

    def is_expired(self, now: float) -> bool:
        return self.expires_at is not None and now >= self.expires_at

    def is_revoked(self, now: float) -> bool:
        return self.revoked_at is not None and now >= self.revoked_at

    def is_live(self, now: float) -> bool:
        return not self.is_revoked(now) and not self.is_expired(now)

    def can_refresh(self, now: float) -> bool:
        if self.refresh_digest is None or self.refresh_spent or self.is_revoked(now):
            return False
        return self.refresh_expires_at is None or now < self.refresh_expires_at


def digest(secret: str) -> str:
    return hashlib.sha256(secret.encode()).hexdigest()


def _written(number: int, alphabet: str, width: int) -> str:
    text = ""
    while number:
        number, rest = divmod(number, len(alphabet))
        text = alphabet[rest] + text
    return text.rjust(width, "0")


def _letters(length: int, alphabet: str = BASE62) -> str:
    return "".join(secrets.choice(alphabet) for _ in range(length))


def _base64url(raw: bytes) -> str:
    return base64.urlsafe_b64encode(raw).decode().rstrip("=")


def github(prefix: str) -> str:
    """`ghp_`, `gho_`, `ghu_` or `ghr_`: 30 letters, then their CRC-32 in base 62, six letters wide."""
    body = _letters(30)
    return f"{prefix}_{body}{_written(zlib.crc32(body.encode()), BASE62, 6)}"


def github_fine_grained() -> str:
    return f"github_pat_{_letters(22)}_{_letters(59)}"


def gitlab_routable(user_id: int) -> str:
    """`glpat-<payload>.01.<length><CRC>`: the CRC covers everything before it, the prefix included."""
    lines = f"c:1\no:1\nu:{_written(user_id, BASE36, 1)}".encode()
    payload = _base64url(secrets.token_bytes(16) + lines + bytes([len(lines)]))
    start = f"glpat-{payload}.01.{_written(len(payload), BASE36, 2)}"
    return start + _written(zlib.crc32(start.encode()), BASE36, 7)


def atlassian(prefix: str) -> str:
    """`ATATT3…` or `ATCTT3…`, ended by `=` and the CRC-32 of all before in upper-case hexadecimal."""
    start = f"{prefix}xFfGF0{_letters(171, BASE62 + '-_')}="
    return f"{start}{zlib.crc32(start.encode()):08X}"


def bitbucket_app_password() -> str:
    return f"ATBB{_letters(32)}"


def bitbucket_server() -> str:
    """`BBDC-` and 44 letters: twelve digits, a colon and random bytes in base 64."""
    number = f"{secrets.randbelow(10**12):012d}:".encode()
    return f"BBDC-{base64.b64encode(number + secrets.token_bytes(20)).decode()}"


def azure() -> str:
    """84 letters, with a mark near the end."""
    return f"{_letters(76)}AZDO{_letters(4)}"


def opaque(length: int = 64) -> str:
    """`length` hexadecimal digits, as GitLab and Gitea write them."""
    return secrets.token_hex(length // 2)


def web_token(claims: dict[str, int]) -> str:
    """The outside of a signed JSON Web Token; nothing here ever verifies the signature."""
    header = _base64url(json.dumps({"alg": "RS256", "typ": "JWT"}).encode())
    body = _base64url(json.dumps(claims | {"jti": secrets.randbits(62)}).encode())
    return f"{header}.{body}.{_base64url(secrets.token_bytes(256))}"
