"""The page where a person makes a token by hand."""

from __future__ import annotations

import re

import pytest

from tests.project.sandbox.caller import bearer, call
from tests.sandbox import RunningSandbox

PAGES = [
    ("github", "/settings/tokens/new?scopes=repo,read:org&description=Forgekey", "repo read:org"),
    ("github", "/settings/personal-access-tokens/new?contents=read&target_name=acme", "contents:read"),
    ("gitlab", "/-/user_settings/personal_access_tokens?name=F&scopes=read_repository", "read_repository"),
    (
        "gitlab",
        "/-/user_settings/personal_access_tokens/legacy/new?scopes=read_repository,read_user",
        "read_repository read_user",
    ),
    ("bitbucket", "/manage-profile/security/api-tokens", ""),
    ("gitea", "/user/settings/applications", ""),
]


@pytest.mark.parametrize(("host", "path", "scopes"), PAGES)
def test_the_link_fills_the_page_in(sandbox: RunningSandbox, host: str, path: str, scopes: str) -> None:
    page = call("GET", sandbox.hosts[host].web_url + path).text
    assert f'name="scopes" value="{scopes}"' in page


def test_the_token_is_shown_once_and_works(sandbox: RunningSandbox) -> None:
    url = f"{sandbox.hosts['github'].web_url}/settings/tokens/new"
    page = call("POST", url, form={"account": "octo-bob", "scopes": "repo", "expires_in": ""})
    found = re.search(r"ghp_\w{36}", page.text)
    assert found is not None
    answer = call("GET", f"{sandbox.hosts['github'].api_url}/user", headers=bearer(found[0]))
    assert answer.json["login"] == "octo-bob"


def test_a_fine_grained_token_is_limited_to_the_owner_named(sandbox: RunningSandbox) -> None:
    url = f"{sandbox.hosts['github'].web_url}/settings/personal-access-tokens/new"
    call("POST", url, form={"account": "octo-alice", "scopes": "contents:read", "resource": "acme"})
    (token,) = sandbox.control("github", "GET", "state.json")["tokens"]
    assert token["resource"] == "acme"


def test_a_person_who_does_not_exist_gets_no_token(sandbox: RunningSandbox) -> None:
    url = f"{sandbox.hosts['gitea'].web_url}/user/settings/applications"
    assert call("POST", url, form={"account": "nobody"}).status == 422
