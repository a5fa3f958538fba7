"""Who asks, from where, under which request id: what every audit event wants to know of a request."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from credentials.conf import conf
from credentials.services.audit import Actor


def address_of(meta: Mapping[str, Any]) -> str:
    """The caller's network address out of a WSGI environment.

    Behind ``conf.trusted_proxy_count`` proxies it is that many places from the right of
    ``X-Forwarded-For``: everything further left was written by the caller.
    """
    trusted = conf.trusted_proxy_count
    remote = str(meta.get("REMOTE_ADDR", ""))
    if not trusted:
        return remote[:45]
    said = [part.strip() for part in str(meta.get("HTTP_X_FORWARDED_FOR", "")).split(",") if part.strip()]
    return (said[-trusted] if len(said) >= trusted else remote)[:45]


def request_id_of(meta: Mapping[str, Any]) -> str:
    """The id the request goes by, in logs and in the trail."""
    return str(meta.get("forgekey.request_id", ""))


def actor_of_user(meta: Mapping[str, Any], user: Any) -> Actor:
    """A signed-in person as the one who acts."""
    return Actor.user(user, request_id=request_id_of(meta), address=address_of(meta))
