"""What an attacker would try of lending: an old answer again, another host's address, a look-alike, a memory."""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest
from django.contrib.auth.models import User
from django.utils import timezone

from credentials.crypto.secret import Secret
from credentials.errors import AddressInvalid, Conflict, NoUsableCredential, PermissionRefused
from credentials.models import Credential, Host, RepositoryAccess, ServiceClient
from credentials.providers.repository_url import parse
from credentials.services import clients, holds, leases, lend
from credentials.services.lend import LeaseRequest
from tests import builders

pytestmark = pytest.mark.django_db


def ask(key: Secret, url: str) -> lend.LentCredential:
    """Borrow alice's credential for an address."""
    request = LeaseRequest(user="alice", purpose="import", repository_url=url)
    return lend.lend(key=clients.parse_key(key.reveal()), request=request, address="127.0.0.1")


def supported(owner: User, host: Host, **fields: Any) -> Credential:
    """A credential that acme lets in, so that nobody has to be asked."""
    held = builders.credential(owner, host, **fields)
    builders.access(held, "acme", state="accessible")
    return held


def _deactivate(held: Credential, client: ServiceClient) -> None:
    User.objects.filter(pk=held.owner_id).update(is_active=False)


def _close(held: Credential, client: ServiceClient) -> None:
    Host.objects.filter(pk=held.host_id).update(is_enabled=False)


def _replace(held: Credential, client: ServiceClient) -> None:
    Credential.objects.filter(pk=held.pk).update(sealed_at=timezone.now() + timedelta(seconds=1))


def _rest(held: Credential, client: ServiceClient) -> None:
    holds.note_refusal(held, now=timezone.now())


def _confine(held: Credential, client: ServiceClient) -> None:
    ServiceClient.objects.filter(pk=client.pk).update(hosts=["elsewhere"])


@pytest.mark.parametrize("withdraw", [_deactivate, _close, _replace, _rest, _confine])
def test_a_repeated_request_gets_nothing_that_a_new_one_would_not_get(
    alice: User, withdraw: Callable[[Credential, ServiceClient], None]
) -> None:
    held = supported(alice, builders.host())
    client, key = builders.client()
    lent = ask(key, "http://127.0.0.1:9/acme/cases")
    assert lent.lease_id is not None
    assert leases.reopen(client=client, lease_id=lent.lease_id, address="").password is not None

    withdraw(held, client)

    with pytest.raises((Conflict, PermissionRefused)):
        leases.reopen(
            client=ServiceClient.objects.get(pk=client.pk), lease_id=lent.lease_id, address="127.0.0.1"
        )


@pytest.mark.parametrize("enabled", [True, False])
def test_an_address_below_another_host_never_gets_the_shorter_hosts_credential(
    alice: User, enabled: bool
) -> None:
    supported(alice, builders.host(web_url="http://127.0.0.1:9"))
    below = builders.host(
        "gitlab", web_url="http://127.0.0.1:9/gitlab", api_url="http://127.0.0.1:9/gitlab/api"
    )
    Host.objects.filter(pk=below.pk).update(is_enabled=enabled)
    _, key = builders.client()

    with pytest.raises(NoUsableCredential) as refused:
        ask(key, "http://127.0.0.1:9/gitlab/acme/cases")

    assert refused.value.verdict.code == ("no_credential" if enabled else "host_unknown")


def test_a_memory_of_one_repository_is_not_believed_of_another(alice: User) -> None:
    wrong = builders.credential(alice, builders.host(), account_name="one")
    RepositoryAccess.objects.create(
        credential=wrong, key="acme/cases", verdict="ok", checked_at=timezone.now()
    )
    right = builders.credential(alice, wrong.host, account_name="two")
    RepositoryAccess.objects.create(
        credential=right, key="team/acme/cases", verdict="ok", checked_at=timezone.now()
    )
    _, key = builders.client()

    lent = ask(key, "http://127.0.0.1:9/team/acme/cases")

    assert (lent.candidate.id, lent.chosen_because) == (right.pk, "read_it_before")


def test_an_origin_that_somebody_wrote_into_the_table_gets_nothing(alice: User) -> None:
    supported(alice, builders.host())
    Host.objects.update(web_origin="https://evil.example")
    _, key = builders.client()

    with pytest.raises(NoUsableCredential) as refused:
        ask(key, "https://evil.example/acme/cases")

    assert refused.value.verdict.code == "host_unknown"


def test_a_look_alike_letter_is_another_letter(alice: User) -> None:
    held = builders.credential(alice, builders.host())
    builders.access(held, "kite", state="accessible")
    _, key = builders.client()
    ask(key, "http://127.0.0.1:9/kite/x")

    assert not RepositoryAccess.objects.exists()
    found = lend.preview(
        key=clients.parse_key(key.reveal()),
        request=LeaseRequest(user="alice", purpose="p", repository_url="http://127.0.0.1:9/%E2%84%AAite/x"),
        address="127.0.0.1",
    )
    assert found.candidate.organization == ""


@pytest.mark.parametrize(
    "token",
    ["ghp_" + "a" * 36, "glpat-" + "a" * 20, "github_pat_" + "a" * 82, "fk_" + "a" * 16 + "_" + "b" * 51],
)
def test_a_token_in_an_address_is_refused_before_anything_is_written(token: str) -> None:
    with pytest.raises(AddressInvalid):
        parse(f"https://github.com/{token}/cases")
    assert parse("https://github.com/acme/ghp_tools").segments == ("acme", "ghp_tools")
