"""Paste an address: what the page answers, where its steps lead, and what it never shows."""

from __future__ import annotations

from typing import Any

import pytest
from django.contrib.auth.models import User
from django.test import Client
from django.urls import reverse

from credentials.models import AccessState, AuditEvent, OrganizationAccess
from credentials.web.diagnose import shown_again
from tests import builders
from tests.credentials.web.account import AT_GITHUB, by_oauth, by_token
from tests.credentials.web.visitor import oauth_host, visit
from tests.sandbox import RunningSandbox

DIAGNOSE = "/diagnose/"


def ask(client: Client, address: str) -> str:
    response = client.post(DIAGNOSE, {"repository_url": address})
    assert response.status_code == 200
    return response.content.decode()


def at(sandbox: RunningSandbox, repository: str) -> str:
    return f"{sandbox.hosts['github'].web_url}/{repository}"


def test_the_form_is_filled_in_from_the_address_and_asks_nobody(alice: User, sandbox: RunningSandbox) -> None:
    by_token(alice, sandbox)
    sandbox.control("github", "DELETE", "calls")
    address = {"repository_url": at(sandbox, "acme/cases.git")}
    html = visit(alice).get(DIAGNOSE, address, follow=True).content.decode()
    assert f'value="{at(sandbox, "acme/cases")}"' in html
    assert html.count("button primary") == 1
    assert sandbox.calls("github") == []


def test_every_page_leads_to_it(alice: User) -> None:
    html = visit(alice).get("/").content.decode()
    assert f'<a href="{DIAGNOSE}">Diagnose</a>' in html


def test_a_repository_that_can_be_read_is_said_to_work(alice: User, sandbox: RunningSandbox) -> None:
    held = by_token(alice, sandbox)
    html = ask(visit(alice), at(sandbox, "octo-alice/private-cases"))
    assert "It works" in html
    assert reverse("credential", args=[held.pk]) in html
    assert "default branch main" in html
    assert "What was checked" in html
    assert "Message to an owner" not in html


def test_an_organization_that_did_not_approve_is_named_with_the_one_button_that_asks_it(
    alice: User, sandbox: RunningSandbox
) -> None:
    held = by_oauth(alice, sandbox)
    html = ask(visit(alice), at(sandbox, "assxxx/ABC.git"))
    access = OrganizationAccess.objects.get(organization__key="assxxx")
    assert "<h2" in html
    assert "assxxx has not approved this app</h2>" in html
    assert f'action="{reverse("organization_request", args=[held.pk, access.organization_id])}"' in html
    assert html.count("button primary") == 1
    assert "importing a ZIP file needs nobody" in html
    message = html[html.index("<textarea") : html.index("</textarea>")]
    assert f"{sandbox.hosts['github'].web_url}/organizations/assxxx/settings" in message
    assert " readonly>" in message
    assert reverse("help", args=["organization-not-approved"]) in html


def test_a_missing_scope_leads_to_a_new_token_and_to_the_place_it_belongs_in(
    alice: User, sandbox: RunningSandbox
) -> None:
    held = by_token(alice, sandbox, scopes=("read:org",))
    html = ask(visit(alice), at(sandbox, "octo-alice/private-cases"))
    assert "The token may not read repositories" in html
    assert f'<a class="button primary" href="{sandbox.hosts["github"].web_url}/settings/tokens/new' in html
    assert f'<a href="{reverse("credential_replace", args=[held.pk])}" rel="noopener">Put it in' in html


def test_without_an_account_the_page_leads_to_connecting_one(alice: User, sandbox: RunningSandbox) -> None:
    builders.sandbox_host(sandbox, "github")
    html = ask(visit(alice), at(sandbox, "acme/cases"))
    assert "No account connected" in html
    assert f'<a class="button primary" href="{reverse("connect", args=["github"])}"' in html


def test_where_no_step_leads_anywhere_trying_again_is_the_primary_action(
    alice: User, sandbox: RunningSandbox
) -> None:
    by_token(alice, sandbox)
    sandbox.control("github", "POST", "faults", {"path_prefix": "/", "times": 0, "status": 503})
    html = ask(visit(alice), at(sandbox, "acme/cases"))
    assert "does not answer" in html
    assert '<button class="button primary" type="submit">Try again</button>' in html


@pytest.mark.parametrize(
    ("typed", "said"),
    [
        ("nonsense", "This is not the address of a repository"),
        ("", "This field is required"),
        ("https://", "The name of the host is not valid"),
    ],
)
def test_a_wrong_address_is_an_error_beside_the_field(alice: User, typed: str, said: str) -> None:
    html = ask(visit(alice), typed)
    assert said in html
    assert f'value="{typed}"' in html or not typed
    assert 'aria-invalid="true"' in html
    assert 'id="verdict"' not in html
    assert not AuditEvent.objects.filter(action="repository.diagnosed").exists()


def test_an_address_without_a_repository_is_an_error_beside_the_field(alice: User) -> None:
    oauth_host()
    assert "names a host, but no repository" in ask(visit(alice), "http://127.0.0.1:9/acme")


@pytest.mark.parametrize(
    "typed",
    [
        f"https://octo-alice:{AT_GITHUB}@github.com/acme/cases",
        f"https://{AT_GITHUB}@github.com/acme/cases",
        f"{AT_GITHUB}@github.com:acme/cases",
        f"{AT_GITHUB}:x@github.com/acme/cases",
        f"https://github.com/acme/cases?token={AT_GITHUB}",
        f" {AT_GITHUB} ",
        f"token {AT_GITHUB}",
        f"ftp://x/?t={AT_GITHUB}",
    ],
)
def test_a_token_in_the_address_is_not_shown_again(alice: User, typed: str) -> None:
    client = visit(alice)
    assert AT_GITHUB not in ask(client, typed)
    prefilled = client.get(DIAGNOSE, {"repository_url": typed}, follow=True)
    assert AT_GITHUB not in prefilled.content.decode()
    assert AT_GITHUB not in prefilled.redirect_chain[0][0]


def test_what_was_typed_around_a_token_stays_so_that_the_next_press_works() -> None:
    assert shown_again("https://me:secret@github.com/acme/cases") == "https://github.com/acme/cases"
    assert shown_again("htps://github.com/acme/cases") == "htps://github.com/acme/cases"


def test_an_address_cannot_smuggle_markup_into_the_page(alice: User) -> None:
    client = visit(alice)
    for typed in ('"><script>alert(1)</script>', "https://x.example/<script>/b"):
        assert "<script>alert" not in ask(client, typed)
        assert "/<script>/" not in ask(client, typed)


def test_nobody_learns_of_anothers_connections(alice: User, bob: User, sandbox: RunningSandbox) -> None:
    held = by_oauth(alice, sandbox)
    html = ask(visit(bob), at(sandbox, "assxxx/ABC"))
    assert "No account connected" in html
    assert str(held.pk) not in html
    assert "octo-alice" not in html


def test_a_request_that_was_made_is_remembered_by_the_next_diagnosis(
    alice: User, sandbox: RunningSandbox
) -> None:
    by_oauth(alice, sandbox)
    client = visit(alice)
    ask(client, at(sandbox, "assxxx/ABC"))
    access = OrganizationAccess.objects.get(organization__key="assxxx")
    client.post(reverse("organization_request", args=[access.credential_id, access.organization_id]))
    assert OrganizationAccess.objects.get(pk=access.pk).state == AccessState.REQUESTED
    assert "Waiting for an owner of assxxx" in ask(client, at(sandbox, "assxxx/ABC"))


def test_the_answer_is_in_the_readers_language_and_is_never_kept(alice: User, settings: Any) -> None:
    client = visit(alice)
    response = client.post(
        DIAGNOSE, {"repository_url": "https://x.example/a/b"}, headers={"Accept-Language": "zh-hans"}
    )
    assert '<html lang="zh-hans">' in response.content.decode()
    assert "no-store" in response["Cache-Control"]
