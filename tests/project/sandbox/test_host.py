"""What all hosts have in common, asked of each: minting, faults, the order of answering."""

from __future__ import annotations

import time
from http.client import HTTPConnection, IncompleteRead

import pytest

from project.sandbox.client import SandboxError
from project.sandbox.emulated import EMULATED
from tests.project.sandbox.caller import call
from tests.sandbox import RunningSandbox

HOSTS = [slug for slug, _ in EMULATED]
WITH_OAUTH = [slug for slug, host in EMULATED if host.rules.authorize_path]
KINDS = [(slug, kind) for slug, host in EMULATED for kind in host.kinds]


@pytest.mark.parametrize(("host", "kind"), KINDS)
def test_every_kind_of_token_can_be_made_and_is_listed_without_its_text(
    sandbox: RunningSandbox, host: str, kind: str
) -> None:
    minted = sandbox.mint(host, "octo-alice", kind, ["x"], expires_in=60)
    state = sandbox.control(host, "GET", "state.json")
    (listed,) = state["tokens"]
    assert (listed["id"], listed["kind"], listed["scopes"]) == (minted.id, kind, ["x"])
    assert listed["expires_at"] == pytest.approx(state["now"] + 60, abs=10)
    assert minted.token not in str(state)
    assert minted.email == "octo-alice@example.test"
    assert minted.username


@pytest.mark.parametrize("host", HOSTS)
@pytest.mark.parametrize(
    ("account", "kind", "words"), [("nobody", "oauth", "account"), ("octo-bob", "nope", "kind")]
)
def test_an_unknown_account_or_kind_is_refused_with_what_there_is(
    sandbox: RunningSandbox, host: str, account: str, kind: str, words: str
) -> None:
    with pytest.raises(SandboxError, match=f"^{words}:"):
        sandbox.mint(host, account, kind)


@pytest.mark.parametrize("host", HOSTS)
def test_a_fault_replaces_the_answer_as_often_as_it_says(sandbox: RunningSandbox, host: str) -> None:
    url = f"{sandbox.hosts[host].api_url}/user"
    usual = call("GET", url).status
    sandbox.control(host, "POST", "faults", {"status": 503, "times": 2})
    assert [call("GET", url).status for _ in range(3)] == [503, 503, usual]


@pytest.mark.parametrize("host", HOSTS)
def test_a_page_comes_where_json_is_due(sandbox: RunningSandbox, host: str) -> None:
    sandbox.control(host, "POST", "faults", {"html": True})
    answer = call("GET", f"{sandbox.hosts[host].api_url}/user")
    assert (answer.status, answer.headers["Content-Type"]) == (200, "text/html; charset=utf-8")


@pytest.mark.parametrize("host", HOSTS)
def test_a_cut_answer_is_incomplete(sandbox: RunningSandbox, host: str) -> None:
    sandbox.control(host, "POST", "faults", {"cut": True})
    with pytest.raises(IncompleteRead):
        call("GET", f"{sandbox.hosts[host].api_url}/user")


def test_a_fault_may_be_late_and_then_as_usual(sandbox: RunningSandbox) -> None:
    sandbox.control(
        "gitea", "POST", "faults", {"latency_ms": 250, "path_prefix": "/api/v1/version", "times": 1}
    )
    url = f"{sandbox.hosts['gitea'].api_url}/version"
    waits = []
    for _ in range(2):
        begun = time.monotonic()
        assert call("GET", url).status == 200
        waits.append(time.monotonic() - begun)
    assert waits[0] >= 0.25
    assert waits[1] < 0.25


def test_a_fault_of_one_host_leaves_the_others_and_the_control_page_alone(sandbox: RunningSandbox) -> None:
    sandbox.control("github", "POST", "faults", {"status": 500})
    assert call("GET", f"{sandbox.hosts['gitea'].api_url}/version").status == 200
    assert sandbox.control("github", "GET", "state.json")["faults"][0]["status"] == 500


@pytest.mark.parametrize("host", HOSTS)
def test_the_first_page_and_the_pages_for_tokens_lead_to_the_control_page(
    sandbox: RunningSandbox, host: str
) -> None:
    paths = dict(EMULATED)[host].manage_paths
    for path in ("/", *paths):
        assert call("GET", sandbox.hosts[host].origin + path).headers["Location"] == "/_sandbox/"


@pytest.mark.parametrize("host", WITH_OAUTH)
def test_a_body_that_cannot_be_read_is_a_bad_request_and_is_logged(
    sandbox: RunningSandbox, host: str
) -> None:
    path = dict(EMULATED)[host].rules.token_path
    connection = HTTPConnection(sandbox.hosts[host].web_url.removeprefix("http://"), timeout=30)
    try:
        headers = {"Content-Type": "application/json"}
        connection.request("POST", path, body=b"{", headers=headers)
        assert connection.getresponse().status == 400
    finally:
        connection.close()
    assert sandbox.calls(host)[-1]["status"] == 400


@pytest.mark.parametrize("host", WITH_OAUTH)
def test_a_new_token_is_unknown_while_the_replicas_lag(sandbox: RunningSandbox, host: str) -> None:
    sandbox.control(host, "POST", "settings", {"replica_lag_seconds": 60})
    minted = sandbox.mint(host, "octo-alice", "oauth", ["read:user", "read_user", "account"])
    url = f"{sandbox.hosts[host].api_url}/user"
    headers = {"Authorization": f"Bearer {minted.token}"}
    assert call("GET", url, headers=headers).status == 401
    sandbox.control(host, "POST", "settings", {"clock_offset_seconds": 61})
    assert call("GET", url, headers=headers).status == 200
