"""Counts what the toolkit does, without having a say in it."""

from __future__ import annotations

import threading
from collections import Counter
from typing import Any

from django.utils import timezone
from oauth2_provider.models import AccessToken, RefreshToken
from oauth2_provider.oauth2_validators import OAuth2Validator


class Tally:
    """Calls of the token endpoint, refreshes, refusals, and uses of a spent refresh token since the start."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._counts: Counter[str] = Counter()

    def add(self, name: str) -> None:
        with self._lock:
            self._counts[name] += 1

    def facts(self) -> dict[str, int]:
        with self._lock:
            names = ("token_calls", "exchanges", "refreshes", "refusals", "reuses", "revocations")
            return {name: self._counts[name] for name in names}

    def clear(self) -> None:
        with self._lock:
            self._counts.clear()


TALLY = Tally()


class CountingValidator(OAuth2Validator):  # type: ignore[misc]  # the toolkit has no types
    """The toolkit's own validator."""

    def validate_refresh_token(
        self, refresh_token: str, client: Any, request: Any, *args: Any, **kwargs: Any
    ) -> bool:
        good = bool(super().validate_refresh_token(refresh_token, client, request, *args, **kwargs))
        if not good and RefreshToken.objects.filter(token=refresh_token, revoked__isnull=False).exists():
            TALLY.add("reuses")
        return good


def grants_by_account() -> dict[str, int]:
    """For each account the authorizations that still live: by a refresh token or by an access token."""
    families: dict[str, set[str]] = {}
    for name, family in RefreshToken.objects.filter(revoked__isnull=True).values_list(
        "user__username", "token_family"
    ):
        families.setdefault(name, set()).add(str(family))
    # An access token whose refresh token is gone would be one that nobody revoked.
    orphans = AccessToken.objects.filter(expires__gt=timezone.now(), refresh_token__isnull=True)
    for name, pk in orphans.values_list("user__username", "pk"):
        families.setdefault(name, set()).add(f"access {pk}")
    return {name: len(found) for name, found in families.items()}
