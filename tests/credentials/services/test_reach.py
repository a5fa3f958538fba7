"""One walk: the API first, Git where the API cannot tell, and no fault is ever an answer."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import timedelta
from typing import Any

import pytest

from credentials.crypto.secret import Secret
from credentials.errors import ProviderError, ProviderUnreachable
from credentials.providers.base import Provider
from credentials.providers.facts import GitLogin, HostFacts, Login, OrganizationState, RepositoryPlace
from credentials.providers.tokens import Kind
from credentials.services import reach
from credentials.services.reach import Finding
from credentials.verdicts import VerdictCode
from tests.clock import Clock
from tests.credentials.providers.asking import door, provider_at, provider_in
from tests.credentials.providers.loopback import Reply, Seen, Server, json_reply
from tests.sandbox import RunningSandbox

CASES = ("acme", "cases")


def login(sandbox: RunningSandbox, slug: str, kind: Kind, scopes: Sequence[str]) -> Login:
    minted = sandbox.mint(slug, "octo-alice", kind.value, scopes)
    sandbox.control(slug, "DELETE", "calls")
    return Login(token=Secret(minted.token), kind=kind, email=minted.email)


def place(provider: Provider, *segments: str) -> RepositoryPlace:
    found = provider.place(segments or CASES)
    assert found is not None
    return found


def walk(provider: Provider, shown: Login, *segments: str, **options: Any) -> Finding:
    at = place(provider, *segments)
    return reach.walk(provider, at, shown, **{"allow_private": True, "now": Clock(), **options})


def asked(sandbox: RunningSandbox, slug: str) -> list[str]:
    return [call["path"] for call in sandbox.calls(slug)]


def test_where_the_api_proves_it_git_is_not_asked(sandbox: RunningSandbox) -> None:
    shown = login(sandbox, "github", Kind.PERSONAL_TOKEN, ["repo"])
    found = walk(provider_in(sandbox, "github"), shown)
    assert (found.code, found.known) == (VerdictCode.OK, True)
    assert [check.step for check in found.checks] == ["api"]
    assert found.repository is not None
    assert found.repository.default_branch == "main"
    assert asked(sandbox, "github") == ["/api/v3/repos/acme/cases"]


def test_where_the_scopes_do_not_cover_the_question_git_answers_it(sandbox: RunningSandbox) -> None:
    shown = login(sandbox, "gitlab", Kind.PERSONAL_TOKEN, ["read_repository"])
    found = walk(provider_in(sandbox, "gitlab"), shown)
    assert found.code is VerdictCode.OK
    assert [check.step for check in found.checks] == ["api", "git"]


def test_a_token_that_the_api_takes_and_git_does_not_lacks_a_right(sandbox: RunningSandbox) -> None:
    shown = login(sandbox, "gitlab", Kind.PERSONAL_TOKEN, ["read_user"])
    found = walk(provider_in(sandbox, "gitlab"), shown)
    assert (found.code, found.refused_by_git) == (VerdictCode.SCOPE_MISSING, True)
    assert found.missing_scopes == ("read_repository",)


@pytest.mark.parametrize(
    ("slug", "kind", "scopes", "path"),
    [
        ("github", Kind.PERSONAL_TOKEN, ["repo"], "/api/v3"),
        ("gitlab", Kind.PERSONAL_TOKEN, ["read_repository"], "/acme/cases.git"),
        ("gitlab", Kind.PERSONAL_TOKEN, ["read_api", "read_repository"], "/api/v4"),
    ],
)
@pytest.mark.parametrize(
    "fault",
    [
        {"status": 500, "body": "{}"},
        {"status": 503, "body": "{}", "headers": {"Retry-After": "30"}},
        {"status": 429, "body": "{}"},
        {"html": True},
        {"html": True, "status": 404},
        {"cut": True},
        {"status": 302, "headers": {"Location": "https://sign-in.example/"}},
        {"quota": "primary"},
    ],
    ids=str,
)
def test_a_fault_on_the_way_is_never_an_answer(
    sandbox: RunningSandbox, slug: str, kind: Kind, scopes: list[str], path: str, fault: dict[str, object]
) -> None:
    if path.endswith(".git") and fault.get("status") == 404:
        return  # Git sees the status only: its hosts say so to whoever may not read
    shown = login(sandbox, slug, kind, scopes)
    sandbox.control(slug, "POST", "faults", {**fault, "path_prefix": path})
    found = walk(provider_in(sandbox, slug), shown)
    assert not found.known
    assert found.code in {VerdictCode.HOST_UNREACHABLE, VerdictCode.RATE_LIMITED, VerdictCode.UNKNOWN}
    assert found.organizations == ()
    assert found.checks


def test_how_long_to_wait_is_handed_on(sandbox: RunningSandbox) -> None:
    shown = login(sandbox, "gitea", Kind.PERSONAL_TOKEN, ["read:repository"])
    sandbox.control(
        "gitea", "POST", "faults", {"status": 429, "body": "{}", "headers": {"Retry-After": "77"}}
    )
    found = walk(provider_in(sandbox, "gitea"), shown)
    assert (found.code, found.retry_after) == (VerdictCode.RATE_LIMITED, timedelta(seconds=77))


def test_behind_not_found_the_organization_says_more(sandbox: RunningSandbox) -> None:
    shown = login(sandbox, "github", Kind.OAUTH, ["repo", "read:org"])
    sandbox.control("github", "POST", "settings", {"restriction_as_not_found": True})
    found = walk(provider_in(sandbox, "github"), shown, "assxxx", "ABC")
    assert (found.code, found.organization) == (VerdictCode.ORGANIZATION_NOT_APPROVED, "assxxx")
    assert [fact.state for fact in found.organizations] == [OrganizationState.NOT_APPROVED]


def test_an_organization_that_does_not_answer_leaves_not_found_as_it_is(sandbox: RunningSandbox) -> None:
    shown = login(sandbox, "github", Kind.PERSONAL_TOKEN, ["repo"])
    for path in ("/api/v3/user", "/api/v3/orgs", "/api/graphql"):
        sandbox.control("github", "POST", "faults", {"path_prefix": path, "status": 500, "body": "{}"})
    found = walk(provider_in(sandbox, "github"), shown, "acme", "nothing")
    assert (found.code, found.known) == (VerdictCode.NOT_FOUND_OR_NO_ACCESS, True)
    assert {fact.state for fact in found.organizations} <= {OrganizationState.UNKNOWN}


def test_scopes_that_a_verification_missed_explain_a_not_found(sandbox: RunningSandbox) -> None:
    shown = login(sandbox, "github", Kind.PERSONAL_TOKEN, ["read:org"])
    found = walk(provider_in(sandbox, "github"), shown, lacks=("repo",))
    assert (found.code, found.missing_scopes) == (VerdictCode.SCOPE_MISSING, ("repo",))


def test_a_host_in_a_forbidden_network_is_not_asked(sandbox: RunningSandbox) -> None:
    shown = login(sandbox, "github", Kind.PERSONAL_TOKEN, ["repo"])
    provider = provider_in(sandbox, "github")
    provider.door = door(allow_private=False)
    found = walk(provider, shown, allow_private=False)
    assert (found.code, found.known) == (VerdictCode.HOST_UNREACHABLE, False)
    assert asked(sandbox, "github") == []


class _OnlyOnce:
    """A breaker that opens after the first question."""

    def __init__(self) -> None:
        self.entered = 0

    def enter(self) -> None:
        self.entered += 1
        if self.entered > 1:
            raise ProviderUnreachable("open", evidence="not asked")

    def succeeded(self) -> None:
        return

    def failed(self, problem: ProviderError) -> None:
        return


def test_git_goes_through_the_breaker_too(sandbox: RunningSandbox) -> None:
    shown = login(sandbox, "gitlab", Kind.PERSONAL_TOKEN, ["read_repository"])
    provider = provider_in(sandbox, "gitlab")
    provider.door = door(breaker=_OnlyOnce())
    found = walk(provider, shown)
    assert (found.code, found.known) == (VerdictCode.HOST_UNREACHABLE, False)
    assert not any(path.startswith("/acme") for path in asked(sandbox, "gitlab"))


def test_a_user_name_that_git_cannot_be_given_ends_in_a_finding(sandbox: RunningSandbox) -> None:
    shown = login(sandbox, "gitlab", Kind.PERSONAL_TOKEN, ["read_repository"])
    usual = provider_in(sandbox, "gitlab")

    class Odd(type(usual)):  # type: ignore[misc]  # the class is only known at run time
        @classmethod
        def git_login(cls, login: Login) -> GitLogin:
            return GitLogin(username="octo\nalice", password=login.token)

    facts = HostFacts(slug="gitlab", name="GitLab", web_url=usual.host.web_url, api_url=usual.host.api_url)
    found = walk(Odd(host=facts, door=door(), now=Clock()), shown)
    assert (found.code, found.known) == (VerdictCode.UNKNOWN, False)


@pytest.mark.parametrize(
    ("name", "code", "known"),
    [
        ("public-cases", VerdictCode.OK_PUBLIC, True),
        ("cases", VerdictCode.NOT_FOUND_OR_NO_ACCESS, True),
    ],
)
@pytest.mark.parametrize("slug", ["github", "gitlab", "bitbucket", "gitea"])
def test_as_anybody_a_public_repository_is_seen_and_a_private_one_is_not(
    sandbox: RunningSandbox, slug: str, name: str, code: VerdictCode, known: bool
) -> None:
    provider = provider_in(sandbox, slug)
    found = reach.walk_as_anybody(provider, place(provider, "acme", name), now=Clock())
    assert (found.code, found.known) == (code, known)


def test_as_anybody_an_outage_is_not_known(sandbox: RunningSandbox) -> None:
    sandbox.control("github", "POST", "faults", {"status": 502, "html": True})
    provider = provider_in(sandbox, "github")
    found = reach.walk_as_anybody(provider, place(provider), now=Clock())
    assert not found.known


def test_what_hides_behind_not_found_is_unknown_while_the_quota_is_spent() -> None:
    def script(seen: Seen) -> Reply:
        if "/repos/" in seen.path:
            return json_reply({"message": "Not Found"}, 404)
        return json_reply({"message": "slow down"}, 429, Retry_After="120")

    with Server(script) as server:
        found = walk(provider_at(server, "github"), Login(token=Secret("ghp_x"), kind=Kind.PERSONAL_TOKEN))
    assert (found.code, found.known) == (VerdictCode.RATE_LIMITED, False)
    assert found.retry_after == timedelta(seconds=120)
