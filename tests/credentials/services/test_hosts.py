"""Hosts: what may be registered, what may change, and that no secret is carried to another address."""

from __future__ import annotations

from typing import Any

import pytest
from django.contrib.auth.models import User

from credentials.crypto.secret import Secret
from credentials.errors import AddressError, Conflict, InputInvalid, NotFound
from credentials.models import AuditEvent, Host
from credentials.services import audit_proof, disconnect, hosts, vault
from tests import builders

pytestmark = pytest.mark.django_db


def add(**fields: Any) -> Host:
    values = {"slug": "work", "provider": "gitlab", "web_url": "https://git.example.org", **fields}
    return hosts.add_host(actor=builders.SYSTEM, **values)


def changes() -> list[tuple[str, list[str]]]:
    return [(event.action, event.data["changed"]) for event in AuditEvent.objects.order_by("seq")]


@pytest.mark.parametrize(
    ("provider", "web_url", "api_url"),
    [
        ("github", "https://github.com", "https://api.github.com"),
        ("github", "https://git.example.org", "https://git.example.org/api/v3"),
        ("gitlab", "https://gitlab.com", "https://gitlab.com/api/v4"),
        ("gitlab", "https://example.org/gitlab/", "https://example.org/gitlab/api/v4"),
        ("gitea", "https://codeberg.org", "https://codeberg.org/api/v1"),
        ("bitbucket", "https://bitbucket.org", "https://api.bitbucket.org/2.0"),
        ("bitbucket_server", "https://git.example.org/bb", "https://git.example.org/bb/rest/api/latest"),
        ("azure_devops", "https://dev.azure.com/acme", "https://dev.azure.com/acme"),
    ],
)
def test_the_api_lies_where_this_provider_keeps_it(provider: str, web_url: str, api_url: str) -> None:
    host = add(provider=provider, web_url=web_url)
    assert (host.web_url, host.api_url) == (web_url.rstrip("/"), api_url)
    assert host.name


@pytest.mark.parametrize("provider", ["bitbucket_server", "azure_devops"])
def test_a_host_where_tokens_are_only_pasted_takes_no_oauth_client(provider: str) -> None:
    with pytest.raises(InputInvalid) as caught:
        add(provider=provider, client_id="app", client_secret=Secret("s"))
    assert caught.value.field == "client_id"
    assert not Host.objects.exists()


def test_repositories_are_matched_by_the_origin_of_the_web_address() -> None:
    assert add(web_url="https://git.example.org:8443/forge").web_origin == "https://git.example.org:8443"


def test_registering_again_with_the_same_slug_brings_the_host_up_to_date() -> None:
    first = add()

    second = add(name="Our GitLab", client_id="app")

    assert (second.pk, second.name, second.client_id) == (first.pk, "Our GitLab", "app")
    assert Host.objects.count() == 1
    assert changes()[-1] == ("host.changed", ["name", "client_id"])


def test_what_is_not_said_again_is_kept() -> None:
    add(name="Ours", client_id="app", client_secret=Secret("s"), oauth_scopes=["read_api"])
    host = add()
    assert (host.name, host.client_id, host.oauth_scopes) == ("Ours", "app", ["read_api"])
    assert vault.open_client_secret(host, record=lambda: None).reveal() == "s"


def test_what_is_meant_exactly_empties_and_destroys_the_client_secret_with_its_client() -> None:
    add(client_id="app", client_secret=Secret("s"), oauth_scopes=["read_api"])
    host = add(exactly=True)
    assert (host.client_id, host.oauth_scopes, host.client_secret_envelope) == ("", [], None)
    assert not host.offers_oauth
    assert changes()[-1] == ("host.changed", ["client_id", "oauth_scopes", "client_secret"])


def test_a_new_client_secret_replaces_the_old_one_and_is_recorded_without_itself() -> None:
    add(client_id="app", client_secret=Secret("the-first-secret"))
    host = add(client_secret=Secret("the-second-secret"))
    assert vault.open_client_secret(host, record=lambda: None).reveal() == "the-second-secret"
    assert host.client_secret_generation == 2
    assert changes()[-1] == ("host.changed", ["client_secret"])
    rows = repr([*Host.objects.values(), *AuditEvent.objects.values()])
    assert "the-first" not in rows
    assert "the-second" not in rows


@pytest.mark.parametrize(
    "fields",
    [
        {"provider": "sourceforge"},
        {"web_url": "http://git.example.org"},
        {"api_url": "http://git.example.org"},
    ],
)
def test_what_is_no_host_is_refused_by_the_name_of_the_field(fields: dict[str, str]) -> None:
    with pytest.raises(InputInvalid) as refusal:
        add(**fields)
    assert refusal.value.field == next(iter(fields))
    assert not Host.objects.exists()


@pytest.mark.parametrize(
    "url",
    ["", "git.example.org\n.evil", "file:///etc", "https://user:pw@git.example.org", "https://", "ext::sh"],
)
def test_what_is_no_address_is_refused(url: str) -> None:
    with pytest.raises((AddressError, InputInvalid)):
        add(web_url=url)
    assert not Host.objects.exists()


def test_plain_http_is_for_private_networks_only() -> None:
    assert add(web_url="http://10.0.0.7", allow_private_network=True).web_url == "http://10.0.0.7"


MOVES = [
    {"web_url": "https://evil.example.org"},
    {"api_url": "https://evil.example.org/api/v4"},
    {"provider": "gitea", "api_url": "https://git.example.org/api/v4"},
]


@pytest.mark.parametrize("move", MOVES)
def test_an_address_does_not_change_under_stored_credentials(alice: User, move: dict[str, str]) -> None:
    stored = builders.credential(alice, add())
    with pytest.raises(Conflict, match="Register the new address as another host"):
        add(**move)
    assert Host.objects.get().web_url == "https://git.example.org"

    disconnect.disconnect(actor=builders.SYSTEM, credential=stored)
    add(**move)


@pytest.mark.parametrize("move", MOVES)
def test_an_address_does_not_change_under_a_client_secret(move: dict[str, str]) -> None:
    add(client_id="app", client_secret=Secret("s"))
    with pytest.raises(Conflict):
        add(**move)


def test_a_refused_change_leaves_neither_row_nor_event(alice: User) -> None:
    builders.credential(alice, add())
    events = AuditEvent.objects.count()
    with pytest.raises(Conflict):
        add(web_url="https://evil.example.org", name="other")
    assert Host.objects.get().name != "other"
    assert AuditEvent.objects.count() == events
    assert audit_proof.verify().holds


def test_a_closed_host_is_not_found_and_opens_again() -> None:
    host = add()
    assert hosts.get("work") == host

    hosts.set_enabled(actor=builders.SYSTEM, host=host, enabled=False)
    with pytest.raises(NotFound):
        hosts.get("work")
    hosts.set_enabled(actor=builders.SYSTEM, host=host, enabled=True)

    assert hosts.get("work") == host
    actions = AuditEvent.objects.order_by("seq").values_list("action", flat=True)
    assert list(actions) == ["host.added", "host.disabled", "host.enabled"]


def test_an_unknown_host_is_not_found() -> None:
    with pytest.raises(NotFound):
        hosts.get("nowhere")


def test_a_provider_learns_of_its_host_what_it_needs_and_no_secret() -> None:
    host = add(client_id="app", client_secret=Secret("s"))
    facts = hosts.facts_of(host)
    assert (facts.slug, facts.web_url, facts.api_url, facts.client_id) == (
        "work",
        "https://git.example.org",
        "https://git.example.org/api/v4",
        "app",
    )
    assert not any("secret" in name for name in type(facts).__dataclass_fields__)
    assert hosts.provider_of(host).title == "GitLab"
