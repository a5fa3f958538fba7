"""The authorization code flow that all hosts share, asked of each of them over HTTP."""

from __future__ import annotations

import base64
import hashlib
from typing import Any
from urllib.parse import parse_qs, urlencode, urlsplit

import pytest

from tests.project.sandbox.caller import Answer, basic, bearer, call
from tests.sandbox import RunningSandbox

PATHS = {
    "github": ("/login/oauth/authorize", "/login/oauth/access_token", "repo read:org"),
    "gitlab": ("/oauth/authorize", "/oauth/token", "read_user read_repository"),
    "bitbucket": ("/site/oauth2/authorize", "/site/oauth2/access_token", "repository account"),
    "gitea": ("/login/oauth/authorize", "/login/oauth/access_token", "read:user read:repository"),
    "github-enterprise": ("/login/oauth/authorize", "/login/oauth/access_token", "repo read:org"),
}
HOSTS = list(PATHS)
VERIFIER = "a-verifier-of-more-than-forty-three-letters-0123456789"
CHALLENGE = base64.urlsafe_b64encode(hashlib.sha256(VERIFIER.encode()).digest()).decode().rstrip("=")


def redirect_uri(host: str, base: str = "http://127.0.0.1:8000") -> str:
    return f"{base}/connect/{host}/callback/"


def authorize_url(sandbox: RunningSandbox, host: str, **changes: str | None) -> str:
    query: dict[str, str | None] = {
        "client_id": sandbox.hosts[host].client_id,
        "redirect_uri": redirect_uri(host),
        "response_type": "code",
        "scope": PATHS[host][2],
        "state": "st&te",
        "code_challenge": CHALLENGE,
        "code_challenge_method": "S256",
        **changes,
    }
    sent = {name: value for name, value in query.items() if value is not None}
    return f"{sandbox.hosts[host].web_url}{PATHS[host][0]}?{urlencode(sent)}"


def exchange(sandbox: RunningSandbox, host: str, **fields: str) -> Answer:
    form = {
        "client_id": sandbox.hosts[host].client_id,
        "client_secret": sandbox.hosts[host].client_secret,
        "grant_type": "authorization_code",
        "redirect_uri": redirect_uri(host),
        "code_verifier": VERIFIER,
        **fields,
    }
    url = sandbox.hosts[host].web_url + PATHS[host][1]
    return call("POST", url, form=form, headers={"Accept": "application/json"})


def sign_in(sandbox: RunningSandbox, host: str, **changes: Any) -> dict[str, Any]:
    """The whole flow; the answer of the token endpoint."""
    back = sandbox.consent(authorize_url(sandbox, host, **changes))
    answer: dict[str, Any] = exchange(sandbox, host, code=back["code"]).json
    return answer


def works(sandbox: RunningSandbox, host: str, token: str) -> bool:
    return call("GET", f"{sandbox.hosts[host].api_url}/user", headers=bearer(token)).status == 200


@pytest.mark.parametrize("host", HOSTS)
def test_the_flow_ends_with_a_token_that_works_and_the_state_comes_back(
    sandbox: RunningSandbox, host: str
) -> None:
    back = sandbox.consent(authorize_url(sandbox, host), person="octo-bob")
    assert back["state"] == "st&te"
    token = exchange(sandbox, host, code=back["code"]).json["access_token"]
    assert works(sandbox, host, token)
    assert sandbox.control(host, "GET", "grants")["grants"][0]["account"] == "octo-bob"


@pytest.mark.parametrize("host", HOSTS)
@pytest.mark.parametrize("uri", ["https://evil.example/", "{right}?x=1", "{right}../", None])
def test_a_wrong_redirect_uri_is_refused_on_a_page_before_any_code_is_issued(
    sandbox: RunningSandbox, host: str, uri: str | None
) -> None:
    wrong = uri.format(right=redirect_uri(host)) if uri else None
    url = authorize_url(sandbox, host, redirect_uri=wrong)
    for answer in (call("GET", url), call("POST", url, form={"person": "octo-alice", "decision": "allow"})):
        assert answer.status == 400
        assert answer.headers["Location"] is None
        assert "redirect URI" in answer.text


@pytest.mark.parametrize("host", HOSTS)
def test_an_unknown_client_is_refused_on_a_page(sandbox: RunningSandbox, host: str) -> None:
    assert call("GET", authorize_url(sandbox, host, client_id="nobody")).status == 404


@pytest.mark.parametrize("host", HOSTS)
@pytest.mark.parametrize("method", ["plain", None, "s256"])
def test_a_challenge_that_is_not_s256_is_refused(
    sandbox: RunningSandbox, host: str, method: str | None
) -> None:
    answer = call("GET", authorize_url(sandbox, host, code_challenge_method=method))
    assert answer.status == 302
    query = parse_qs(urlsplit(answer.headers["Location"]).query)
    assert query["error"] == ["invalid_request"]
    assert query["state"] == ["st&te"]


@pytest.mark.parametrize("host", HOSTS)
@pytest.mark.parametrize("verifier", ["", "another-verifier-of-more-than-forty-three-letters", CHALLENGE])
def test_a_wrong_verifier_gets_no_token(sandbox: RunningSandbox, host: str, verifier: str) -> None:
    code = sandbox.consent(authorize_url(sandbox, host))["code"]
    assert "error" in exchange(sandbox, host, code=code, code_verifier=verifier).json
    assert sandbox.control(host, "GET", "grants")["count"] == 0


@pytest.mark.parametrize("host", HOSTS)
def test_a_code_works_once(sandbox: RunningSandbox, host: str) -> None:
    code = sandbox.consent(authorize_url(sandbox, host))["code"]
    assert "access_token" in exchange(sandbox, host, code=code).json
    assert "error" in exchange(sandbox, host, code=code).json


@pytest.mark.parametrize("host", HOSTS)
def test_a_code_dies_after_ten_minutes(sandbox: RunningSandbox, host: str) -> None:
    code = sandbox.consent(authorize_url(sandbox, host))["code"]
    sandbox.control(host, "POST", "settings", {"clock_offset_seconds": 601})
    assert "error" in exchange(sandbox, host, code=code).json


@pytest.mark.parametrize("host", HOSTS)
def test_the_redirect_uri_has_to_be_the_same_again_at_the_token_endpoint(
    sandbox: RunningSandbox, host: str
) -> None:
    code = sandbox.consent(authorize_url(sandbox, host))["code"]
    other = redirect_uri(host, "http://testserver")
    assert "error" in exchange(sandbox, host, code=code, redirect_uri=other).json


@pytest.mark.parametrize("host", HOSTS)
def test_deny_goes_back_with_an_error_and_leaves_no_grant(sandbox: RunningSandbox, host: str) -> None:
    back = sandbox.consent(authorize_url(sandbox, host), allow=False)
    assert (back["error"], back["state"]) == ("access_denied", "st&te")
    assert sandbox.control(host, "GET", "grants")["count"] == 0


@pytest.mark.parametrize(
    ("host", "status", "error"),
    [
        ("github", 200, "incorrect_client_credentials"),
        ("gitlab", 401, "invalid_client"),
        ("bitbucket", 400, "unauthorized_client"),
        ("gitea", 400, "unauthorized_client"),
    ],
)
def test_a_wrong_client_secret_is_refused_as_the_original_does(
    sandbox: RunningSandbox, host: str, status: int, error: str
) -> None:
    code = sandbox.consent(authorize_url(sandbox, host))["code"]
    answer = exchange(sandbox, host, code=code, client_secret="wrong")
    assert (answer.status, answer.json["error"]) == (status, error)
    assert "access_token" in exchange(sandbox, host, code=code).json


@pytest.mark.parametrize("host", HOSTS)
def test_the_client_may_show_itself_by_basic(sandbox: RunningSandbox, host: str) -> None:
    code = sandbox.consent(authorize_url(sandbox, host))["code"]
    facts = sandbox.hosts[host]
    form = {
        "code": code,
        "grant_type": "authorization_code",
        "redirect_uri": redirect_uri(host),
        "code_verifier": VERIFIER,
    }
    headers = basic(facts.client_id, facts.client_secret) | {"Accept": "application/json"}
    assert "access_token" in call("POST", facts.web_url + PATHS[host][1], form=form, headers=headers).json


@pytest.mark.parametrize("host", ["gitlab", "bitbucket", "gitea"])
def test_a_refresh_gives_a_new_token_for_the_same_person_and_scopes(
    sandbox: RunningSandbox, host: str
) -> None:
    first = sign_in(sandbox, host)
    second = exchange(sandbox, host, grant_type="refresh_token", refresh_token=first["refresh_token"]).json
    assert second["access_token"] != first["access_token"]
    assert second["refresh_token"] != first["refresh_token"]
    assert works(sandbox, host, second["access_token"])
    old, new = sandbox.control(host, "GET", "state.json")["tokens"]
    assert (old["account"], old["scopes"]) == (new["account"], new["scopes"])


@pytest.mark.parametrize(("host", "seconds"), [("gitlab", 7200), ("bitbucket", 7200), ("gitea", 3600)])
def test_an_access_token_expires_when_the_answer_said(
    sandbox: RunningSandbox, host: str, seconds: int
) -> None:
    answer = sign_in(sandbox, host)
    assert answer["expires_in"] == seconds
    sandbox.control(host, "POST", "settings", {"clock_offset_seconds": seconds - 30})
    assert works(sandbox, host, answer["access_token"])
    sandbox.control(host, "POST", "settings", {"clock_offset_seconds": seconds + 1})
    assert not works(sandbox, host, answer["access_token"])


@pytest.mark.parametrize(
    ("host", "old_access_works", "second_use_works", "family_survives"),
    [("gitlab", False, False, False), ("bitbucket", True, False, True), ("gitea", True, True, True)],
)
def test_what_a_refresh_leaves_alive_is_the_providers_choice(
    sandbox: RunningSandbox,
    host: str,
    *,
    old_access_works: bool,
    second_use_works: bool,
    family_survives: bool,
) -> None:
    first = sign_in(sandbox, host)
    again = {"grant_type": "refresh_token", "refresh_token": first["refresh_token"]}
    second = exchange(sandbox, host, **again).json
    assert works(sandbox, host, first["access_token"]) is old_access_works
    third = exchange(sandbox, host, **again)
    assert ("access_token" in third.json) is second_use_works
    if not second_use_works:
        assert (third.status, third.json["error"]) == (400, "invalid_grant")
    assert works(sandbox, host, second["access_token"]) is family_survives


def test_gitea_rotates_refresh_tokens_when_its_administrator_says_so(sandbox: RunningSandbox) -> None:
    first = sign_in(sandbox, "gitea")
    sandbox.control("gitea", "POST", "settings", {"single_use_refresh": "yes"})
    again = {"grant_type": "refresh_token", "refresh_token": first["refresh_token"]}
    assert "access_token" in exchange(sandbox, "gitea", **again).json
    assert "error" in exchange(sandbox, "gitea", **again).json


def test_a_refresh_token_of_one_client_is_nothing_to_another(sandbox: RunningSandbox) -> None:
    other = sandbox.hosts["github"].apps[1]
    minted = sandbox.mint("github", "octo-alice", "app_user_token")
    assert minted.refresh_token is not None
    again = {"grant_type": "refresh_token", "refresh_token": minted.refresh_token}
    wrong = exchange(sandbox, "github", **again).json
    assert wrong["error"] == "bad_refresh_token"
    client = {"client_id": other["client_id"], "client_secret": other["client_secret"]}
    right = exchange(sandbox, "github", **again, **client).json
    assert right["access_token"].startswith("ghu_")
    assert right["refresh_token"].startswith("ghr_")


def test_a_base_added_later_may_be_redirected_to(sandbox: RunningSandbox) -> None:
    uri = redirect_uri("github", "http://127.0.0.1:21234")
    url = authorize_url(sandbox, "github", redirect_uri=uri)
    assert call("GET", url).status == 400
    sandbox.control("github", "POST", "settings", {"redirect_bases": ["http://127.0.0.1:21234"]})
    assert call("GET", url).status == 200


@pytest.mark.parametrize("host", ["gitlab", "bitbucket"])
def test_a_scope_the_application_does_not_have_is_refused(sandbox: RunningSandbox, host: str) -> None:
    answer = call("GET", authorize_url(sandbox, host, scope="sudo"))
    assert "error=invalid_scope" in answer.headers["Location"]


def test_another_sites_page_cannot_press_allow(sandbox: RunningSandbox) -> None:
    url = authorize_url(sandbox, "github")
    form = {"person": "octo-alice", "decision": "allow"}
    for origin in ("http://evil.example", "null", sandbox.hosts["gitlab"].web_url):
        answer = call("POST", url, form=form, headers={"Origin": origin})
        assert (answer.status, answer.headers["Location"]) == (403, None)
    own = call("POST", url, form=form, headers={"Origin": sandbox.hosts["github"].web_url})
    assert "code=" in own.headers["Location"]


def test_an_unknown_grant_type_is_refused(sandbox: RunningSandbox) -> None:
    for host in HOSTS:
        assert exchange(sandbox, host, grant_type="password").json["error"] == "unsupported_grant_type"
