"""The board on the pages: each state with its button, and what each button does."""

from __future__ import annotations

from datetime import timedelta

import pytest
from django.contrib.auth.models import User
from django.test import Client
from django.urls import reverse
from django.utils import timezone

from credentials.models import AccessState, AuditEvent, Credential, OrganizationAccess, Status
from credentials.providers.tokens import Kind
from credentials.services import hosts
from tests import builders
from tests.credentials.web.account import by_oauth, by_token
from tests.credentials.web.visitor import oauth_host, visit
from tests.sandbox import RunningSandbox

ORGANIZATION_VERBS = ("organization_request", "organization_denied")


def of(held: Credential, key: str) -> OrganizationAccess:
    return held.organizations.select_related("organization").get(organization__key=key)


def verb(name: str, access: OrganizationAccess) -> str:
    return reverse(name, args=[access.credential_id, access.organization_id])


def page(client: Client, held: Credential) -> str:
    response = client.get(reverse("credential", args=[held.pk]))
    assert response.status_code == 200
    return response.content.decode()


def row(html: str, name: str) -> str:
    """The part of the page about one organization."""
    board = html[html.index('id="organizations"') :]
    part = board[board.index(f"<strong>{name}</strong>") :]
    return part.split("<strong>", 2)[1]


def check(client: Client, held: Credential) -> str:
    address = reverse("organizations_refresh", args=[held.pk])
    return client.post(address, follow=True).content.decode()


def test_asking_for_access_is_kept_and_leads_to_the_hosts_own_page(
    alice: User, sandbox: RunningSandbox
) -> None:
    held = by_oauth(alice, sandbox)
    client = visit(alice)
    assert "Request access" in row(page(client, held), "assxxx")

    html = client.post(verb("organization_request", of(held, "assxxx"))).content.decode()

    there = f"{held.host.web_url}/settings/connections/applications/{held.host.client_id}"
    assert f'content="0;url={there}"' in html
    access = of(held, "assxxx")
    assert access.state == AccessState.REQUESTED
    assert access.requested_at is not None
    waiting = row(page(client, held), "assxxx")
    assert f'href="{there}"' in waiting
    assert "See the request" in waiting
    assert "It was denied" in waiting
    assert "Message for an owner" in waiting
    assert "/organizations/assxxx/settings/oauth_application_policy" in waiting


def test_what_a_person_keeps_is_their_own_event(alice: User, sandbox: RunningSandbox) -> None:
    held = by_oauth(alice, sandbox)
    client = visit(alice)
    client.post(verb("organization_request", of(held, "assxxx")))
    event = AuditEvent.objects.filter(action="organization.access_changed", organization="assxxx").first()
    assert event is not None
    assert (event.actor_name, event.data["status"]) == ("alice", "requested")
    history = row(page(client, held), "assxxx")
    assert "not approved yet → requested" in history
    assert "(alice)" in history


def test_a_denied_request_can_be_made_again(alice: User, sandbox: RunningSandbox) -> None:
    held = by_oauth(alice, sandbox)
    client = visit(alice)
    client.post(verb("organization_request", of(held, "assxxx")))
    client.post(verb("organization_denied", of(held, "assxxx")))
    assert of(held, "assxxx").state == AccessState.DENIED
    assert "Request again" in row(page(client, held), "assxxx")
    client.post(verb("organization_request", of(held, "assxxx")))
    assert of(held, "assxxx").state == AccessState.REQUESTED


def test_nobody_is_sent_away_where_the_organization_lets_in_meanwhile(
    alice: User, sandbox: RunningSandbox
) -> None:
    held = by_oauth(alice, sandbox)
    response = visit(alice).post(verb("organization_request", of(held, "acme")))
    assert response["Location"] == reverse("credential", args=[held.pk])
    assert of(held, "acme").state == AccessState.ACCESSIBLE


def test_where_the_host_has_no_page_the_message_is_the_way(alice: User) -> None:
    held = builders.credential(alice, builders.host("gitea"), kind=Kind.OAUTH)
    access = builders.access(held, "acme", state="not_approved", mend_url="https://evil.example/")
    client = visit(alice)
    assert verb("organization_request", access) not in page(client, held)
    response = client.post(verb("organization_request", access), follow=True)
    assert response.redirect_chain[-1][0] == reverse("credential", args=[held.pk])
    assert "send the message to an owner of acme" in response.content.decode()


def test_checking_now_says_what_changed(alice: User, sandbox: RunningSandbox) -> None:
    held = by_oauth(alice, sandbox)
    client = visit(alice)
    client.post(verb("organization_request", of(held, "assxxx")))
    sandbox.control("github", "POST", "organizations/assxxx", {"approved": True})
    html = check(client, held)
    assert "assxxx: accessible." in html
    assert "nothing has changed" not in html
    assert "Checked: nothing has changed." in check(client, held)
    opened = AuditEvent.objects.filter(purpose="organization check by its owner")
    assert {event.actor_name for event in opened} == {"alice"}


def test_an_outage_while_checking_is_not_called_a_change(alice: User, sandbox: RunningSandbox) -> None:
    held = by_oauth(alice, sandbox)
    sandbox.control("github", "POST", "faults", {"path_prefix": "/", "times": 0, "status": 503})
    html = check(visit(alice), held)
    assert "What was known before still stands" in html
    assert "nothing has changed" not in html
    assert of(held, "acme").state == AccessState.ACCESSIBLE


def test_a_connection_that_is_left_alone_says_so(alice: User) -> None:
    held = builders.credential(alice, oauth_host(), kind=Kind.OAUTH)
    Credential.objects.filter(pk=held.pk).update(
        hold_until=timezone.now() + timedelta(minutes=5), hold_reason="quota"
    )
    assert "left alone for a while" in check(visit(alice), held)


def test_every_state_has_its_words_and_its_button(alice: User) -> None:
    github = oauth_host()
    held = builders.credential(alice, github, kind=Kind.OAUTH)
    for state in AccessState.values:
        builders.access(held, state, state=state, evidence=f"seen {state}", mend_url=github.web_url)
    html = page(visit(alice), held)
    for state, button in (
        ("not_approved", "Request access"),
        ("requested", "See the request"),
        ("denied", "Request again"),
        ("sso_required", "Authorize single sign-on"),
        ("policy_blocked", "See it there"),
        ("token_pending", "See it there"),
        ("ip_blocked", "See it there"),
        ("unknown", "Check now"),
    ):
        assert button in row(html, state), state
    for state in AccessState:
        assert f"</svg>\n{state.label}</span>" in row(html, state.value), state
        assert f"<code>seen {state.value}</code>" in row(html, state.value), state
    for state in ("not_approved", "requested", "token_pending", "ip_blocked"):
        assert "<textarea" in row(html, state), state
    for state in ("accessible", "unknown", "no_membership"):
        assert "What to do" not in row(html, state), state


def test_a_policy_against_classic_tokens_says_what_to_do_instead(
    alice: User, sandbox: RunningSandbox
) -> None:
    held = by_token(alice, sandbox)
    told = row(page(visit(alice), held), "locked-corp")
    assert "lets in no personal access tokens (classic)" in told
    assert reverse("connect", args=["github"]) in told
    assert "/settings/personal-access-tokens/new?" in told


def test_single_sign_on_leads_to_the_page_that_the_answer_named(alice: User, sandbox: RunningSandbox) -> None:
    held = by_token(alice, sandbox)
    told = row(page(visit(alice), held), "sso-corp")
    assert "/orgs/sso-corp/sso?authorization_request=" in told
    assert "Configure SSO" in told


def test_where_one_is_no_member_is_behind_a_click(alice: User) -> None:
    held = builders.credential(alice, oauth_host(), kind=Kind.OAUTH)
    builders.access(held, "acme", state="accessible")
    builders.access(held, "strangers", state="no_membership")
    html = page(visit(alice), held)
    assert "Not a member of 1 organization" in html
    assert html.index("Not a member of 1") < html.index("<strong>strangers</strong>")


def test_a_dead_or_closed_connection_offers_no_check(alice: User) -> None:
    github = oauth_host()
    dead = builders.credential(alice, github, kind=Kind.OAUTH, status=Status.REJECTED)
    builders.access(dead, "acme", state="unknown")
    client = visit(alice)
    assert reverse("organizations_refresh", args=[dead.pk]) not in page(client, dead)
    hosts.set_enabled(actor=builders.SYSTEM, host=github, enabled=False)
    assert client.post(reverse("organizations_refresh", args=[dead.pk])).status_code == 404


@pytest.mark.parametrize("name", ORGANIZATION_VERBS)
def test_somebody_elses_board_is_not_there(alice: User, charlie: User, admin: User, name: str) -> None:
    held = builders.credential(alice, oauth_host(), kind=Kind.OAUTH)
    access = builders.access(held, "assxxx", state="not_approved")
    for stranger in (charlie, admin):
        client = visit(stranger)
        assert client.post(verb(name, access)).status_code == 404
        assert client.post(reverse("organizations_refresh", args=[held.pk])).status_code == 404
    assert of(held, "assxxx").state == AccessState.NOT_APPROVED


@pytest.mark.parametrize("name", ORGANIZATION_VERBS)
def test_nothing_is_marked_by_a_link_or_through_another_credential(alice: User, bob: User, name: str) -> None:
    github = oauth_host()
    access = builders.access(builders.credential(alice, github), "assxxx", state="not_approved")
    own = builders.credential(bob, github)
    assert visit(alice).get(verb(name, access)).status_code == 405
    assert visit(bob).post(reverse(name, args=[own.pk, access.organization_id])).status_code == 404
    access.refresh_from_db()
    assert access.state == AccessState.NOT_APPROVED


def test_evidence_and_names_cannot_smuggle_markup(alice: User) -> None:
    held = builders.credential(alice, oauth_host(), kind=Kind.OAUTH)
    builders.access(
        held, "acme", name="<b>acme</b>", state="ip_blocked", evidence="<script>alert(1)</script>"
    )
    client = visit(alice)
    for html in (page(client, held), client.get("/").content.decode()):
        assert "<script>alert" not in html
        assert "<b>acme" not in html
