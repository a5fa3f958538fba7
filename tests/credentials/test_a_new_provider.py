"""Adding a provider is one file and one line: everything else works with it at once."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from django.contrib.auth.models import User
from django.core.management import call_command
from django.urls import reverse

from credentials.models import Credential, Host
from credentials.providers import REGISTERED, registry
from credentials.services import organizations
from tests import builders
from tests.credentials.api.conftest import Call, call
from tests.credentials.providers.loopback import Reply, Seen, Server, json_reply
from tests.credentials.web.visitor import visit

__all__ = ["call"]

pytestmark = pytest.mark.django_db

TOKEN = "lantern-token-1"
ANSWERS = {
    "/api/me": {"id": 7, "name": "octo-alice"},
    "/api/teams": {"teams": [{"key": "acme"}]},
    "/api/repositories/acme/cases": {"branch": "trunk"},
}


def answer(seen: Seen) -> Reply:
    if seen.headers.get("Authorization") != f"Bearer {TOKEN}":
        return json_reply({}, status=401)
    return json_reply(ANSWERS[seen.path]) if seen.path in ANSWERS else json_reply({}, status=404)


@pytest.fixture
def lantern(monkeypatch: pytest.MonkeyPatch) -> Iterator[Host]:
    """A host of the new kind, answering; the one line is in the list of registered providers."""
    line = "tests.credentials.lantern.Lantern"
    monkeypatch.setattr(registry, "REGISTERED", (*REGISTERED, line))
    registry._by_name.cache_clear()
    with Server(answer) as server:
        yield builders.host(
            "lantern", provider="lantern", web_url=server.url, api_url=f"{server.url}/api", name="Lantern"
        )
    registry._by_name.cache_clear()


def test_its_token_is_guided_pasted_proved_and_shown(alice: User, lantern: Host) -> None:
    person = visit(alice)
    form = reverse("token", kwargs={"slug": "lantern"})
    assert "Choose “Light one”." in person.get(form).content.decode()

    refused = person.post(form, {"token": "another"}).content.decode()
    assert "Lantern does not accept this token" in refused
    assert not Credential.objects.exists()

    shown = person.post(form, {"token": TOKEN}, follow=True).content.decode()

    held = Credential.objects.get()
    assert (held.status, held.account_id, held.account_name) == ("valid", "7", "octo-alice")
    assert "octo-alice" in shown
    organizations.refresh(actor=builders.SYSTEM, credential=held, purpose="test")
    board = person.get(reverse("credential", kwargs={"credential_id": held.pk})).content.decode()
    assert "acme" in board[board.index('id="organizations"') :]


def test_its_repositories_are_diagnosed_and_its_credential_is_lent(
    alice: User, lantern: Host, call: Call
) -> None:
    held = builders.credential(alice, lantern, token=TOKEN, account_name="octo-alice")
    person = visit(alice)
    address = f"{lantern.web_url}/acme/cases"

    works = person.post("/diagnose/", {"repository_url": address}).content.decode()
    missing = person.post("/diagnose/", {"repository_url": f"{address}-no-more"}).content.decode()

    assert "It works" in works
    assert "default branch trunk" in works
    assert "Not found, or no access" in missing
    _, key = builders.client()
    lease = call(
        key, "POST", "/leases/", {"user": "alice", "repository_url": address, "purpose": "import"}
    ).json()
    assert (lease["username"], lease["password"]) == ("lantern", TOKEN)
    assert lease["credential"]["id"] == str(held.pk)


def test_it_needs_no_migration(lantern: Host) -> None:
    call_command("makemigrations", check=True, dry_run=True, verbosity=0)
