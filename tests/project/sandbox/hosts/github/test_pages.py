"""GitHub's pages that mend things: request, approval, single sign-on."""

from __future__ import annotations

import re

from tests.project.sandbox.caller import bearer, call
from tests.sandbox import RunningSandbox


def test_a_member_requests_and_an_owner_approves(sandbox: RunningSandbox) -> None:
    host = sandbox.hosts["github"]
    mine = f"{host.web_url}/settings/connections/applications/{host.client_id}"
    assert "Request access to assxxx" in call("GET", mine).text
    assert call("POST", mine, form={"organization": "assxxx"}).status == 303
    assert "assxxx: requested" in call("GET", mine).text
    owners = f"{host.web_url}/organizations/assxxx/settings/oauth_application_policy"
    assert "The application is: requested." in call("GET", owners).text
    assert call("POST", owners, form={"action": "deny"}).status == 303
    assert "assxxx: denied" in call("GET", mine).text
    call("POST", owners, form={"action": "approve"})
    assert "assxxx: granted" in call("GET", mine).text


def test_the_address_in_the_header_authorizes_the_token(sandbox: RunningSandbox) -> None:
    token = sandbox.mint("github", "octo-alice", "personal_token", ["repo"]).token
    repository = f"{sandbox.hosts['github'].api_url}/repos/sso-corp/cases"
    refused = call("GET", repository, headers=bearer(token))
    url = re.sub(r"required; url=", "", refused.headers["X-GitHub-SSO"])
    assert "Sign in and authorize the token" in call("GET", url).text
    assert call("POST", url, form={}).status == 303
    assert call("GET", repository, headers=bearer(token)).status == 200
    assert "The token is authorized." in call("GET", url).text


def test_an_owner_approves_a_fine_grained_token(sandbox: RunningSandbox) -> None:
    sandbox.control("github", "POST", "organizations/assxxx", {"fine_grained_approval": True})
    token = sandbox.mint("github", "octo-alice", "fine_grained_token", ["contents:read"], resource="assxxx")
    repository = f"{sandbox.hosts['github'].api_url}/repos/assxxx/ABC"
    assert call("GET", repository, headers=bearer(token.token)).status == 404
    owners = f"{sandbox.hosts['github'].web_url}/organizations/assxxx/settings/personal-access-token-requests"
    assert "Approve a token of octo-alice" in call("GET", owners).text
    assert call("POST", owners, form={"token": token.id}).status == 303
    assert call("GET", repository, headers=bearer(token.token)).status == 200
    assert "No token waits for approval." in call("GET", owners).text


def test_an_app_is_installed_into_an_organization(sandbox: RunningSandbox) -> None:
    page = f"{sandbox.hosts['github'].web_url}/apps/forgekey-app/installations/new"
    assert "Install into assxxx" in call("GET", page).text
    assert call("POST", page, form={"organization": "assxxx"}).status == 303
    assert sandbox.control("github", "GET", "state.json")["organizations"]["assxxx"]["approved"]
    assert "It is installed everywhere." in call("GET", page).text


def test_another_sites_page_cannot_approve_or_authorize(sandbox: RunningSandbox) -> None:
    host = sandbox.hosts["github"]
    for path in (
        f"/settings/connections/applications/{host.client_id}",
        "/organizations/assxxx/settings/oauth_application_policy",
        "/organizations/assxxx/settings/personal-access-token-requests",
        "/apps/forgekey-app/installations/new",
        "/orgs/sso-corp/sso",
        "/settings/tokens/new",
    ):
        answer = call("POST", host.web_url + path, form={}, headers={"Origin": "http://evil.example"})
        assert answer.status == 403
    assert not sandbox.control("github", "GET", "state.json")["organizations"]["assxxx"]["approved"]


def test_pages_of_nothing_are_not_found(sandbox: RunningSandbox) -> None:
    web = sandbox.hosts["github"].web_url
    for path in (
        "/settings/connections/applications/nobody",
        "/organizations/nope/settings/oauth_application_policy",
        "/organizations/nope/settings/personal-access-token-requests",
        "/orgs/nope/sso",
    ):
        assert call("GET", web + path).status == 404
