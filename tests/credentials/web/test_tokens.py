from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest
from django.contrib.auth.models import User
from django.test import Client
from django.urls import reverse
from django.utils import timezone

from credentials.models import AuditEvent, Credential, Host, Status
from credentials.providers.tokens import Kind
from tests import builders
from tests.credentials.web.visitor import everything_in_sessions, oauth_host, sandbox_host, visit
from tests.sandbox import RunningSandbox


def paste(client: Client, host: str | Host, **fields: Any) -> Any:
    slug = host if isinstance(host, str) else host.slug
    return client.post(reverse("token", kwargs={"slug": slug}), fields)


def test_the_guide_stands_beside_the_form(alice: User) -> None:
    host = builders.host("github")
    html = visit(alice).get(reverse("token", kwargs={"slug": "github"})).content.decode()
    assert f'href="{host.web_url}/settings/tokens/new?scopes=repo%2Cread%3Aorg' in html
    assert "Choose an expiration." in html
    assert "Reads private repositories" in html


def test_the_token_field_is_not_remembered_or_spell_checked(alice: User) -> None:
    builders.host("github")
    html = visit(alice).get(reverse("token", kwargs={"slug": "github"})).content.decode()
    field = html[html.index('<input type="password"') :].split(">")[0]
    assert 'autocomplete="off"' in field
    assert 'spellcheck="false"' in field
    assert "value=" not in field


@pytest.mark.parametrize(("slug", "has_email"), [("github", False), ("gitlab", False), ("bitbucket", True)])
def test_only_bitbucket_asks_for_the_email_address(alice: User, slug: str, has_email: bool) -> None:
    builders.host(slug)
    html = visit(alice).get(reverse("token", kwargs={"slug": slug})).content.decode()
    assert ('name="email"' in html) is has_email


def test_an_accepted_token_leads_to_what_was_learned(alice: User, sandbox: RunningSandbox) -> None:
    host = sandbox_host(sandbox, "github")
    minted = sandbox.mint("github", "octo-alice", "personal_token", ["repo"])
    client = visit(alice)
    response = paste(client, host, token=f"  {minted.token}\n", label="at work")
    held = Credential.objects.get()
    assert response["Location"] == reverse("credential", kwargs={"credential_id": held.pk})
    assert (held.owner, held.label, held.status, held.account_name) == (
        alice,
        "at work",
        "valid",
        "octo-alice",
    )
    html = client.get(response["Location"]).content.decode()
    assert "Github is connected." in html
    assert "octo-alice" in html
    assert minted.token not in html
    assert AuditEvent.objects.get(action="credential.connected").actor_name == "alice"


def test_a_gitlab_token_that_hides_its_owner_is_stored_and_said_to(
    alice: User, sandbox: RunningSandbox
) -> None:
    host = sandbox_host(sandbox, "gitlab")
    minted = sandbox.mint("gitlab", "octo-alice", "personal_token", ["read_repository"])
    client = visit(alice)
    response = paste(client, host, token=minted.token)
    html = client.get(response["Location"]).content.decode()
    assert "not readable with these scopes" in html
    assert "Reads private repositories." in html


def test_a_bitbucket_token_is_checked_with_its_email_address(alice: User, sandbox: RunningSandbox) -> None:
    host = sandbox_host(sandbox, "bitbucket")
    minted = sandbox.mint("bitbucket", "octo-alice", "api_token", ["read:repository:bitbucket"])
    client = visit(alice)
    refused = paste(client, host, token=minted.token).content.decode()
    assert "The e-mail address is needed too" in refused
    assert minted.token not in refused
    assert paste(client, host, token=minted.token, email=minted.email).status_code == 302


@pytest.mark.parametrize(
    ("token", "title"),
    [
        ("ghp with a blank inside", "This token looks mistyped"),
        ("glpat-" + "k" * 20, "This token belongs to another provider"),
        ("ghs_" + "k" * 36, "This kind of token cannot be used"),
        ("-----BEGIN OPENSSH PRIVATE KEY-----", "This"),
    ],
)
def test_what_is_no_usable_token_gets_its_own_message_and_is_not_kept(
    alice: User, token: str, title: str
) -> None:
    builders.host("github")
    response = paste(visit(alice), "github", token=token, label="kept label")
    html = response.content.decode()
    assert title in html
    assert "More about" in html
    assert token not in html
    assert 'value="kept label"' in html
    assert not Credential.objects.exists()
    assert token not in everything_in_sessions()


def test_a_retired_app_password_is_called_retired(alice: User) -> None:
    builders.host("bitbucket")
    html = paste(visit(alice), "bitbucket", token="ATBB" + "k" * 32).content.decode()
    assert "no longer accepted" in html


def test_a_token_the_host_refuses_is_not_stored(alice: User, sandbox: RunningSandbox) -> None:
    host = sandbox_host(sandbox, "github")
    token = "github_pat_" + "k" * 82
    html = paste(visit(alice), host, token=token).content.decode()
    assert "does not accept this token" in html
    assert token not in html
    assert not Credential.objects.exists()


def test_a_host_that_does_not_answer_leaves_the_token_stored_and_says_so(alice: User) -> None:
    builders.host("github")
    client = visit(alice)
    response = paste(client, "github", token="ghp_" + "k" * 36)
    assert Credential.objects.get().status == Status.UNVERIFIED
    html = client.get(response["Location"]).content.decode()
    assert "could not be asked" in html
    assert "not checked yet" in html


def test_a_date_that_has_passed_is_refused_before_anybody_is_asked(alice: User) -> None:
    builders.host("github")
    yesterday = (timezone.now() - timedelta(days=1)).date().isoformat()
    html = paste(visit(alice), "github", token="ghp_" + "k" * 36, expires_at=yesterday).content.decode()
    assert "not in the future" in html
    assert "<details open>" in html
    assert "k" * 36 not in html
    assert not Credential.objects.exists()


def test_an_empty_form_says_what_is_missing(alice: User) -> None:
    builders.host("github")
    html = paste(visit(alice), "github").content.decode()
    assert 'aria-invalid="true"' in html


def test_the_date_somebody_chose_is_kept_where_the_host_does_not_tell(alice: User) -> None:
    builders.host("github")
    chosen = (timezone.now() + timedelta(days=30)).date()
    paste(visit(alice), "github", token="ghp_" + "k" * 36, expires_at=chosen.isoformat())
    ends = Credential.objects.get().expires_at
    assert ends is not None
    assert ends.isoformat() == f"{chosen.isoformat()}T00:00:00+00:00"


def test_replacing_keeps_the_connection_and_exchanges_the_token(alice: User, sandbox: RunningSandbox) -> None:
    host = sandbox_host(sandbox, "github")
    held = builders.credential(alice, host, label="at work", status=Status.REJECTED)
    minted = sandbox.mint("github", "octo-alice", "personal_token", ["repo"])
    client = visit(alice)
    address = reverse("credential_replace", kwargs={"credential_id": held.pk})
    assert 'name="label"' not in client.get(address).content.decode()
    response = client.post(address, {"token": minted.token})
    after = Credential.objects.get()
    assert (after.pk, after.label, after.status) == (held.pk, "at work", Status.VALID)
    assert bytes(after.access_envelope or b"") != bytes(held.access_envelope or b"")
    assert "new token for Github is in place" in client.get(response["Location"]).content.decode()


def test_a_replacement_of_another_account_is_refused(alice: User, sandbox: RunningSandbox) -> None:
    host = sandbox_host(sandbox, "github")
    held = builders.credential(alice, host, account_id="1", account_name="somebody")
    minted = sandbox.mint("github", "octo-alice", "personal_token", ["repo"])
    address = reverse("credential_replace", kwargs={"credential_id": held.pk})
    html = visit(alice).post(address, {"token": minted.token}).content.decode()
    assert "Another account answered" in html
    assert Credential.objects.get().generation == 1


def test_an_oauth_connection_is_renewed_at_the_host_and_not_by_pasting(alice: User) -> None:
    held = builders.credential(alice, oauth_host(), kind=Kind.OAUTH)
    response = visit(alice).get(reverse("credential_replace", kwargs={"credential_id": held.pk}))
    assert response["Location"] == reverse("credential", kwargs={"credential_id": held.pk})


def test_nobody_replaces_the_token_of_somebody_else(alice: User, charlie: User) -> None:
    held = builders.credential(alice, builders.host("github"))
    address = reverse("credential_replace", kwargs={"credential_id": held.pk})
    assert visit(charlie).post(address, {"token": "ghp_" + "k" * 36}).status_code == 404
    assert Credential.objects.get().generation == 1


def test_the_token_is_hidden_from_error_reports(alice: User) -> None:
    builders.host("github")
    response = paste(visit(alice), "github", token="ghp_" + "k" * 36)
    assert response.wsgi_request.sensitive_post_parameters == ("token",)
