"""The pages of GitHub's that people are sent to."""

from __future__ import annotations

from dataclasses import replace

import pytest

from credentials.providers.facts import OrganizationLinks
from credentials.providers.github.links import Links
from credentials.providers.tokens import Kind

LINKS = Links(web_url="https://github.com")
SETTINGS = "https://github.com/organizations/acme/settings"


@pytest.mark.parametrize(
    ("kind", "client_id", "expected"),
    [
        (
            Kind.OAUTH,
            "Iv1.abc",
            OrganizationLinks(
                request="https://github.com/settings/connections/applications/Iv1.abc",
                approve=f"{SETTINGS}/oauth_application_policy",
                sso="https://github.com/orgs/acme/sso",
            ),
        ),
        (Kind.OAUTH, "", OrganizationLinks(sso="https://github.com/orgs/acme/sso")),
        (Kind.OAUTH, "../../evil", OrganizationLinks(sso="https://github.com/orgs/acme/sso")),
        (
            Kind.FINE_GRAINED_TOKEN,
            "Iv1.abc",
            OrganizationLinks(
                approve=f"{SETTINGS}/personal-access-token-requests", sso="https://github.com/orgs/acme/sso"
            ),
        ),
        (Kind.PERSONAL_TOKEN, "Iv1.abc", OrganizationLinks(sso="https://github.com/orgs/acme/sso")),
        (Kind.APP_TOKEN, "Iv1.abc", OrganizationLinks(sso="https://github.com/orgs/acme/sso")),
    ],
)
def test_each_kind_of_token_has_its_own_way_to_be_let_in(
    kind: Kind, client_id: str, expected: OrganizationLinks
) -> None:
    told = LINKS.of_organization("acme", kind=kind, client_id=client_id)

    assert replace(told, token="") == expected
    assert told.token == LINKS.new_fine_grained_token("acme")


@pytest.mark.parametrize("key", ["", "..", "a/b", "a b", "a?b", "a#b", "a" * 101])
def test_a_name_that_no_organization_has_leads_nowhere(key: str) -> None:
    assert LINKS.of_organization(key, kind=Kind.OAUTH, client_id="Iv1.abc") == OrganizationLinks()
    assert LINKS.single_sign_on(key) == ""
    assert "target_name" not in LINKS.new_fine_grained_token(key)


@pytest.mark.parametrize("slug", ["", "..", "A B", "a/b"])
def test_an_app_without_a_name_leads_nowhere(slug: str) -> None:
    assert LINKS.installation(slug) == ""
    assert LINKS.installation("forgekey") == "https://github.com/apps/forgekey/installations/new"
