"""GitHub Enterprise Server: GitHub's answers, and no approval of OAuth apps by organizations."""

from __future__ import annotations

import pytest

from project.sandbox.client import SandboxError
from tests.project.sandbox.caller import bearer, call
from tests.project.sandbox.test_oauth import sign_in
from tests.sandbox import RunningSandbox

HOST = "github-enterprise"


def test_an_oauth_app_of_its_own_reaches_every_organization(sandbox: RunningSandbox) -> None:
    host = sandbox.hosts[HOST]
    assert host.client_id != sandbox.hosts["github"].client_id
    token = sandbox.mint(HOST, "octo-alice", "oauth", ["repo"]).token
    answer = call("GET", f"{host.api_url}/repos/assxxx/ABC", headers=bearer(token))
    assert (answer.status, answer.json["private"]) == (200, True)
    assert answer.headers["X-GitHub-Enterprise-Version"].startswith("3.")
    other = sandbox.mint("github", "octo-alice", "oauth", ["repo"]).token
    url = f"{sandbox.hosts['github'].api_url}/repos/assxxx/ABC"
    assert call("GET", url, headers=bearer(other)).status != 200


def test_the_oauth_flow_works(sandbox: RunningSandbox) -> None:
    answer = sign_in(sandbox, HOST, scope="repo")
    url = f"{sandbox.hosts[HOST].api_url}/user"
    assert call("GET", url, headers=bearer(answer["access_token"])).json["login"] == "octo-alice"


def test_single_sign_on_and_policies_are_as_at_github(sandbox: RunningSandbox) -> None:
    token = sandbox.mint(HOST, "octo-alice", "personal_token", ["repo"]).token
    for name in ("sso-corp", "locked-corp"):
        url = f"{sandbox.hosts[HOST].api_url}/repos/{name}/cases"
        assert call("GET", url, headers=bearer(token)).status == 403


def test_there_is_nothing_to_approve(sandbox: RunningSandbox) -> None:
    web = sandbox.hosts[HOST].web_url
    assert call("GET", f"{web}/organizations/acme/settings/oauth_application_policy").status == 404
    page = call("GET", f"{web}/settings/connections/applications/{sandbox.hosts[HOST].client_id}")
    assert (page.status, "Request access" in page.text) == (200, False)
    with pytest.raises(SandboxError, match="approved: no such switch here"):
        sandbox.control(HOST, "POST", "organizations/acme", {"approved": False})
