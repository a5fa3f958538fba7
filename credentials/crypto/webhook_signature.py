"""Signs webhook messages, and makes the secrets they are signed with.

Source: the Standard Webhooks specification, https://github.com/standard-webhooks/standard-webhooks/blob/main/spec/standard-webhooks.md
(sections "Signature scheme" and "Secret").
"""

from __future__ import annotations

import base64
import secrets

from credentials.crypto.primitives import hmac_sha256
from credentials.crypto.secret import Secret

_PREFIX = "whsec_"
# The specification asks for 24 to 64 random bytes; a key as long as the digest is all HMAC-SHA256 can use
# (RFC 2104 section 3).
_LENGTH = 32


def new_secret() -> Secret:
    """A new random signing secret, ``whsec_`` and base64, as its receiver keeps it."""
    return Secret(_PREFIX + base64.b64encode(secrets.token_bytes(_LENGTH)).decode("ascii"))


def sign(secret: Secret, *, message_id: str, timestamp: int, body: bytes) -> str:
    """The signature of one attempt to deliver exactly these bytes: ``v1,`` and base64."""
    key = base64.b64decode(secret.reveal().removeprefix(_PREFIX))
    digest = hmac_sha256(key, b".".join((message_id.encode(), str(timestamp).encode(), body)))
    return f"v1,{base64.b64encode(digest).decode('ascii')}"
