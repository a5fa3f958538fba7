"""Reminders of tokens that live on at their host, for their owner only, until they say that it is done."""

from __future__ import annotations

from datetime import timedelta

import pytest
from django.contrib.auth.models import User
from django.urls import reverse

from credentials.models import Credential, Revocation, RevocationState
from credentials.providers.tokens import Kind
from tests import builders
from tests.credentials.web.visitor import visit


def left(owner: User, slug: str = "gitea", kind: Kind = Kind.PERSONAL_TOKEN) -> Revocation:
    """What is left after a person disconnected on the page."""
    held = builders.credential(owner, builders.host(slug), kind=kind, account_name="octo-alice")
    address = reverse("credential_disconnect", args=[held.pk])
    html = visit(owner).post(address, follow=True).content.decode()
    assert "You are reminded" in html or slug != "gitea"
    assert not Credential.objects.exclude(status="disconnected").exists()
    return Revocation.objects.get()


def test_a_token_that_only_its_owner_can_end_is_reminded_of_until_it_is_done(alice: User) -> None:
    made = left(alice)
    client = visit(alice)

    html = client.get("/").content.decode()
    assert "Still to be revoked" in html
    assert "octo-alice at Gitea" in html
    assert "Gitea has no call that revokes it." in html
    assert f'href="{made.manual_url}"' in html
    address = reverse("revocation_done", args=[made.pk])
    assert f'<form method="post" action="{address}">' in html

    afterwards = client.post(address, follow=True).content.decode()
    assert "Still to be revoked" not in afterwards
    assert "You are not reminded of it any more." in afterwards
    made.refresh_from_db()
    assert made.state == "manual"
    assert made.acknowledged_at is not None


@pytest.mark.parametrize(
    ("in_doubt", "after", "said"),
    [
        (False, timedelta(minutes=3), "Github could not be asked to revoke it."),
        (False, timedelta(days=7), "Github did not confirm it within a week."),
        (True, timedelta(minutes=3), "may have renewed it just before"),
    ],
)
def test_why_it_is_left_to_its_owner_is_said(
    alice: User, in_doubt: bool, after: timedelta, said: str
) -> None:
    made = left(alice, "github")
    Revocation.objects.update(
        state=RevocationState.MANUAL, in_doubt=in_doubt, finished_at=made.requested_at + after
    )
    assert said in visit(alice).get("/").content.decode()


def test_what_waits_for_its_host_has_a_link_and_no_button(alice: User) -> None:
    made = left(alice, "github")
    html = visit(alice).get("/").content.decode()
    assert "Github is asked again until it confirms." in html
    assert f'href="{made.manual_url}"' in html
    assert reverse("revocation_done", args=[made.pk]) not in html


def test_nobody_sees_or_ends_anothers_reminder(alice: User, bob: User, admin: User) -> None:
    made = left(alice)
    for stranger in (bob, admin):
        client = visit(stranger)
        assert "Still to be revoked" not in client.get("/").content.decode()
        assert client.post(reverse("revocation_done", args=[made.pk])).status_code == 404
    made.refresh_from_db()
    assert made.acknowledged_at is None


def test_looking_changes_nothing(alice: User) -> None:
    made = left(alice)
    assert visit(alice).get(reverse("revocation_done", args=[made.pk])).status_code == 405
