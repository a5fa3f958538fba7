"""How a secret travels in a request: small types that open it only while the header is written."""

from __future__ import annotations

import base64
from dataclasses import dataclass

from credentials.crypto.secret import Secret


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
