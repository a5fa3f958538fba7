"""GitHub's REST resources: shapes, scopes, headers."""

from __future__ import annotations

import io
import zipfile
from typing import Any

import pytest

from tests.project.sandbox.caller import Answer, basic, bearer, call
from tests.sandbox import RunningSandbox


def get(sandbox: RunningSandbox, path: str, token: str | None = None, **headers: str) -> Answer:
    sent = {name.replace("_", "-"): value for name, value in headers.items()}
    shown = bearer(token) if token else {}
    return call("GET", f"{sandbox.hosts['github'].api_url}{path}", headers=shown | sent)


def mint(sandbox: RunningSandbox, kind: str, *scopes: str, **more: Any) -> str:
    return sandbox.mint("github", "octo-alice", kind, scopes, **more).token


def test_a_user_is_identified_with_the_scopes_in_the_headers(sandbox: RunningSandbox) -> None:
    answer = get(sandbox, "/user", mint(sandbox, "personal_token", "repo", "read:org"))
    assert answer.status == 200
    assert answer.json["login"] == "octo-alice"
    assert isinstance(answer.json["id"], int)
    assert answer.headers["X-OAuth-Scopes"] == "repo, read:org"
    assert answer.headers["X-Accepted-OAuth-Scopes"] == ""
    assert answer.headers["X-OAuth-Client-Id"] is None
    assert answer.headers["X-GitHub-Request-Id"]
    assert answer.headers["X-RateLimit-Limit"] == "5000"
    assert int(answer.headers["X-RateLimit-Remaining"]) < 5000


def test_an_oauth_token_names_its_application_and_has_no_expiry(sandbox: RunningSandbox) -> None:
    answer = get(sandbox, "/user", mint(sandbox, "oauth", "repo"))
    assert answer.headers["X-OAuth-Client-Id"] == sandbox.hosts["github"].client_id
    assert answer.headers["github-authentication-token-expiration"] is None


@pytest.mark.parametrize(("kind", "zone"), [("personal_token", " UTC"), ("fine_grained_token", " +0000")])
def test_an_expiry_stands_in_a_header_in_the_kinds_own_way(
    sandbox: RunningSandbox, kind: str, zone: str
) -> None:
    answer = get(sandbox, "/user", mint(sandbox, kind, expires_in=3600))
    assert answer.headers["github-authentication-token-expiration"].endswith(zone)


def test_a_fine_grained_token_shows_no_scopes(sandbox: RunningSandbox) -> None:
    answer = get(sandbox, "/user", mint(sandbox, "fine_grained_token", "contents:read"))
    assert answer.headers["X-OAuth-Scopes"] is None
    assert answer.headers["X-Accepted-GitHub-Permissions"] == "metadata=read"


@pytest.mark.parametrize("path", ["/user", "/repos/acme/public-cases"])
def test_a_wrong_token_is_bad_credentials_even_for_public_data(sandbox: RunningSandbox, path: str) -> None:
    answer = get(sandbox, path, "ghp_wrong")
    assert answer.status == 401
    assert answer.json == {
        "message": "Bad credentials",
        "documentation_url": "https://docs.github.com/rest",
        "status": "401",
    }


def test_an_expired_and_a_revoked_token_are_bad_credentials(sandbox: RunningSandbox) -> None:
    for change in ({"expires_in": 0}, {"revoked": True}):
        minted = sandbox.mint("github", "octo-alice", "personal_token", ["repo"])
        sandbox.control("github", "POST", f"tokens/{minted.id}", change)
        assert get(sandbox, "/user", minted.token).json["message"] == "Bad credentials"


def test_nobody_is_asked_to_authenticate(sandbox: RunningSandbox) -> None:
    answer = get(sandbox, "/user")
    assert (answer.status, answer.json["message"]) == (401, "Requires authentication")


def test_a_token_is_taken_as_token_and_as_basic_too(sandbox: RunningSandbox) -> None:
    token = mint(sandbox, "personal_token", "repo")
    assert get(sandbox, "/user", Authorization=f"token {token}").status == 200
    url = f"{sandbox.hosts['github'].api_url}/user"
    assert call("GET", url, headers=basic("octo-alice", token)).status == 200


def test_a_caller_without_a_user_agent_is_forbidden(sandbox: RunningSandbox) -> None:
    answer = get(sandbox, "/user", mint(sandbox, "personal_token"), User_Agent="")
    assert answer.status == 403
    assert "User-Agent" in answer.text


def test_a_known_version_is_selected_and_an_unknown_one_refused(sandbox: RunningSandbox) -> None:
    token = mint(sandbox, "personal_token")
    assert get(sandbox, "/user", token).headers["x-github-api-version-selected"] == "2022-11-28"
    newer = get(sandbox, "/user", token, X_GitHub_Api_Version="2026-03-10")
    assert newer.headers["x-github-api-version-selected"] == "2026-03-10"
    assert get(sandbox, "/user", token, X_GitHub_Api_Version="2020-01-01").status == 400


def test_organizations_need_their_scope_and_memberships_are_content_with_repo(
    sandbox: RunningSandbox,
) -> None:
    token = mint(sandbox, "personal_token", "repo")
    refused = get(sandbox, "/user/orgs", token)
    assert refused.status == 403
    assert "read:org scope or user scope" in refused.json["message"]
    listed = get(sandbox, "/user/memberships/orgs", token)
    assert listed.headers["X-Accepted-OAuth-Scopes"] == "admin:org, read:org, repo, user, write:org"
    assert [item["organization"]["login"] for item in listed.json] == ["acme", "assxxx"]
    assert {item["state"] for item in listed.json} == {"active"}


def test_restricted_and_unsigned_organizations_are_silently_missing(sandbox: RunningSandbox) -> None:
    answer = get(sandbox, "/user/orgs", mint(sandbox, "oauth", "read:org"))
    assert [item["login"] for item in answer.json] == ["acme", "locked-corp"]
    assert answer.headers["X-GitHub-SSO"].startswith("partial-results; organizations=")


def test_a_fine_grained_token_seems_to_have_no_organizations(sandbox: RunningSandbox) -> None:
    answer = get(sandbox, "/user/orgs", mint(sandbox, "fine_grained_token", "contents:read", resource="acme"))
    assert (answer.status, answer.json) == (200, [])


def test_one_membership_tells_why_it_is_closed(sandbox: RunningSandbox) -> None:
    token = mint(sandbox, "oauth", "repo")
    assert get(sandbox, "/user/memberships/orgs/acme", token).json["role"] == "admin"
    closed = get(sandbox, "/user/memberships/orgs/assxxx", token)
    assert "OAuth App access restrictions" in closed.json["message"]
    assert get(sandbox, "/user/memberships/orgs/nope", token).status == 404
    bobs = sandbox.mint("github", "octo-bob", "oauth", ["repo"]).token
    assert get(sandbox, "/user/memberships/orgs/assxxx", bobs).status == 404


def test_a_pending_membership_is_listed_as_pending(sandbox: RunningSandbox) -> None:
    sandbox.control("github", "POST", "organizations/assxxx", {"members": {"octo-bob": "pending"}})
    bobs = sandbox.mint("github", "octo-bob", "personal_token", ["repo"]).token
    assert len(get(sandbox, "/user/memberships/orgs", bobs).json) == 2
    active = get(sandbox, "/user/memberships/orgs?state=active", bobs).json
    assert [item["organization"]["login"] for item in active] == ["acme"]


def test_restricted_memberships_can_be_listed_by_a_setting(sandbox: RunningSandbox) -> None:
    token = mint(sandbox, "oauth", "repo")
    names = [item["organization"]["login"] for item in get(sandbox, "/user/memberships/orgs", token).json]
    assert "assxxx" not in names
    sandbox.control("github", "POST", "settings", {"memberships_list_restricted": True})
    names = [item["organization"]["login"] for item in get(sandbox, "/user/memberships/orgs", token).json]
    assert "assxxx" in names


def test_an_organization_shows_its_public_side_to_an_unapproved_app(sandbox: RunningSandbox) -> None:
    token = mint(sandbox, "oauth", "repo")
    assert "total_private_repos" in get(sandbox, "/orgs/acme", token).json
    restricted = get(sandbox, "/orgs/assxxx", token)
    assert restricted.status == 200
    assert "total_private_repos" not in restricted.json
    assert get(sandbox, "/orgs/sso-corp", token).status == 403
    assert get(sandbox, "/orgs/nope", token).status == 404
    assert get(sandbox, "/orgs/acme").status == 200


def test_repositories_come_in_pages_with_links(sandbox: RunningSandbox) -> None:
    token = mint(sandbox, "personal_token", "repo")
    first = get(sandbox, "/user/repos?per_page=2", token)
    assert len(first.json) == 2
    assert 'rel="next"' in first.headers["Link"]
    last = get(sandbox, "/user/repos?per_page=2&page=2", token)
    names = [item["full_name"] for item in first.json + last.json]
    assert names == ["octo-alice/private-cases", "acme/cases", "acme/public-cases", "assxxx/ABC"]
    assert 'rel="next"' not in last.headers["Link"]


def test_the_repositories_of_an_organization_are_those_the_caller_may_see(sandbox: RunningSandbox) -> None:
    token = mint(sandbox, "personal_token", "repo")
    assert len(get(sandbox, "/orgs/acme/repos", token).json) == 2
    assert [item["full_name"] for item in get(sandbox, "/orgs/acme/repos?type=private", token).json] == [
        "acme/cases"
    ]
    assert [item["full_name"] for item in get(sandbox, "/orgs/acme/repos").json] == ["acme/public-cases"]


def test_public_memberships_show_what_the_listing_hides(sandbox: RunningSandbox) -> None:
    assert "assxxx" in [item["login"] for item in get(sandbox, "/users/octo-alice/orgs").json]
    assert get(sandbox, "/users/nobody/orgs").status == 404


def test_a_trailing_slash_is_another_path(sandbox: RunningSandbox) -> None:
    assert get(sandbox, "/user/", mint(sandbox, "personal_token")).status == 404


@pytest.mark.parametrize("kind", ["zipball", "tarball"])
def test_an_archive_is_a_redirect_to_a_link_of_its_own(sandbox: RunningSandbox, kind: str) -> None:
    token = mint(sandbox, "personal_token", "repo")
    answer = get(sandbox, f"/repos/acme/cases/{kind}/refs/heads/dev", token)
    assert answer.status == 302
    location = answer.headers["Location"]
    assert token not in location
    assert call("GET", location).status == 200
    assert call("GET", location, headers=bearer(token)).status == 400
    assert call("GET", location.partition("?")[0]).status == 404
    sandbox.control("github", "POST", "settings", {"clock_offset_seconds": 301})
    assert call("GET", location).status == 404


def test_the_archive_holds_the_library(sandbox: RunningSandbox) -> None:
    location = get(sandbox, "/repos/acme/public-cases/zipball").headers["Location"]
    with zipfile.ZipFile(io.BytesIO(call("GET", location).body)) as archive:
        names = archive.namelist()
    assert names[0].startswith("acme-public-cases-")
    assert any(name.endswith("/library.yaml") for name in names)


def test_an_archive_of_what_is_not_there_is_not_found(sandbox: RunningSandbox) -> None:
    token = mint(sandbox, "personal_token", "repo")
    assert get(sandbox, "/repos/acme/cases/zipball/nope", token).status == 404
    assert get(sandbox, "/repos/acme/cases/zipball").status == 404
