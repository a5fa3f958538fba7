from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest
from django.contrib.auth.models import User
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext
from django.urls import reverse
from django.utils import timezone

from credentials.models import AccessState, Lease, Status
from credentials.providers.tokens import Kind
from credentials.services import hosts
from tests import builders
from tests.credentials.web.visitor import oauth_host, visit


def page(client: Client, name: str = "connections", **kwargs: Any) -> str:
    response = client.get(reverse(name, kwargs=kwargs))
    assert response.status_code == 200
    return response.content.decode()


def test_an_empty_page_offers_one_primary_action(alice: User) -> None:
    builders.host("github")
    html = page(visit(alice))
    assert html.count("button primary") == 1
    assert reverse("connect_choose") in html


def test_without_any_host_nobody_is_sent_to_connect(alice: User) -> None:
    html = page(visit(alice))
    assert "No Git host is set up here yet" in html
    assert "button primary" not in html


def test_alice_sees_hers_and_nothing_of_bob(alice: User, bob: User) -> None:
    github = builders.host("github")
    builders.credential(alice, github, account_name="octo-alice")
    builders.credential(bob, github, account_name="octo-bob")
    html = page(visit(alice))
    assert "octo-alice" in html
    assert "octo-bob" not in html


def test_a_card_says_what_is_known(alice: User) -> None:
    github = builders.host("github")
    held = builders.credential(
        alice,
        github,
        account_name="octo-alice",
        account_id="4711",
        scopes=["repo"],
        expires_at=timezone.now() + timedelta(days=100, hours=1),
    )
    client, _key = builders.client("backend")
    now = timezone.now()
    Lease.objects.create(
        client=client,
        credential=held,
        purpose="import",
        chosen_because="only_one",
        created_at=now - timedelta(hours=3),
        expires_at=now,
    )
    html = page(visit(alice))
    for text in ("works", "id 4711", "personal access token", "Reads private repositories", "3\xa0hours ago"):
        assert text in html, text
    assert "in 3\xa0months" in html


def test_an_unknown_identity_is_said_to_be_unreadable(alice: User) -> None:
    builders.credential(alice, builders.host("gitlab"), token="glpat-" + "a" * 20)
    assert "identity not readable with these scopes" in page(visit(alice))


def test_scopes_the_host_does_not_tell_are_not_called_none(alice: User) -> None:
    builders.credential(alice, builders.host("github"), scopes=None)
    assert "does not tell what this token may do" in page(visit(alice))


def test_a_token_that_ends_soon_says_so_before_anybody_checked_again(alice: User) -> None:
    builders.credential(alice, builders.host("github"), expires_at=timezone.now() + timedelta(days=3))
    assert "expires soon" in page(visit(alice))


def test_a_token_whose_time_is_over_is_called_expired(alice: User) -> None:
    builders.credential(alice, builders.host("github"), expires_at=timezone.now() - timedelta(days=3))
    html = page(visit(alice))
    assert "expired" in html
    assert reverse("help", kwargs={"topic": "token-expired"}) in html


def test_a_grant_at_its_end_asks_to_reconnect(alice: User) -> None:
    builders.credential(
        alice, oauth_host(), kind=Kind.OAUTH, expires_at=timezone.now() - timedelta(minutes=5)
    )
    html = page(visit(alice))
    assert "Please connect again" in html
    assert "Reconnect" in html


def test_every_status_has_a_word_and_an_icon(alice: User) -> None:
    github = builders.host("github")
    shown = [status for status in Status if status is not Status.DISCONNECTED]
    for number, status in enumerate(shown):
        builders.credential(alice, github, token="ghp_" + f"{number:036}", status=status)
    html = page(visit(alice))
    for status in shown:
        assert f"</svg>\n{status.label}</span>" in html, status


def test_each_organization_has_its_state_and_the_button_that_mends_it(alice: User) -> None:
    github = oauth_host()
    held = builders.credential(alice, github, kind=Kind.OAUTH)
    accesses = {
        key: builders.access(held, key, state=state, mend_url=f"{github.web_url}/{path}")
        for key, state, path in (
            ("acme", "accessible", "never-shown"),
            ("assxxx", "not_approved", "ask"),
            ("sso-corp", "sso_required", "orgs/sso-corp/sso?authorization_request=1"),
        )
    }
    html = page(visit(alice))
    asking = {"credential_id": held.pk, "organization_id": accesses["assxxx"].organization_id}
    assert f'action="{reverse("organization_request", kwargs=asking)}"' in html
    assert "Request access" in html
    assert f'href="{github.web_url}/orgs/sso-corp/sso?authorization_request=1"' in html
    assert "never-shown" not in html
    assert "/settings/connections/applications/client-of-forgekey" in html


def test_nobody_is_led_to_where_the_host_does_not_vouch_for(alice: User) -> None:
    held = builders.credential(alice, oauth_host(), kind=Kind.OAUTH)
    for state in AccessState.values:
        builders.access(held, state, state=state, mend_url="https://evil.example/")
    assert "evil.example" not in page(visit(alice))


def test_organizations_one_is_no_member_of_are_counted_and_not_listed_among_the_others(alice: User) -> None:
    held = builders.credential(alice, oauth_host(), kind=Kind.OAUTH)
    builders.access(held, "acme", state="accessible")
    builders.access(held, "strangers", state="no_membership")
    html = page(visit(alice))
    assert "1 more: not a member" in html
    assert html.index("<strong>acme</strong>") < html.index("<details") < html.index("strangers")


def test_a_card_names_the_first_step_that_mends_it_and_leads_there(alice: User) -> None:
    held = builders.credential(
        alice, oauth_host(), kind=Kind.OAUTH, status=Status.RECONNECT_REQUIRED, account_name="octo-alice"
    )
    html = page(visit(alice))
    address = reverse("credential", kwargs={"credential_id": held.pk})
    assert f'<a href="{address}" rel="noopener">Reconnect; the connection keeps its name' in html


def test_a_host_that_was_switched_off_keeps_its_card_but_offers_no_test(alice: User) -> None:
    github = builders.host("github")
    held = builders.credential(alice, github)
    hosts.set_enabled(actor=builders.SYSTEM, host=github, enabled=False)
    client = visit(alice)
    html = page(client)
    assert "switched off by an administrator" in html
    assert reverse("credential_test", kwargs={"credential_id": held.pk}) not in html
    assert reverse("credential_disconnect", kwargs={"credential_id": held.pk}) in html
    assert client.post(reverse("credential_test", kwargs={"credential_id": held.pk})).status_code == 404


@pytest.mark.parametrize("name", ["connections", "credential"])
def test_the_number_of_statements_does_not_grow(alice: User, name: str) -> None:
    github = oauth_host()
    kwargs = {}
    counts = []
    client = visit(alice)
    now = timezone.now()
    lender, _key = builders.client("backend")
    for size in (1, 12):
        for number in range(size):
            held = builders.credential(alice, github, token="ghp_" + f"{size:018}{number:018}")
            for key in range(size):
                builders.access(held, f"o{key}", name="o")
                Lease.objects.create(
                    client=lender,
                    credential=held,
                    purpose="p",
                    chosen_because="",
                    created_at=now,
                    expires_at=now,
                )
        kwargs = {"credential_id": held.pk} if name == "credential" else {}
        client.get(reverse(name, kwargs=kwargs))
        with CaptureQueriesContext(
            connection,
        ) as queries:
            assert client.get(reverse(name, kwargs=kwargs)).status_code == 200
        counts.append(len(queries))
    assert counts[0] == counts[1]


def test_no_page_loads_what_is_sealed(alice: User) -> None:
    builders.credential(alice, builders.host("github"))
    client = visit(alice)
    with CaptureQueriesContext(connection) as queries:
        client.get(reverse("connections"))
    selected = [
        query["sql"].split(" FROM ")[0] for query in queries if "credentials_credential" in query["sql"]
    ]
    assert selected
    assert not [text for text in selected if '"access_envelope"' in text or '"fingerprint"' in text]


def test_the_choice_lists_every_open_host(alice: User) -> None:
    builders.host("github")
    closed = builders.host("gitlab")
    hosts.set_enabled(actor=builders.SYSTEM, host=closed, enabled=False)
    html = page(visit(alice), "connect_choose")
    assert reverse("connect", kwargs={"slug": "github"}) in html
    assert reverse("connect", kwargs={"slug": "gitlab"}) not in html


def test_both_ways_to_connect_stand_side_by_side_with_their_scopes(alice: User) -> None:
    oauth_host()
    html = page(visit(alice), "connect", slug="github")
    assert "Continue to Github" in html
    assert reverse("token", kwargs={"slug": "github"}) in html
    assert html.count("<code>repo</code>") == 2


def test_where_only_tokens_are_possible_the_choice_leads_straight_to_the_form(alice: User) -> None:
    builders.host("github")
    response = visit(alice).get(reverse("connect", kwargs={"slug": "github"}))
    assert response["Location"] == reverse("token", kwargs={"slug": "github"})


def test_leaving_for_the_host_is_a_page_of_ours_because_browsers_hold_back_redirected_forms(
    alice: User,
) -> None:
    github = oauth_host()
    response = visit(alice).post(reverse("connect", kwargs={"slug": "github"}))
    html = response.content.decode()
    assert response.status_code == 200
    assert f'content="0;url={github.web_url}/login/oauth/authorize?' in html
    assert "no-store" in response["Cache-Control"]
    assert "form-action 'self'" in response["Content-Security-Policy"]


def test_a_host_nobody_set_up_is_not_there(alice: User) -> None:
    client = visit(alice)
    assert client.get(reverse("connect", kwargs={"slug": "nowhere"})).status_code == 404
    assert client.post(reverse("connect", kwargs={"slug": "nowhere"})).status_code == 404
