"""Makes text of a foreign program harmless: no secret, no user name in an address, no control characters."""

from __future__ import annotations

import base64
import re
from typing import Final
from urllib.parse import quote, quote_plus

REMOVED: Final = "****"

_USER_IN_ADDRESS = re.compile(r"://[^\s/@]*@")


def harmless(raw: bytes, *, username: str = "", secret: str = "") -> str:
    """``raw`` as text of lines: everything else that steers a terminal is gone (CVE-2024-52005), and so is
    the secret, plain, in base64 (alone, after its user name, or anywhere inside) and as part of an address.
    """
    text = raw.decode("utf-8", "replace")
    # First, or a secret with a control character in its middle would come together afterwards.
    text = "".join(character for character in text if character == "\n" or character.isprintable())
    if secret:
        text = _forms(username, secret).sub(REMOVED, text)
    return _USER_IN_ADDRESS.sub(f"://{REMOVED}@", text)


def _forms(username: str, secret: str) -> re.Pattern[str]:
    """Every spelling of a secret, the longest first."""
    plain = secret.encode()
    forms = {secret, quote(secret, safe=""), quote_plus(secret), plain.hex()}
    forms |= {_base64(f"{username}:{secret}".encode(), 0)}
    forms |= {_base64(plain, offset) for offset in range(3)}
    forms |= {form.replace("+", "-").replace("/", "_") for form in forms}
    found = sorted((form for form in forms if form), key=len, reverse=True)
    return re.compile("|".join(re.escape(form) for form in found), re.IGNORECASE)


def _base64(data: bytes, offset: int) -> str:
    """What is the same in base64 whatever stands before, at one of three places in a group, and after.

    RFC 4648 section 4: four characters for three bytes.
    """
    encoded = base64.b64encode(bytes(offset) + data).decode("ascii").rstrip("=")
    begin = -(-offset * 4 // 3)
    whole = (offset + len(data)) // 3 * 4
    return encoded[begin : max(whole, begin)]
