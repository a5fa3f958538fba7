"""GitHub's rules: what stands between a token and a repository, and in which words."""

from __future__ import annotations

import re

import pytest

from project.sandbox.hosts.github import normalized
from tests.project.sandbox.caller import Answer, bearer, call
from tests.sandbox import RunningSandbox

RESTRICTED = re.compile(
    r"Although you appear to have the correct authorization credentials, the `assxxx` organization has "
    r"enabled OAuth App access restrictions"
)


def repository(sandbox: RunningSandbox, token: str, name: str) -> Answer:
    return call("GET", f"{sandbox.hosts['github'].api_url}/repos/{name}", headers=bearer(token))


def mint(sandbox: RunningSandbox, kind: str, *scopes: str, **more: object) -> str:
    return sandbox.mint("github", "octo-alice", kind, scopes, **more).token  # type: ignore[arg-type]  # passed on


def test_an_unapproved_oauth_app_is_told_why_and_a_personal_token_is_not_stopped(
    sandbox: RunningSandbox,
) -> None:
    refused = repository(sandbox, mint(sandbox, "oauth", "repo"), "assxxx/ABC")
    assert refused.status == 403
    assert RESTRICTED.match(refused.json["message"])
    assert refused.json["status"] == "403"
    assert repository(sandbox, mint(sandbox, "personal_token", "repo"), "assxxx/ABC").status == 200


def test_approval_opens_the_organization_at_once(sandbox: RunningSandbox) -> None:
    token = mint(sandbox, "oauth", "repo")
    sandbox.control("github", "POST", "organizations/assxxx", {"approved": True})
    assert repository(sandbox, token, "assxxx/ABC").status == 200


def test_the_restriction_may_hide_behind_a_404(sandbox: RunningSandbox) -> None:
    sandbox.control("github", "POST", "settings", {"restriction_as_not_found": True})
    answer = repository(sandbox, mint(sandbox, "oauth", "repo"), "assxxx/ABC")
    assert (answer.status, answer.json["message"]) == (404, "Not Found")


@pytest.mark.parametrize(
    ("kind", "words"), [("personal_token", "Personal Access token"), ("oauth", "OAuth token")]
)
def test_single_sign_on_is_named_in_the_text_and_in_the_header(
    sandbox: RunningSandbox, kind: str, words: str
) -> None:
    answer = repository(sandbox, mint(sandbox, kind, "repo"), "sso-corp/cases")
    assert answer.status == 403
    assert f"You must grant your {words} access to this organization." in answer.json["message"]
    url = re.search(r"required; url=([^;]+)", answer.headers["X-GitHub-SSO"])
    assert url is not None
    assert "/orgs/sso-corp/sso?authorization_request=" in url[1]
    allowed = mint(sandbox, kind, "repo", organizations=["sso-corp"])
    assert repository(sandbox, allowed, "sso-corp/cases").status == 200


def test_classic_tokens_are_forbidden_where_the_organization_says_so(sandbox: RunningSandbox) -> None:
    answer = repository(sandbox, mint(sandbox, "personal_token", "repo"), "locked-corp/cases")
    assert answer.status == 403
    assert answer.json["message"].startswith(
        "`locked-corp` forbids access via a personal access token (classic)."
    )
    assert repository(sandbox, mint(sandbox, "oauth", "repo"), "locked-corp/cases").status == 200


def test_an_ip_allow_list_has_its_own_words_behind_the_same_opening(sandbox: RunningSandbox) -> None:
    sandbox.control("github", "POST", "organizations/acme", {"ip_allow_list": True})
    answer = repository(sandbox, mint(sandbox, "personal_token", "repo"), "acme/cases")
    assert "the `acme` organization has an IP allow list enabled" in answer.json["message"]


def test_a_token_without_repo_sees_private_repositories_nowhere(sandbox: RunningSandbox) -> None:
    token = mint(sandbox, "personal_token", "read:org")
    for name in ("octo-alice/private-cases", "assxxx/ABC", "sso-corp/cases"):
        assert repository(sandbox, token, name).status == 404
    assert repository(sandbox, token, "acme/public-cases").status == 200


def test_a_fine_grained_token_reaches_its_owner_only(sandbox: RunningSandbox) -> None:
    token = mint(sandbox, "fine_grained_token", "contents:read", resource="acme")
    assert repository(sandbox, token, "acme/cases").status == 200
    assert repository(sandbox, token, "octo-alice/private-cases").status == 404
    assert repository(sandbox, token, "acme/public-cases").status == 200


def test_without_contents_a_fine_grained_token_sees_the_repository_but_not_its_files(
    sandbox: RunningSandbox,
) -> None:
    token = mint(sandbox, "fine_grained_token", resource="acme")
    assert repository(sandbox, token, "acme/cases").status == 200
    answer = repository(sandbox, token, "acme/cases/zipball")
    assert (answer.status, answer.json["message"]) == (
        403,
        "Resource not accessible by personal access token",
    )


def test_a_token_that_lives_too_long_is_refused_even_public_repositories(sandbox: RunningSandbox) -> None:
    sandbox.control("github", "POST", "organizations/acme", {"fine_grained_max_days": 7})
    token = mint(sandbox, "fine_grained_token", "contents:read", resource="acme")
    for name in ("acme/cases", "acme/public-cases"):
        message = repository(sandbox, token, name).json["message"]
        assert "The 'acme' organization forbids access via a fine-grained" in message
        assert "greater than 7 days" in message
    short = mint(sandbox, "fine_grained_token", "contents:read", resource="acme", expires_in=6 * 86_400)
    assert repository(sandbox, short, "acme/cases").status == 200


def test_fine_grained_tokens_can_be_forbidden_altogether(sandbox: RunningSandbox) -> None:
    sandbox.control("github", "POST", "organizations/acme", {"fine_grained_tokens": False})
    token = mint(sandbox, "fine_grained_token", "contents:read", resource="acme")
    message = repository(sandbox, token, "acme/cases").json["message"]
    assert message.startswith("`acme` forbids access via a fine-grained personal access token")


def test_a_token_waits_for_approval_unless_an_owner_made_it(sandbox: RunningSandbox) -> None:
    sandbox.control("github", "POST", "organizations/acme", {"fine_grained_approval": True})
    bobs = sandbox.mint("github", "octo-bob", "fine_grained_token", ["contents:read"], resource="acme")
    assert repository(sandbox, bobs.token, "acme/cases").status == 404
    assert repository(sandbox, bobs.token, "acme/public-cases").status == 200
    sandbox.control("github", "POST", f"tokens/{bobs.id}", {"pending": False})
    assert repository(sandbox, bobs.token, "acme/cases").status == 200
    alices = mint(sandbox, "fine_grained_token", "contents:read", resource="acme")
    assert repository(sandbox, alices, "acme/cases").status == 200


def test_an_app_user_token_reaches_what_the_app_is_installed_on(sandbox: RunningSandbox) -> None:
    token = mint(sandbox, "app_user_token")
    assert repository(sandbox, token, "acme/cases").status == 200
    assert repository(sandbox, token, "assxxx/ABC").status == 404


def test_scopes_are_reported_without_those_another_one_implies() -> None:
    assert normalized(["repo", "public_repo", "nonsense", "read:org", "admin:org"]) == ("admin:org", "repo")


def test_a_spent_allowance_is_told_in_both_of_githubs_ways(sandbox: RunningSandbox) -> None:
    token = mint(sandbox, "personal_token", "repo")
    sandbox.control("github", "POST", "faults", {"quota": "primary", "times": 1})
    primary = repository(sandbox, token, "acme/cases")
    assert (primary.status, primary.headers["X-RateLimit-Remaining"]) == (403, "0")
    assert int(primary.headers["X-RateLimit-Reset"]) > 0
    sandbox.control("github", "POST", "faults", {"quota": "secondary", "times": 1})
    secondary = repository(sandbox, token, "acme/cases")
    assert (secondary.status, secondary.headers["Retry-After"]) == (403, "60")
    assert "secondary rate limit" in secondary.json["message"]
    assert repository(sandbox, token, "acme/cases").status == 200
