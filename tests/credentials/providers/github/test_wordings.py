"""GitHub's sentences: what they name, and which page mends what they refuse."""

from __future__ import annotations

import pytest

from credentials.errors import AccessRefused
from credentials.providers.answers import Answer
from credentials.providers.facts import HostFacts
from credentials.providers.github import GitHub
from credentials.providers.github.wordings import (
    CLASSIC_FORBIDDEN,
    FINE_GRAINED_FORBIDDEN,
    LIFETIME_FORBIDDEN,
    moved,
    read_refusal,
    withheld,
)
from credentials.verdicts import VerdictCode
from tests.credentials.providers.asking import NOW, door

RESTRICTED = (
    "Although you appear to have the correct authorization credentials, the `assxxx` organization has enabled OAuth "
    "App access restrictions, meaning that data access to third-parties is limited."
)
CLASSIC = (
    "`Acme-Corp` forbids access via a personal access token (classic). Please use a GitHub App, OAuth App, "
    "or a personal access token with fine-grained permissions."
)
FINE_GRAINED = "`acme` forbids access via a fine-grained personal access token. Please use a GitHub App or …"
LIFETIME = (
    "The 'acme' organization forbids access via a fine-grained personal access tokens if the token's lifetime is "
    "greater than 30 days. Please adjust your token's lifetime at the following URL: {url}"
)
PAGE = "https://github.com/settings/personal-access-tokens/4711"
API = "https://api.github.com"


def refused(message: str, **headers: str) -> AccessRefused:
    host = HostFacts(
        slug="github", name="GitHub", web_url="https://github.com", api_url=API, client_id="Iv1.abc"
    )
    named = {name.replace("_", "-"): value for name, value in headers.items()}
    answer = Answer(method="GET", path="/x", status=403, headers=named, json={"message": message})
    problem = GitHub(host=host, door=door(), now=lambda: NOW).translate(answer)
    assert isinstance(problem, AccessRefused)
    return problem


@pytest.mark.parametrize(
    ("message", "wording", "url"),
    [
        (
            CLASSIC,
            CLASSIC_FORBIDDEN,
            "https://github.com/settings/personal-access-tokens/new?name=Forgekey&contents=read"
            "&target_name=Acme-Corp",
        ),
        (
            FINE_GRAINED,
            FINE_GRAINED_FORBIDDEN,
            "https://github.com/settings/tokens/new?scopes=repo%2Cread%3Aorg&description=Forgekey",
        ),
        (LIFETIME.format(url=PAGE), LIFETIME_FORBIDDEN, PAGE),
        (LIFETIME.format(url=f"{PAGE}."), LIFETIME_FORBIDDEN, PAGE),
    ],
)
def test_three_policies_about_tokens_are_told_apart_and_each_has_its_page(
    message: str, wording: str, url: str
) -> None:
    problem = refused(message)
    assert problem.verdict_code == VerdictCode.ORGANIZATION_POLICY
    assert problem.evidence == f"GET /x 403: {wording}"
    assert problem.url == url


@pytest.mark.parametrize(
    "page",
    [
        "https://evil.example/settings/personal-access-tokens/4711",
        "https://github.com.evil.example/settings/personal-access-tokens/4711",
        "http://github.com/settings/personal-access-tokens/4711",
        "https://github.com/settings/personal-access-tokens/4711/../../../logout",
        "https://github.com/settings/personal-access-tokens/4711?next=evil",
        "none",
    ],
)
def test_only_the_tokens_own_page_at_this_host_is_passed_on(page: str) -> None:
    assert refused(LIFETIME.format(url=page)).url == ""


def test_approval_is_asked_for_the_app_that_the_token_belongs_to() -> None:
    base = "https://github.com/settings/connections/applications"
    assert refused(RESTRICTED).url == f"{base}/Iv1.abc"
    assert refused(RESTRICTED, X_OAuth_Client_Id="178c6fc778ccc68e1d6a").url == f"{base}/178c6fc778ccc68e1d6a"
    assert refused(RESTRICTED, X_OAuth_Client_Id="../../logout").url == ""


@pytest.mark.parametrize(
    ("message", "organization"),
    [
        (RESTRICTED, "assxxx"),
        (CLASSIC, "Acme-Corp"),
        (LIFETIME.format(url=PAGE), "acme"),
        ("Resource protected by organization SAML enforcement. You must grant …", ""),
        ("`a/../b` forbids access via a personal access token (classic).", ""),
    ],
)
def test_the_organization_is_read_out_of_the_sentence(message: str, organization: str) -> None:
    found = read_refusal(message)
    assert found is not None
    assert found.organization == organization


@pytest.mark.parametrize("message", [None, 7, "", "Not Found", ["forbids"]])
def test_a_sentence_that_refuses_nothing_is_no_refusal(message: object) -> None:
    assert read_refusal(message) is None


@pytest.mark.parametrize(
    ("header", "ids"),
    [
        ("partial-results; organizations=1396951", {"1396951"}),
        ("partial-results; organizations=1,22, 333", {"1", "22", "333"}),
        ("required; url=https://github.com/orgs/acme/sso", set()),
        ("partial-results", set()),
        ("partial-results; organizations=x", set()),
        ("", set()),
    ],
)
def test_withheld_organizations_are_read_by_their_ids(header: str, ids: set[str]) -> None:
    answer = Answer(method="GET", path="/x", status=200, headers={"X-GitHub-SSO": header}, json=[])
    assert withheld(answer) == ids


@pytest.mark.parametrize(
    ("status", "location", "number"),
    [
        (301, f"{API}/repositories/1296269", "1296269"),
        (307, f"{API}/repositories/7", "7"),
        (301, f"{API}/repositories/7/../../user", None),
        (301, f"{API}/repositories/7?x=1", None),
        (301, f"{API}/repositories/007", None),
        (301, f"{API}/repositories/\u0667", None),
        (301, f"{API}/repos/acme/cases", None),
        (301, "https://api.github.com.evil.example/repositories/7", None),
        (301, "http://api.github.com/repositories/7", None),
        (301, "/repositories/7", None),
        (200, f"{API}/repositories/7", None),
        (301, "", None),
    ],
)
def test_a_moved_repository_is_known_by_its_number_at_this_very_api(
    status: int, location: str, number: str | None
) -> None:
    answer = Answer(method="GET", path="/repos/a/b", status=status, headers={"Location": location}, json={})
    found = moved(answer, API)
    assert (found.number if found else None) == number
