"""A lease whose token is at its end: renewed first, or honestly not now."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest
from django.contrib.auth.models import User
from django.utils import timezone

from credentials.crypto.secret import Secret
from credentials.errors import NoUsableCredential, RefreshUnavailable
from credentials.models import AccessState, Credential, Host, Lease, Status
from credentials.providers.tokens import Kind
from credentials.services import clients, lend
from credentials.services.lend import LeaseRequest, LentCredential
from credentials.verdicts import VerdictCode
from tests import builders
from tests.credentials.providers.loopback import Reply, Server, json_reply
from tests.credentials.services.refresh.grants import Rotating, gitlab_at, pair
from tests.credentials.services.stored import fresh

pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture
def credential(alice: User, provider: Rotating, server: Server) -> Credential:
    access, refresh = provider.first()
    made = pair(alice, gitlab_at(server.url), token=access, refresh=refresh, ends=timedelta(seconds=10))
    builders.access(made, "acme", state=AccessState.ACCESSIBLE)
    return made


@pytest.fixture
def key(db: None) -> Secret:
    return builders.client()[1]


def ask(key: Secret, server: Server, **options: Any) -> LentCredential:
    wanted = {"user": "alice", "purpose": "import", "repository_url": f"{server.url}/acme/cases.git"}
    return lend.lend(
        key=clients.parse_key(key.reveal()),
        request=LeaseRequest(**{**wanted, **options}),
        address="127.0.0.1",
    )


def test_a_token_that_would_end_too_soon_is_renewed_before_it_is_lent(
    credential: Credential, provider: Rotating, server: Server, key: Secret
) -> None:
    lent = ask(key, server)
    assert lent.password is not None
    assert lent.password.reveal() in provider.live
    assert lent.candidate.expires_at == fresh(credential).expires_at
    assert provider.refreshed == 1

    again = ask(key, server)
    assert again.password is not None
    assert again.password.reveal() in provider.live
    assert provider.refreshed == 1


def test_the_lease_keeps_its_token_for_as_long_as_was_asked_for(
    credential: Credential, server: Server, key: Secret
) -> None:
    before = timezone.now()
    ask(key, server, min_valid_seconds=900)
    lease = Lease.objects.get()
    assert lease.reserved_until is not None
    assert before + timedelta(seconds=900) <= lease.reserved_until <= timezone.now() + timedelta(seconds=900)


def test_a_token_that_cannot_be_renewed_now_is_not_lent_and_nothing_is_lost(
    credential: Credential, provider: Rotating, server: Server, key: Secret
) -> None:
    provider.before = lambda number: Reply(status=503)
    with pytest.raises(RefreshUnavailable) as caught:
        ask(key, server)
    assert caught.value.retryable
    assert caught.value.retry_after is not None
    assert caught.value.retry_after > timedelta(0)
    assert not Lease.objects.exists()
    assert fresh(credential).status == Status.VALID


def test_another_credential_serves_where_the_better_one_cannot_be_renewed(
    credential: Credential, alice: User, provider: Rotating, server: Server, key: Secret
) -> None:
    other = builders.credential(alice, credential.host, token="glpat-" + "a" * 20, kind=Kind.PERSONAL_TOKEN)
    builders.access(other, "acme", state=AccessState.ACCESSIBLE)
    Credential.objects.filter(pk=other.pk).update(last_verified_at=timezone.now() - timedelta(days=9))
    provider.before = lambda number: Reply(status=503)

    assert ask(key, server).candidate.id == other.pk


def test_a_grant_that_has_ended_answers_with_the_verdict(
    credential: Credential, provider: Rotating, server: Server, key: Secret
) -> None:
    provider.before = lambda number: json_reply({"error": "invalid_grant"}, 400)
    with pytest.raises(NoUsableCredential) as caught:
        ask(key, server)
    assert caught.value.verdict.code is VerdictCode.RECONNECT_REQUIRED
    assert fresh(credential).status == Status.RECONNECT_REQUIRED


def test_a_client_may_ask_for_longer_than_any_token_lives_and_gets_the_freshest(
    credential: Credential, provider: Rotating, server: Server, key: Secret
) -> None:
    lent = ask(key, server, min_valid_seconds=86_400)
    assert lent.password is not None
    assert lent.password.reveal() in provider.live
    assert provider.refreshed == 1


def test_a_pair_whose_host_lost_its_oauth_client_says_who_has_to_act_and_not_try_again(
    credential: Credential, server: Server, key: Secret
) -> None:
    Host.objects.update(client_secret_envelope=None)
    with pytest.raises(NoUsableCredential) as caught:
        ask(key, server)
    assert caught.value.verdict.code is VerdictCode.RECONNECT_REQUIRED
    assert server.seen == []
