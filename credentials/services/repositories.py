"""What a credential can list: the picker's pages, straight from the host."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime

from django.db import transaction
from django.utils import timezone
from django.utils.translation import gettext as _

from credentials.errors import (
    Conflict,
    ProviderRateLimited,
    ProviderUnreachable,
    TokenNotAccepted,
    TokenRejected,
)
from credentials.models import Credential, Hold
from credentials.providers.facts import RepositoryPage
from credentials.services import circuit_breaker, holds, hosts, rejection
from credentials.services.audit import Actor
from credentials.services.logins import lock_unchanged
from credentials.services.opening import open_login
from credentials.verdicts import VerdictCode
from credentials.verdicts.wording import verdict


def page(
    *,
    actor: Actor,
    credential: Credential,
    query: str = "",
    cursor: str = "",
    now: Callable[[], datetime] = timezone.now,
) -> RepositoryPage | None:
    """One page of the repositories that ``credential`` can list, narrowed by ``query``.

    None where its scopes do not let anyone list: repositories can be named by their address all the same.
    Raises Conflict where the credential cannot be used, TokenNotAccepted where its host refuses it,
    ProviderRateLimited, ProviderUnreachable and the other provider errors.
    """
    if not credential.is_lendable:
        raise Conflict(_("This connection cannot be used at the moment. Its page says why."))
    if holds.is_held(credential, now=now(), by_hand=True):
        if credential.hold_reason == Hold.QUOTA and credential.hold_until is not None:
            raise ProviderRateLimited(retry_after=credential.hold_until - now())
        raise ProviderUnreachable(evidence="left alone for a while after a refusal")
    if circuit_breaker.is_blocked(credential.host, now=now()):
        raise ProviderUnreachable(evidence="not asked: it has not been answering")
    login = open_login(credential, actor=actor, purpose="repository list", now=now)
    provider = hosts.provider_of(credential.host, now=now)
    try:
        return provider.repositories(login, query=query, cursor=cursor)
    except TokenRejected as problem:
        if not _note(credential, problem, actor=actor, now=now()):
            raise ProviderUnreachable(evidence=f"{problem.evidence}: the token may be too young") from problem
        values = {"provider": provider.title, "host": credential.host.name}
        guide = provider.guide()
        found = verdict(
            VerdictCode(problem.verdict_code),
            values=values,
            links={"token": guide.create_url, "manage": guide.manage_url},
            variants=(f"{provider.name}:{credential.kind}", credential.kind),
            host=credential.host.slug,
            credential=str(credential.pk),
        )
        raise TokenNotAccepted(found) from problem
    except ProviderRateLimited as problem:
        holds.note_quota(credential, wait=problem.retry_after, now=now())
        raise


@transaction.atomic
def _note(credential: Credential, problem: TokenRejected, *, actor: Actor, now: datetime) -> bool:
    """Keep the refusal; False where it says nothing of the credential as it is now."""
    current = lock_unchanged(credential)
    if current is None:
        return False
    return rejection.note(current, VerdictCode(problem.verdict_code), actor=actor, now=now)
