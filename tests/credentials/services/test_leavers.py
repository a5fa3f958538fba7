"""Who leaves an organization borrows nothing below it any more; what nobody knows changes nothing."""

from __future__ import annotations

from datetime import timedelta

import pytest
from django.contrib.auth.models import User
from django.utils import timezone

from credentials.models import AccessState, Credential, Host, Lease, Notice, RepositoryAccess
from credentials.providers.facts import OrganizationFact, OrganizationState
from credentials.services import organizations, targets
from tests import builders

pytestmark = pytest.mark.django_db


def lent(credential: Credential, path: str) -> Lease:
    """Something borrowed, and the memory that it could be read."""
    now = timezone.now()
    client = builders.client(f"for {path or 'the host'}")[0]
    url = f"{credential.host.web_url}/{path}" if path else ""
    if path:
        RepositoryAccess.objects.create(
            credential=credential,
            key=targets.key_at(credential.host, url),
            verdict="ok",
            checked_at=now,
        )
    return Lease.objects.create(
        client=client,
        credential=credential,
        repository_url=url,
        purpose="import",
        chosen_because="only_one",
        created_at=now,
        expires_at=now + timedelta(hours=1),
    )


def say(credential: Credential, key: str, state: OrganizationState) -> None:
    fact = OrganizationFact(key=key, name=key, state=state, evidence="404")
    organizations.observe(credential, [fact], actor=builders.SYSTEM, now=timezone.now())


def over(*leases: Lease) -> list[bool]:
    return [Lease.objects.get(pk=lease.pk).ended_at is not None for lease in leases]


def remembered(credential: Credential) -> set[str]:
    return set(credential.repositories.values_list("key", flat=True))


def test_what_lies_below_the_organization_ends_and_nothing_else(alice: User) -> None:
    credential = builders.credential(alice, builders.host())
    builders.access(credential, "acme", state=AccessState.ACCESSIBLE)
    leases = [lent(credential, path) for path in ("acme/cases", "acmeville/cases", "octo-alice/acme", "")]

    say(credential, "acme", OrganizationState.NO_MEMBERSHIP)

    assert over(*leases) == [True, False, False, False]
    assert remembered(credential) == {"acmeville/cases", "octo-alice/acme"}
    assert Notice.objects.get(user=alice).code == "organization_left"


@pytest.mark.parametrize(
    ("before", "after"),
    [
        (AccessState.ACCESSIBLE, OrganizationState.UNKNOWN),
        (AccessState.ACCESSIBLE, OrganizationState.SSO_REQUIRED),
        (AccessState.UNKNOWN, OrganizationState.NO_MEMBERSHIP),
        (AccessState.NOT_APPROVED, OrganizationState.NO_MEMBERSHIP),
    ],
)
def test_any_other_answer_ends_nothing(alice: User, before: str, after: OrganizationState) -> None:
    credential = builders.credential(alice, builders.host())
    builders.access(credential, "acme", state=before)
    lease = lent(credential, "acme/cases")

    say(credential, "acme", after)

    assert over(lease) == [False]
    assert remembered(credential) == {"acme/cases"}


def test_a_group_below_that_still_lets_in_keeps_what_is_its_own(alice: User) -> None:
    host = builders.host("gitlab", web_url="http://127.0.0.1:9/git", api_url="http://127.0.0.1:9/git/api/v4")
    credential = builders.credential(alice, host)
    for key in ("acme", "acme/open"):
        builders.access(credential, key, state=AccessState.ACCESSIBLE)
    leases = [lent(credential, path) for path in ("acme/cases", "acme/open/x", "acme/opened/x")]

    say(credential, "acme", OrganizationState.NO_MEMBERSHIP)

    assert over(*leases) == [True, False, True]


def test_a_project_of_bitbucket_server_is_not_the_first_word_of_the_path(alice: User) -> None:
    host: Host = builders.host(
        "bitbucket-server",
        provider="bitbucket_server",
        web_url="http://127.0.0.1:9",
        api_url="http://127.0.0.1:9/rest/api/1.0",
    )
    credential = builders.credential(alice, host)
    builders.access(credential, "acme", state=AccessState.ACCESSIBLE)
    leases = [lent(credential, path) for path in ("scm/acme/cases", "scm/other/acme")]

    say(credential, "acme", OrganizationState.NO_MEMBERSHIP)

    assert over(*leases) == [True, False]
