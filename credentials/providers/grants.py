"""What a token endpoint answers, and the one way to read it."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, replace

from credentials.crypto.secret import Secret
from credentials.errors import ProviderAnswerUnexpected, ProviderUnreachable, TokenRejected
from credentials.providers.reading import lifetime, scopes, text
from credentials.providers.tokens import clean

# The only errors that say something about the grant itself (RFC 6749 section 5.2; GitHub's own names).
# All others concern our request, our client registration or the provider's health: they must never
# make a stored credential look revoked.
_GRANT_REFUSED = frozenset({"invalid_grant", "bad_refresh_token", "bad_verification_code"})
# What a token endpoint says of our client, as evidence: the operator's to mend, never the person's.
CLIENT_REFUSED = frozenset(
    f"oauth: {code}" for code in ("invalid_client", "unauthorized_client", "incorrect_client_credentials")
)
_OUT_OF_ORDER = frozenset({"server_error", "temporarily_unavailable", "slow_down"})


@dataclass(frozen=True, kw_only=True, slots=True)
class OAuthGrant:
    """A token endpoint's success. Lifetimes are seconds; None where the provider does not say."""

    access: Secret
    refresh: Secret | None
    scopes: tuple[str, ...] | None
    expires_in: int | None
    refresh_expires_in: int | None

    def with_refresh(self, refresh: Secret) -> OAuthGrant:
        """The same grant with the refresh token that stays good beside it."""
        return replace(self, refresh=refresh)


def read_grant(answer: object) -> OAuthGrant:
    """Read a token endpoint's JSON, whatever its status was: GitHub reports errors with 200.

    Scopes come separated by commas (GitHub) or blanks, as ``scope`` or ``scopes`` (Bitbucket before
    2026-05-04). Raises TokenRejected where the code or the refresh token was refused,
    ProviderUnreachable where the provider is out of order, ProviderAnswerUnexpected for everything else;
    ``evidence`` then names the error code, such as ``invalid_client``, which is the operator's to mend.
    """
    if not isinstance(answer, Mapping):
        raise ProviderAnswerUnexpected("the token endpoint sent no object", evidence="oauth: no object")
    _raise_for_error(answer)
    access = _token(answer.get("access_token"))
    if access is None or text(answer, "token_type").lower() not in {"", "bearer"}:
        raise ProviderAnswerUnexpected("the token endpoint sent no usable token", evidence="oauth: no token")
    granted = answer.get("scope")
    if granted is None:
        granted = answer.get("scopes")
    return OAuthGrant(
        access=access,
        refresh=_token(answer.get("refresh_token")),
        scopes=scopes(granted),
        expires_in=lifetime(answer.get("expires_in")),
        refresh_expires_in=lifetime(answer.get("refresh_token_expires_in")),
    )


def _raise_for_error(answer: Mapping[str, object]) -> None:
    error = answer.get("error")
    if error is None:
        return
    code = error if isinstance(error, str) and re.fullmatch(r"[a-z_]{1,40}", error) else "unreadable"
    evidence = f"oauth: {code}"
    if code in _GRANT_REFUSED:
        raise TokenRejected("the provider refused the grant", evidence=evidence)
    if code in _OUT_OF_ORDER:
        raise ProviderUnreachable("the token endpoint is out of order", evidence=evidence)
    raise ProviderAnswerUnexpected("the token endpoint refused the request", evidence=evidence)


def _token(value: object) -> Secret | None:
    """A Secret of a plausible token. Its characters go into headers and Git's line protocol."""
    if isinstance(value, str) and value and clean(value) == value:
        return Secret(value)
    return None
