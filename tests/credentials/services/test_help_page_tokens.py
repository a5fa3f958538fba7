"""The tokens that the help page tells people to make, and what cannot be known of them: verdict_table/help.md."""

from __future__ import annotations

from dataclasses import replace

import pytest
from django.contrib.auth.models import User

from credentials.crypto.secret import Secret
from credentials.models import Credential, Host
from credentials.services import connect, hosts
from credentials.services.connect import ManualEntry
from credentials.services.diagnose import diagnose
from credentials.services.logins import login_of
from tests import builders
from tests.credentials.services.verdict_rows import NOTHING, table
from tests.sandbox import Minted, RunningSandbox

pytestmark = pytest.mark.django_db

ROWS = list(table("help"))
ADDRESSES = {
    "bitbucket-server": ("scm/~octo-alice/private-cases.git", "scm/acme/cases.git"),
    "azure": ("", "acme/cases/_git/cases"),
}
USUAL = ("octo-alice/private-cases", "acme/cases")


@pytest.mark.parametrize("cells", ROWS, ids=[f"{cells[0]}: {cells[2]}" for cells in ROWS])
def test_a_token_of_the_help_page_is_accepted_verified_and_diagnosed(
    cells: list[str], sandbox_process: RunningSandbox, alice: User
) -> None:
    slug, kind, scopes, *expected = cells
    sandbox_process.control(slug, "POST", "reset", {})
    host = builders.sandbox_host(sandbox_process, slug)
    made = sandbox_process.mint(slug, "octo-alice", kind, scopes.split())
    entry = _entry(slug, made)

    held = connect.connect_token(actor=builders.SYSTEM, owner=alice, host=host, entry=entry).credential

    seen = [held.status, _account(held), _words(held.scopes), _told(held.expires_at)]
    seen += [*_lists(host, held, made), *_verdicts(sandbox_process, slug, alice)]
    assert seen == expected


def _entry(slug: str, made: Minted) -> ManualEntry:
    """The form as it is filled in: two hosts ask for something beside the token."""
    entry = ManualEntry(token=Secret(made.token))
    match slug:
        case "bitbucket":
            return replace(entry, email=made.email)
        case "bitbucket-server":
            return replace(entry, username=made.username)
    return entry


def _account(held: Credential) -> str:
    return held.account_name or ("a number" if held.account_id.isdecimal() else "unknown")


def _words(scopes: list[str] | None) -> str:
    return "unknown" if scopes is None else " ".join(scopes)


def _told(fact: object) -> str:
    return "unknown" if fact is None else "yes"


def _lists(host: Host, held: Credential, made: Minted) -> list[str]:
    """Whether the organizations and the repositories can be listed; a list that is shown is the right one."""
    provider, login = hosts.provider_of(host), login_of(held, Secret(made.token))
    organizations = provider.organizations(login)
    if organizations is not None and host.slug != "azure":  # there the host is the organization
        assert "acme" in {fact.key.lower() for fact in organizations}
    page = provider.repositories(login)
    if page is not None and " ".join(held.scopes or ()) != "read:org":
        assert any("cases" in fact.path for fact in page.repositories)
    return [_told(organizations), _told(page)]


def _verdicts(sandbox: RunningSandbox, slug: str, owner: User) -> list[str]:
    codes = []
    for address in ADDRESSES.get(slug, USUAL):
        if not address:
            codes.append(NOTHING)
            continue
        url = f"{sandbox.hosts[slug].origin}/{address}"
        codes.append(diagnose(actor=builders.SYSTEM, user=owner, repository_url=url).verdict.code.value)
    return codes


def test_every_host_has_a_row_with_exactly_what_its_help_page_asks_for(
    sandbox_process: RunningSandbox, db: None
) -> None:
    asked = {}
    for slug in sandbox_process.hosts:
        guide = hosts.provider_of(builders.sandbox_host(sandbox_process, slug)).guide()
        least = " ".join(need.scope for need in guide.scopes if need.required)
        asked[slug] = {least, " ".join(need.scope for need in guide.scopes)}
    for slug, wanted in asked.items():
        assert wanted <= {cells[2] for cells in ROWS if cells[0] == slug}, slug
