"""GitHub: its headers, its wordings, and what organizations answer."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime, timedelta

import pytest

from credentials.crypto.secret import Secret
from credentials.errors import (
    AccessRefused,
    ProviderAnswerUnexpected,
    ProviderError,
    ProviderRateLimited,
    ScopeMissing,
    TokenRejected,
)
from credentials.providers.answers import Answer
from credentials.providers.facts import HostFacts, Login, Revocation
from credentials.providers.github import GitHub
from credentials.providers.github.wordings import read_expiry
from credentials.providers.tokens import Kind
from credentials.verdicts import VerdictCode
from tests.credentials.providers.asking import NOW, door, login, login_in, provider_at, provider_in
from tests.credentials.providers.loopback import Reply, Seen, Server, json_reply
from tests.sandbox import RunningSandbox

RESTRICTED = (
    "Although you appear to have the correct authorization credentials, the `assxxx` organization has enabled OAuth "
    "App access restrictions, meaning that data access to third-parties is limited."
)
ADDRESS_LIST = (
    "Although you appear to have the correct authorization credentials, the `acme` organization has an IP allow list "
    "enabled, and your IP address is not permitted to access this resource."
)
SSO = "Resource protected by organization SAML enforcement. You must grant your OAuth token access to …"
CLASSIC = (
    "`acme` forbids access via a personal access token (classic). Please use a GitHub App, OAuth App, or …"
)
LIFETIME = "The 'acme' organization forbids access via a fine-grained personal access tokens if the token's lifetime …"
SCOPE = "You need at least read:org scope or user scope to list your organizations."


def github(**facts: str) -> GitHub:
    values = {
        "web_url": "https://github.com",
        "api_url": "https://api.github.com",
        "client_id": "Iv1.abc",
        **facts,
    }
    return GitHub(host=HostFacts(slug="github", name="GitHub", **values), door=door(), now=lambda: NOW)


def answer(status: int, message: str = "", **headers: str) -> Answer:
    named = {name.replace("_", "-"): value for name, value in headers.items()}
    return Answer(method="GET", path="/x", status=status, headers=named, json={"message": message})


@pytest.mark.parametrize(
    ("given", "code"),
    [
        (answer(403, RESTRICTED), VerdictCode.ORGANIZATION_NOT_APPROVED),
        (answer(403, ADDRESS_LIST), VerdictCode.IP_BLOCKED),
        (answer(403, CLASSIC), VerdictCode.ORGANIZATION_POLICY),
        (answer(403, LIFETIME), VerdictCode.ORGANIZATION_POLICY),
        (answer(403, SSO), VerdictCode.SSO_REQUIRED),
        (
            answer(403, SSO, X_GitHub_SSO="required; url=https://github.com/orgs/a/sso"),
            VerdictCode.SSO_REQUIRED,
        ),
        (answer(404, "Not Found", X_GitHub_SSO="required"), VerdictCode.SSO_REQUIRED),
        (answer(404, "Not Found"), VerdictCode.NOT_FOUND_OR_NO_ACCESS),
    ],
)
def test_each_wording_of_a_refusal_names_its_cause(given: Answer, code: VerdictCode) -> None:
    problem = github().translate(given)
    assert isinstance(problem, AccessRefused)
    assert problem.verdict_code == code


@pytest.mark.parametrize(
    ("given", "kind"),
    [
        (answer(403, RESTRICTED, X_RateLimit_Remaining="0"), ProviderRateLimited),
        (answer(403, SSO, Retry_After="30", X_GitHub_SSO="required; url=x"), ProviderRateLimited),
        (answer(403, "You have exceeded a secondary rate limit."), ProviderRateLimited),
        (answer(403, "Resource not accessible by personal access token"), ScopeMissing),
        (answer(403, "Resource not accessible by integration"), ScopeMissing),
        (answer(403, SCOPE), ScopeMissing),
        (answer(403, "Forbidden"), ProviderAnswerUnexpected),
        (answer(403, "Bad credentials"), ProviderAnswerUnexpected),
        (answer(401, "Bad credentials"), TokenRejected),
        (answer(422, "Validation Failed"), ProviderAnswerUnexpected),
        (answer(301, "Moved Permanently"), ProviderAnswerUnexpected),
    ],
)
def test_answers_are_matched_in_the_order_of_the_fact_sheet(given: Answer, kind: type[ProviderError]) -> None:
    assert type(github().translate(given)) is kind


def test_partial_results_of_single_sign_on_are_a_success() -> None:
    assert github().translate(answer(200, X_GitHub_SSO="partial-results; organizations=1396951")) is None


def test_a_secondary_quota_without_a_header_waits_at_least_a_minute() -> None:
    problem = github().translate(answer(403, "You have exceeded a secondary rate limit."))
    assert isinstance(problem, ProviderRateLimited)
    assert problem.retry_after == timedelta(minutes=1)


def test_the_scope_that_is_wanted_is_named() -> None:
    problem = github().translate(answer(403, SCOPE, X_OAuth_Scopes="repo"))
    assert isinstance(problem, ScopeMissing)
    assert (problem.required, problem.granted) == (("read:org",), ("repo",))


def test_the_page_that_mends_comes_along_only_if_it_is_github_itself() -> None:
    def url_of(given: Answer) -> str:
        problem = github().translate(given)
        assert isinstance(problem, AccessRefused)
        return problem.url

    page = "https://github.com/orgs/acme/sso?authorization_request=AB12"
    assert url_of(answer(403, SSO, X_GitHub_SSO=f"required; url={page}")) == page
    assert url_of(answer(403, SSO, X_GitHub_SSO="required; url=https://evil.example/sso")) == ""
    assert url_of(answer(403, RESTRICTED)) == "https://github.com/settings/connections/applications/Iv1.abc"


@pytest.mark.parametrize(
    ("header", "end"),
    [
        ("2027-09-23 22:46:17 UTC", datetime(2027, 9, 23, 22, 46, 17, tzinfo=UTC)),
        ("2027-09-05 17:55:53 +0500", datetime(2027, 9, 5, 12, 55, 53, tzinfo=UTC)),
        ("2027-09-05 17:55:53 -0330", datetime(2027, 9, 5, 21, 25, 53, tzinfo=UTC)),
        ("2026-11-24 12:00:00 UTC", None),
        ("2020-01-01 00:00:00 UTC", None),
        ("never", None),
        ("", None),
        ("0001-01-01 00:00:00 +2359", None),
        ("9999-12-31 23:59:59 -2359", None),
    ],
)
def test_the_expiry_header_is_read_in_both_forms_and_doubted_when_it_says_now(
    header: str, end: datetime | None
) -> None:
    assert read_expiry(header, NOW) == end


@pytest.mark.parametrize(
    ("kind", "header", "scopes", "missing"),
    [
        (Kind.PERSONAL_TOKEN, {"X-OAuth-Scopes": "repo, read:org"}, ("repo", "read:org"), ()),
        (Kind.PERSONAL_TOKEN, {"X-OAuth-Scopes": "gist"}, ("gist",), ("repo",)),
        (Kind.PERSONAL_TOKEN, {"X-OAuth-Scopes": "public_repo"}, ("public_repo",), ("repo",)),
        (Kind.PERSONAL_TOKEN, {"X-OAuth-Scopes": ""}, (), ("repo",)),
        (Kind.PERSONAL_TOKEN, {}, None, ()),
        (Kind.FINE_GRAINED_TOKEN, {"X-OAuth-Scopes": ""}, None, ()),
        (Kind.APP_TOKEN, {}, None, ()),
    ],
)
def test_scopes_are_unknown_for_kinds_that_have_none(
    kind: Kind, header: Mapping[str, str], scopes: tuple[str, ...] | None, missing: tuple[str, ...]
) -> None:
    reply = json_reply({"id": 7, "login": "octo-alice"})
    sent = Reply(headers={**reply.headers, **header}, body=reply.body)
    with Server(lambda seen: sent) as server:
        found = provider_at(server, "github").verify(login(kind))
    assert (found.scopes, found.missing_scopes) == (scopes, missing)


def test_the_headers_github_wants_are_sent() -> None:
    with Server(
        lambda seen: json_reply({"id": 7, "login": "a"}, X_OAuth_Client_Id="178c6fc778ccc68e1d6a")
    ) as server:
        found = provider_at(server, "github").verify(login(Kind.OAUTH))
    (seen,) = server.seen
    assert seen.headers["X-GitHub-Api-Version"] == "2022-11-28"
    assert seen.headers["Accept"] == "application/vnd.github+json"
    assert seen.headers["Authorization"].startswith("Bearer ")
    assert found.oauth_client_id == "178c6fc778ccc68e1d6a"


@pytest.mark.parametrize(
    ("web_url", "api_url"),
    [
        ("https://github.com", "https://api.github.com"),
        ("https://acme.ghe.com", "https://api.acme.ghe.com"),
        ("https://github.acme.example", "https://github.acme.example/api/v3"),
        ("https://github.acme.example/", "https://github.acme.example/api/v3"),
        ("https://evilghe.com", "https://evilghe.com/api/v3"),
    ],
)
def test_each_edition_has_its_api_at_its_own_place(web_url: str, api_url: str) -> None:
    assert GitHub.default_api_url(web_url) == api_url


@pytest.mark.parametrize("kind", [Kind.PERSONAL_TOKEN, Kind.OAUTH, Kind.FINE_GRAINED_TOKEN])
def test_a_revoked_token_is_dead_and_a_second_time_already_invalid(
    sandbox: RunningSandbox, kind: Kind
) -> None:
    provider = provider_in(sandbox, "github")
    given = login_in(sandbox, "github", kind, ("repo",))
    client_secret = Secret(sandbox.hosts["github"].client_secret)
    # What is reported as leaked is accepted first and done later.
    said = Revocation.REVOKED if kind is Kind.OAUTH else Revocation.PENDING
    assert provider.revoke(given, client_secret=client_secret).outcome is said
    assert provider.refuses(given)
    assert provider.revoke(given, client_secret=client_secret).outcome is Revocation.ALREADY_INVALID


def test_the_token_of_another_app_is_left_for_its_owner_to_revoke(sandbox: RunningSandbox) -> None:
    provider = provider_in(sandbox, "github")
    given = login_in(sandbox, "github", Kind.APP_TOKEN)
    result = provider.revoke(given, client_secret=Secret(sandbox.hosts["github"].client_secret))
    assert result.outcome is Revocation.MANUAL
    assert result.manual_url == f"{sandbox.hosts['github'].web_url}/settings/applications"


def test_a_refresh_token_dies_with_its_access_token_and_other_tokens_of_the_app_live_on(
    sandbox: RunningSandbox,
) -> None:
    provider = app_in(sandbox)
    mine, other = (sandbox.mint("github", "octo-alice", "app_user_token") for _ in range(2))
    given = Login(token=Secret(mine.token), kind=Kind.OAUTH)
    secret = Secret(sandbox.hosts["github"].apps[1]["client_secret"])

    result = provider.revoke(given, client_secret=secret, refresh=Secret(mine.refresh_token or ""))

    assert result.outcome is Revocation.PENDING, "a reported refresh token is done later"
    grants = sandbox.control("github", "GET", "grants")["grants"]
    assert [grant["id"] for grant in grants] == [other.id]


def app_in(sandbox: RunningSandbox) -> GitHub:
    """GitHub, as a host whose client is the GitHub App."""
    emulated = sandbox.hosts["github"]
    facts = HostFacts(
        slug="github",
        name="GitHub",
        web_url=emulated.web_url,
        api_url=emulated.api_url,
        client_id=emulated.apps[1]["client_id"],
    )
    return GitHub(host=facts, door=door(), now=lambda: NOW)


def test_a_thousand_tokens_are_reported_in_one_call(sandbox: RunningSandbox) -> None:
    provider = provider_in(sandbox, "github")
    minted = [sandbox.mint("github", "octo-alice", "personal_token", ["repo"]) for _ in range(3)]
    tokens = [Secret(one.token) for one in minted] + [Secret(f"ghp_{n:036d}") for n in range(997)]

    assert provider.revoke_many(tokens).outcome is Revocation.PENDING

    calls = [call for call in sandbox.calls("github") if call["path"].endswith("/credentials/revoke")]
    assert [(call["method"], call["auth"], call["status"]) for call in calls] == [("POST", "none", 202)]
    assert sandbox.control("github", "GET", "grants")["count"] == 0
    with pytest.raises(ProviderAnswerUnexpected):
        provider.revoke_many([*tokens, Secret("one-too-many")])


def test_without_a_client_secret_an_oauth_token_is_revoked_by_hand() -> None:
    result = github().revoke(login(Kind.OAUTH), client_secret=None)
    assert (result.outcome, result.manual_url) == (
        Revocation.MANUAL,
        "https://github.com/settings/applications",
    )


def test_a_wrong_client_secret_says_nothing_about_the_token(sandbox: RunningSandbox) -> None:
    given = login_in(sandbox, "github", Kind.OAUTH, ("repo",))
    with pytest.raises(ProviderAnswerUnexpected):
        provider_in(sandbox, "github").revoke(given, client_secret=Secret("wrong"))
    assert provider_in(sandbox, "github").verify(given).identity


def test_a_server_without_the_revocation_call_leaves_it_to_its_owner() -> None:
    def script(seen: Seen) -> Reply:
        return json_reply({"message": "Not Found"}, 404) if seen.method == "POST" else json_reply({"id": 7})

    with Server(script) as server:
        result = provider_at(server, "github").revoke(login(Kind.FINE_GRAINED_TOKEN), client_secret=None)
    assert result.outcome is Revocation.MANUAL
    assert result.manual_url == f"{server.url}/settings/personal-access-tokens"
    (revoking,) = [seen for seen in server.seen if seen.method == "POST"]
    assert "Authorization" not in revoking.headers
