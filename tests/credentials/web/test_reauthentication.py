from __future__ import annotations

from typing import Any
from urllib.parse import parse_qs, urlsplit

import pytest
from django.contrib.auth.models import User
from django.test import Client
from django.urls import reverse

from credentials.models import Credential, PendingConnection
from tests import builders
from tests.credentials.web.visitor import everything_in_sessions, grow_old, oauth_host, visit

TOKEN = "ghp_" + "Q7" * 18


def addresses(held: Credential) -> list[tuple[str, str, str]]:
    """What must be recent: method, address, and the page one comes back to."""
    one = {"credential_id": held.pk}
    page = reverse("credential", kwargs=one)
    return [
        ("GET", reverse("token", kwargs={"slug": "github"}), reverse("token", kwargs={"slug": "github"})),
        ("POST", reverse("token", kwargs={"slug": "github"}), reverse("token", kwargs={"slug": "github"})),
        ("GET", reverse("credential_replace", kwargs=one), reverse("credential_replace", kwargs=one)),
        ("POST", reverse("credential_replace", kwargs=one), reverse("credential_replace", kwargs=one)),
        ("GET", reverse("credential_disconnect", kwargs=one), reverse("credential_disconnect", kwargs=one)),
        ("POST", reverse("credential_disconnect", kwargs=one), reverse("credential_disconnect", kwargs=one)),
        (
            "POST",
            reverse("connect", kwargs={"slug": "github"}),
            reverse("connect", kwargs={"slug": "github"}),
        ),
        ("POST", reverse("credential_reconnect", kwargs=one), page),
    ]


def test_linking_replacing_and_disconnecting_ask_again_after_five_minutes(alice: User) -> None:
    held = builders.credential(alice, oauth_host())
    client = visit(alice)
    grow_old(client)
    for method, address, back in addresses(held):
        response = client.generic(method, address)
        assert response.status_code == 302, (method, address)
        asked = urlsplit(response["Location"])
        assert asked.path == reverse("account_reauthenticate"), (method, address)
        expected = f"{back}?again=1" if method == "POST" else back
        assert parse_qs(asked.query)["next"] == [expected]
        assert client.get(expected).status_code in {200, 302}
    assert Credential.objects.get().is_connected


def test_a_sign_in_counts_as_recent_for_five_minutes(alice: User) -> None:
    builders.host("github")
    client = visit(alice)
    grow_old(client, 290)
    assert client.get(reverse("token", kwargs={"slug": "github"})).status_code == 200


def test_a_form_that_was_opened_in_time_may_be_sent_for_half_an_hour(alice: User) -> None:
    builders.host("github")
    builders.host("gitlab")
    here, elsewhere = (reverse("token", kwargs={"slug": slug}) for slug in ("github", "gitlab"))
    client = visit(alice)
    client.get(here)
    grow_old(client, 29 * 60)
    assert client.post(here, {"token": ""}).status_code == 200, "the form comes back and says what is missing"
    assert client.post(elsewhere, {"token": ""}).status_code == 302, "only the page that was opened"
    assert client.get(here).status_code == 302, "nothing new is opened"
    _age_the_opened_page(client, 31 * 60)
    assert client.post(here, {"token": ""}).status_code == 302


def test_a_session_without_any_proof_is_not_recent(alice: User) -> None:
    builders.host("github")
    client = Client()
    client.force_login(alice)
    assert client.get(reverse("token", kwargs={"slug": "github"})).status_code == 302


def test_the_proof_of_another_person_in_the_same_session_counts_for_nothing(alice: User, bob: User) -> None:
    builders.host("github")
    client = visit(alice)
    session = client.session
    session["account_authentication_methods_user"] = str(bob.pk)
    session.save()
    assert client.get(reverse("token", kwargs={"slug": "github"})).status_code == 302


@pytest.mark.parametrize("field", ["token", "label", "email"])
def test_an_interrupted_post_never_reaches_the_session_table(alice: User, field: str) -> None:
    builders.host("github")
    client = visit(alice)
    grow_old(client)
    client.post(reverse("token", kwargs={"slug": "github"}), {field: TOKEN})
    assert TOKEN not in everything_in_sessions()
    assert not Credential.objects.exists()
    assert not PendingConnection.objects.exists()


def test_after_proving_oneself_one_is_back_and_asked_to_paste_again(alice: User) -> None:
    builders.host("github")
    client = visit(alice)
    grow_old(client)
    asked = client.post(reverse("token", kwargs={"slug": "github"}), {"token": TOKEN})["Location"]
    assert client.get(asked).status_code == 200
    back = client.post(asked, {"password": "alice-demo", **_next_of(asked)})
    assert back.status_code == 302
    html = client.get(back["Location"]).content.decode()
    assert "please enter it again" in html
    assert TOKEN not in html


def test_a_wrong_password_leads_nowhere(alice: User) -> None:
    builders.host("github")
    client = visit(alice)
    grow_old(client)
    asked = client.get(reverse("token", kwargs={"slug": "github"}))["Location"]
    assert client.post(asked, {"password": "wrong", **_next_of(asked)}).status_code == 200
    assert client.get(reverse("token", kwargs={"slug": "github"})).status_code == 302


def test_somebody_without_a_password_here_is_asked_to_sign_in_anew(alice: User) -> None:
    builders.host("github")
    client = visit(alice)
    alice.set_unusable_password()
    User.objects.filter(pk=alice.pk).update(password=alice.password)
    client.force_login(User.objects.get(pk=alice.pk))
    response = client.get(reverse("token", kwargs={"slug": "github"}))
    assert urlsplit(response["Location"]).path == reverse("account_logout")
    assert reverse("account_login") in parse_qs(urlsplit(response["Location"]).query)["next"][0]


def _age_the_opened_page(client: Client, seconds: float) -> None:
    session = client.session
    opened = session["credentials_page_opened"]
    session["credentials_page_opened"] = {**opened, "at": opened["at"] - seconds}
    session.save()


def _next_of(address: str) -> dict[str, Any]:
    return {"next": parse_qs(urlsplit(address).query)["next"][0]}
