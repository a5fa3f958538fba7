"""The picker: what a connection lists, how it is searched and paged, and what it says where it cannot."""

from __future__ import annotations

from urllib.parse import quote

import pytest
from django.contrib.auth.models import User
from django.test import Client
from django.urls import reverse

from credentials.models import AuditEvent, Credential, Status
from credentials.services import hosts
from tests import builders
from tests.credentials.web.account import by_token
from tests.credentials.web.visitor import oauth_host, visit
from tests.sandbox import RunningSandbox


def listed(client: Client, held: Credential, **query: str) -> str:
    response = client.get(reverse("repositories", args=[held.pk]), query)
    assert response.status_code == 200
    return response.content.decode()


def test_each_repository_is_named_and_can_be_checked(alice: User, sandbox: RunningSandbox) -> None:
    held = by_token(alice, sandbox)
    html = listed(visit(alice), held)
    for path in ("octo-alice/private-cases", "acme/cases"):
        address = f"{held.host.web_url}/{path}.git"
        assert f"<strong>{path}</strong>" in html
        assert f'href="/diagnose/?repository_url={quote(address, safe="")}"' in html
    assert "private" in html
    assert "default branch main" in html


def test_the_page_of_a_connection_leads_to_it(alice: User) -> None:
    held = builders.credential(alice, oauth_host())
    html = visit(alice).get(reverse("credential", args=[held.pk])).content.decode()
    assert reverse("repositories", args=[held.pk]) in html


def test_a_search_narrows_the_list(alice: User, sandbox: RunningSandbox) -> None:
    held = by_token(alice, sandbox)
    html = listed(visit(alice), held, q="octo-alice/private-cases")
    assert "octo-alice/private-cases</strong>" in html
    assert "acme/cases</strong>" not in html
    assert 'value="octo-alice/private-cases"' in html
    assert "Show all" in html


def test_a_search_without_a_match_says_so(alice: User, sandbox: RunningSandbox) -> None:
    held = by_token(alice, sandbox)
    assert "None of this name was found here" in listed(visit(alice), held, q="no-such-name")


def test_the_next_page_keeps_the_search(alice: User, sandbox: RunningSandbox) -> None:
    held = by_token(alice, sandbox)
    client = visit(alice)
    html = listed(client, held)
    names: set[str] = set()
    while True:
        names |= {part.split("</strong>")[0] for part in html.split("<strong>")[1:]}
        if "Next page" not in html:
            break
        more = html[: html.index("Next page")].rsplit('href="?', 1)[1].split('"')[0].replace("&amp;", "&")
        html = client.get(f"{reverse('repositories', args=[held.pk])}?{more}").content.decode()
    assert {"octo-alice/private-cases", "acme/cases", "acme/public-cases"} <= names


def test_where_the_token_may_not_list_an_address_can_be_pasted(alice: User, sandbox: RunningSandbox) -> None:
    held = by_token(alice, sandbox, slug="bitbucket", kind="api_token", scopes=["read:repository:bitbucket"])
    html = listed(visit(alice), held)
    assert "may not list repositories" in html
    assert '<form method="post" action="/diagnose/">' in html
    assert html.count("button primary") == 1


def test_a_refused_token_is_explained_and_leads_to_its_replacement(
    alice: User, sandbox: RunningSandbox
) -> None:
    held = by_token(alice, sandbox)
    for token in sandbox.control("github", "GET", "state.json")["tokens"]:
        sandbox.control("github", "POST", f"tokens/{token['id']}", {"revoked": True})
    html = listed(visit(alice), held)
    assert "does not accept this token" in html
    assert reverse("credential_replace", args=[held.pk]) in html


@pytest.mark.parametrize(
    ("fault", "said"),
    [
        ({"status": 503}, "does not answer at the moment"),
        ({"quota": "primary"}, "asks us to wait"),
        ({"html": True}, "does not answer at the moment"),
    ],
)
def test_an_outage_is_said_in_its_place(
    alice: User, sandbox: RunningSandbox, fault: dict[str, object], said: str
) -> None:
    held = by_token(alice, sandbox)
    sandbox.control("github", "POST", "faults", {"path_prefix": "/", "times": 0, **fault})
    html = listed(visit(alice), held)
    assert said in html
    assert "Search" in html


def test_a_connection_that_cannot_be_used_says_so(alice: User) -> None:
    held = builders.credential(alice, oauth_host(), status=Status.REJECTED)
    assert "cannot be used at the moment" in listed(visit(alice), held)
    assert not AuditEvent.objects.filter(action="credential.opened").exists()


def test_somebody_elses_list_is_not_there(alice: User, charlie: User, admin: User) -> None:
    github = oauth_host()
    held = builders.credential(alice, github)
    for stranger in (charlie, admin):
        assert visit(stranger).get(reverse("repositories", args=[held.pk])).status_code == 404
    hosts.set_enabled(actor=builders.SYSTEM, host=github, enabled=False)
    assert visit(alice).get(reverse("repositories", args=[held.pk])).status_code == 404
    assert not AuditEvent.objects.filter(action="credential.opened").exists()


def test_a_search_cannot_smuggle_markup(alice: User) -> None:
    held = builders.credential(alice, oauth_host())
    assert "<script>" not in listed(visit(alice), held, q='"><script>', cursor='"><script>')
