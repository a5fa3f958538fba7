"""The calls of OAuth that carry the client secret: a code, or a refresh token, for a new pair."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime

from django.utils import timezone

from credentials.crypto.secret import Secret
from credentials.models import Host
from credentials.providers.grants import OAuthGrant
from credentials.providers.http import Basic
from credentials.services import audit, hosts, vault
from credentials.services.audit import Actor


def scopes_of(host: Host) -> tuple[str, ...]:
    """The scopes a person is asked for at this host: the host's own list, or the least that works."""
    return tuple(host.oauth_scopes) or hosts.provider_of(host).oauth().scopes


def open_client_secret(host: Host, *, actor: Actor, purpose: str) -> Secret:
    """The client secret of a host, after the event that says why; raises as the vault does."""
    return vault.open_client_secret(
        host,
        record=lambda: audit.record_durably(
            "host.client_secret_opened", actor=actor, subject=hosts.subject_of(host), purpose=purpose
        ),
    )


def exchange(
    *,
    actor: Actor,
    host: Host,
    code: Secret,
    code_verifier: Secret,
    redirect_uri: str,
    now: Callable[[], datetime] = timezone.now,
) -> OAuthGrant:
    """Exchange an authorization code for tokens (RFC 6749 section 4.1.3, RFC 7636 section 4.5).

    The request goes only to the host's own token endpoint, through the guarded door. Raises the
    provider's errors: TokenRejected for a refused code, ProviderAnswerUnexpected for a wrong client.
    """
    client_secret = open_client_secret(host, actor=actor, purpose="oauth code")
    form: dict[str, str | Secret] = {
        "grant_type": "authorization_code",
        "code": code,
        "redirect_uri": redirect_uri,
        "code_verifier": code_verifier,
    }
    return _granted(host, form, client_secret=client_secret, now=now)


def renew(
    *,
    host: Host,
    refresh: Secret,
    client_secret: Secret,
    redirect_uri: str = "",
    now: Callable[[], datetime] = timezone.now,
) -> OAuthGrant:
    """Exchange a refresh token for a new pair (RFC 6749 section 6).

    ``redirect_uri`` is the one the grant was made with, which GitLab wants again; empty for none. Both secrets
    come from a caller who has recorded why they are open. Raises as :func:`exchange` does: TokenRejected says
    that the provider refuses this refresh token.
    """
    form: dict[str, str | Secret] = {"grant_type": "refresh_token", "refresh_token": refresh}
    if redirect_uri:
        form["redirect_uri"] = redirect_uri
    return _granted(host, form, client_secret=client_secret, now=now)


def _granted(
    host: Host, form: dict[str, str | Secret], *, client_secret: Secret, now: Callable[[], datetime]
) -> OAuthGrant:
    provider = hosts.provider_of(host, now=now)
    endpoints = provider.oauth()
    auth = None
    if endpoints.client_in_basic_auth:
        auth = Basic(username=host.client_id, password=client_secret)
    else:
        form |= {"client_id": host.client_id, "client_secret": client_secret}
    answer = hosts.door_of(host, now=now).request("POST", endpoints.token_url, auth=auth, form=form)
    return provider.read_grant(answer.require_json())
