from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest
from django.contrib.auth.models import User
from django.urls import reverse
from django.utils import timezone

from credentials.crypto.secret import Secret
from credentials.models import AuditEvent, Credential, Lease, Status
from credentials.providers.tokens import Kind
from credentials.services import connect, vault
from credentials.services.connect import ManualEntry
from credentials.web import cards
from tests import builders
from tests.credentials.web.visitor import oauth_host, sandbox_host, visit
from tests.sandbox import RunningSandbox

VERBS = (
    ("credential", "get"),
    ("credential_test", "post"),
    ("credential_replace", "get"),
    ("credential_replace", "post"),
    ("credential_rename", "post"),
    ("credential_reconnect", "post"),
    ("credential_disconnect", "get"),
    ("credential_disconnect", "post"),
)


def address(name: str, held: Credential) -> str:
    return reverse(name, kwargs={"credential_id": held.pk})


def connected(owner: User, sandbox: RunningSandbox, *scopes: str) -> tuple[Credential, str]:
    """A GitHub token that the sandbox knows, and its id there."""
    host = sandbox_host(sandbox, "github")
    minted = sandbox.mint("github", "octo-alice", "personal_token", scopes or ("repo",))
    done = connect.connect_token(
        actor=builders.SYSTEM, owner=owner, host=host, entry=ManualEntry(token=Secret(minted.token))
    )
    return done.credential, minted.id


@pytest.mark.parametrize(("name", "method"), VERBS)
def test_somebody_elses_credential_is_not_there(
    alice: User, charlie: User, admin: User, name: str, method: str
) -> None:
    held = builders.credential(alice, oauth_host(), kind=Kind.OAUTH)
    for stranger in (charlie, admin):
        client = visit(stranger)
        assert client.generic(method.upper(), address(name, held)).status_code == 404
    assert Credential.objects.get().is_connected


@pytest.mark.parametrize(("name", "method"), VERBS)
def test_a_disconnected_credential_is_not_there(alice: User, name: str, method: str) -> None:
    held = builders.credential(alice, oauth_host(), kind=Kind.OAUTH)
    client = visit(alice)
    client.post(address("credential_disconnect", held))
    assert client.generic(method.upper(), address(name, held)).status_code == 404


@pytest.mark.parametrize("name", ["credential_test", "credential_rename", "credential_reconnect"])
def test_what_changes_something_is_never_started_by_a_link(alice: User, name: str) -> None:
    held = builders.credential(alice, oauth_host(), kind=Kind.OAUTH)
    assert visit(alice).get(address(name, held)).status_code == 405


def test_the_page_says_who_used_it_lately(alice: User) -> None:
    held = builders.credential(alice, builders.host("github"))
    client, _key = builders.client("nightly backend")
    now = timezone.now()
    for number in range(7):
        Lease.objects.create(
            client=client,
            credential=held,
            repository_url=f"https://example.org/acme/cases-{number}",
            purpose="import",
            chosen_because="only_one",
            created_at=now - timedelta(hours=number + 1),
            expires_at=now,
        )
    html = visit(alice).get(address("credential", held)).content.decode()
    assert "nightly backend" in html
    assert "cases-4" in html
    assert "cases-5" not in html


def test_a_test_that_succeeds_says_so(alice: User, sandbox: RunningSandbox) -> None:
    held, _id = connected(alice, sandbox)
    client = visit(alice)
    response = client.post(address("credential_test", held))
    assert response["Location"] == address("credential", held)
    assert "It works" in client.get(response["Location"]).content.decode()


def test_a_test_of_a_revoked_token_marks_it_and_shows_how_to_mend_it(
    alice: User, sandbox: RunningSandbox
) -> None:
    held, token_id = connected(alice, sandbox)
    sandbox.control("github", "POST", f"tokens/{token_id}", {"revoked": True})
    client = visit(alice)
    html = client.post(address("credential_test", held), follow=True).content.decode()
    held.refresh_from_db()
    assert held.status == Status.REJECTED
    assert "rejected" in html
    replace = address("credential_replace", held)
    assert f'<a href="{held.host.web_url}/settings/tokens/new?' in html
    assert f'<a href="{replace}" rel="noopener">Put it in the place of this one.</a>' in html
    assert f'<a class="button primary" href="{replace}">' in html


def test_a_step_that_is_done_on_this_very_page_leads_to_its_button(alice: User) -> None:
    held = builders.credential(alice, oauth_host(), kind=Kind.OAUTH, status=Status.RECONNECT_REQUIRED)
    html = visit(alice).get(address("credential", held)).content.decode()
    assert '<a href="#ways" rel="noopener">Reconnect; the connection keeps' in html
    button = html[html.index('id="ways"') :]
    assert f'action="{address("credential_reconnect", held)}"' in button
    assert html.count("button primary") == 1


def test_an_outage_during_a_test_changes_nothing_known(alice: User) -> None:
    held = builders.credential(alice, builders.host("github"), account_name="octo-alice")
    html = visit(alice).post(address("credential_test", held), follow=True).content.decode()
    held.refresh_from_db()
    assert held.status == Status.VALID
    assert "does not answer" in html
    assert "What was known before still stands" in html


def test_with_htmx_a_test_answers_with_the_result_alone(alice: User) -> None:
    held = builders.credential(alice, builders.host("github"))
    html = (
        visit(alice).post(address("credential_test", held), headers={"HX-Request": "true"}).content.decode()
    )
    assert "<html" not in html
    assert "does not answer" in html
    assert "works" in html


def test_a_test_is_recorded_as_the_owners(alice: User) -> None:
    held = builders.credential(alice, builders.host("github"))
    visit(alice).post(address("credential_test", held))
    opened = AuditEvent.objects.get(action="credential.opened")
    assert (opened.actor_name, opened.purpose, opened.address) == ("alice", "test by its owner", "127.0.0.1")
    assert opened.request_id


def test_renaming_changes_the_title(alice: User) -> None:
    held = builders.credential(alice, builders.host("github"), account_name="octo-alice")
    html = visit(alice).post(address("credential_rename", held), {"label": "at work"}, follow=True)
    assert "<h1>at work</h1>" in html.content.decode()


def test_a_name_that_is_too_long_is_refused_on_the_page(alice: User) -> None:
    held = builders.credential(alice, builders.host("github"))
    html = visit(alice).post(address("credential_rename", held), {"label": "x" * 101}).content.decode()
    assert "at most 100 characters" in html
    held.refresh_from_db()
    assert held.label == ""


def test_a_name_cannot_smuggle_markup_into_a_page(alice: User) -> None:
    held = builders.credential(alice, builders.host("github"), account_name="<img src=x onerror=alert(1)>")
    client = visit(alice)
    client.post(address("credential_rename", held), {"label": "<script>alert(1)</script>"})
    for name in ("credential", "credential_disconnect"):
        html = client.get(address(name, held)).content.decode()
        assert "<script>alert" not in html
        assert "<img src=x" not in html
    assert "<script>alert" not in client.get(reverse("connections")).content.decode()


def test_disconnecting_is_asked_first_and_says_what_stays(alice: User) -> None:
    held = builders.credential(alice, builders.host("github"), account_name="octo-alice")
    html = visit(alice).get(address("credential_disconnect", held)).content.decode()
    assert "Disconnect octo-alice at Github?" in html
    assert "What was imported before stays" in html
    held.refresh_from_db()
    assert held.is_connected


def test_the_receipt_confirms_a_revocation(alice: User, sandbox: RunningSandbox) -> None:
    held, _id = connected(alice, sandbox)
    html = visit(alice).post(address("credential_disconnect", held), follow=True).content.decode()
    held.refresh_from_db()
    assert held.status == Status.DISCONNECTED
    assert held.access_envelope is None
    outcome = AuditEvent.objects.get(action="credential.revocation", purpose="").data["revocation"]
    assert outcome == "revoked"
    assert "and refuses it now" in html


def test_where_the_host_cannot_be_asked_the_receipt_gives_the_link(alice: User) -> None:
    github = builders.host("github")
    held = builders.credential(alice, github)
    html = visit(alice).post(address("credential_disconnect", held), follow=True).content.decode()
    assert "The host has not confirmed yet" in html
    assert f'href="{github.web_url}/settings/tokens"' in html


def test_the_receipt_has_an_address_that_stays_for_its_owner_alone(
    alice: User, charlie: User, admin: User
) -> None:
    held = builders.credential(alice, builders.host("gitea"), account_name="octo-alice")
    receipt = address("credential_receipt", held)
    assert visit(alice).get(receipt).status_code == 404, "nothing has been disconnected yet"

    client = visit(alice)
    answer = client.post(address("credential_disconnect", held))
    assert (answer.status_code, answer["Location"]) == (302, receipt)
    for _again in range(2):
        html = client.get(receipt).content.decode()
        assert "octo-alice at Gitea is disconnected" in html
        assert "Gitea has no call that revokes it." in html
    for stranger in (charlie, admin):
        assert visit(stranger).get(receipt).status_code == 404


def test_the_end_of_the_oldest_of_too_many_authorizations_is_on_its_page(alice: User) -> None:
    host = builders.host(client_id="app", client_secret=Secret("s"))
    granted: dict[str, Any] = {
        "account_id": "1",
        "oauth_client_id": "app",
        "scopes": ["repo"],
        "kind": Kind.OAUTH,
    }
    now = timezone.now()
    held = [
        builders.credential(
            alice, host, token=f"gho_{number:036d}", sealed_at=now - timedelta(days=10 - number), **granted
        )
        for number in range(10)
    ]
    said = "The next one ends this one, the oldest."
    assert said in visit(alice).get(address("credential", held[0])).content.decode()
    assert said not in visit(alice).get(address("credential", held[1])).content.decode()


def test_a_pair_is_renewed_by_itself_whatever_query_its_row_came_from(alice: User) -> None:
    now = timezone.now()
    made = builders.credential(alice, builders.host(), kind=Kind.OAUTH, expires_at=now - timedelta(minutes=1))
    sealed = vault.seal_secret(Secret("r"), made.binding("refresh"))
    Credential.objects.filter(pk=made.pk).update(refresh_envelope=sealed)
    card = cards.credential_card(Credential.objects.get(pk=made.pk), now=now)
    assert (card.status, card.is_renewed, card.is_over) == ("valid", True, False)
