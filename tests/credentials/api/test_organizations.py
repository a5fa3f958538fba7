"""Organizations over HTTP: their pages by state, who is told of them, and asking anew."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest
from django.contrib.auth.models import User
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext
from django.utils import timezone

from credentials.crypto.secret import Secret
from credentials.models import AuditEvent, Credential, Hold, Status
from credentials.providers.tokens import Kind
from tests import builders
from tests.credentials.api.conftest import Call
from tests.credentials.api.test_outputs import check
from tests.sandbox import RunningSandbox

pytestmark = pytest.mark.django_db

PAGE = "http://127.0.0.1:9/the/host/said/so"
APPROVE = "http://127.0.0.1:9/organizations/acme/settings/oauth_application_policy"
REQUEST = "http://127.0.0.1:9/settings/connections/applications/Ov23liApp"
SSO = "http://127.0.0.1:9/orgs/acme/sso"


def board(call: Call, key: Any, credential: Credential, query: str = "") -> dict[str, Any]:
    """The organizations a credential is told to have, by their names in addresses."""
    answer = call(key, "GET", f"/credentials/{credential.pk}/organizations/{query}")
    told = check(answer, "credentials_organizations", 200)
    return {one["organization"]["key"]: one for one in told}


@pytest.mark.parametrize(
    ("state", "links"),
    [
        ("not_approved", {"request": REQUEST, "approve": APPROVE}),
        ("requested", {"request": REQUEST, "approve": APPROVE}),
        ("denied", {"request": REQUEST, "approve": APPROVE}),
        ("token_pending", {"approve": APPROVE}),
        ("sso_required", {"sso": SSO}),
        ("policy_blocked", {}),
        ("ip_blocked", {}),
        ("accessible", {}),
        ("unknown", {}),
    ],
)
def test_the_pages_of_an_organization_are_those_that_help_in_its_state(
    alice: User, call: Call, state: str, links: dict[str, str]
) -> None:
    host = builders.host(client_id="Ov23liApp", client_secret=Secret("x"))
    credential = builders.credential(alice, host, kind=Kind.OAUTH)
    builders.access(credential, "acme", name="Acme", state=state)
    _, key = builders.client()

    told = board(call, key, credential)["acme"]

    assert told["organization"] == {"host": "github", "key": "acme", "name": "Acme"}
    assert told["state"] == state
    assert {name: url for name, url in told["links"].items() if url} == links


@pytest.mark.parametrize(
    ("state", "link"), [("not_approved", "request"), ("token_pending", "approve"), ("sso_required", "sso")]
)
def test_the_page_that_the_host_named_itself_comes_first(
    alice: User, call: Call, state: str, link: str
) -> None:
    credential = builders.credential(alice, builders.host())
    builders.access(credential, "acme", state=state, mend_url=PAGE)
    _, key = builders.client()

    assert board(call, key, credential)["acme"]["links"][link] == PAGE


def test_an_organization_the_account_is_no_member_of_is_told_only_where_it_is_asked_for(
    alice: User, call: Call
) -> None:
    credential = builders.credential(alice, builders.host())
    builders.access(credential, "acme", state="accessible")
    builders.access(credential, "named-by-others", state="no_membership")
    _, key = builders.client()

    assert set(board(call, key, credential)) == {"acme"}
    assert set(board(call, key, credential, "?all=false")) == {"acme"}
    assert set(board(call, key, credential, "?all=true")) == {"acme", "named-by-others"}
    wrong = call(key, "GET", f"/credentials/{credential.pk}/organizations/?all=perhaps")
    assert (wrong.status_code, wrong.json()["field"]) == (400, "all")


def test_the_board_costs_the_same_statements_whatever_it_holds(alice: User, call: Call) -> None:
    credential = builders.credential(alice, builders.host())
    _, key = builders.client()
    counts = []

    for number in range(3):
        builders.access(credential, f"org-{number}", state="not_approved")
        with CaptureQueriesContext(connection) as captured:
            board(call, key, credential)
        counts.append(len(captured.captured_queries))

    assert len(set(counts)) == 1


def test_what_changed_at_the_host_is_in_the_answer_to_a_refresh(
    sandbox: RunningSandbox, alice: User, call: Call
) -> None:
    host = builders.sandbox_host(sandbox, "github")
    token = sandbox.mint("github", "octo-alice", "oauth", ["repo", "read:org"]).token
    credential = builders.credential(
        alice, host, token=token, kind=Kind.OAUTH, oauth_client_id=host.client_id
    )
    _, key = builders.client()
    address = f"/credentials/{credential.pk}/organizations/refresh/"

    first = check(call(key, "POST", address), "credentials_organizations_refresh", 200)
    sandbox.control("github", "POST", "organizations/assxxx", {"approved": True})
    second = check(call(key, "POST", address), "credentials_organizations_refresh", 200)

    before, after = ({one["organization"]["key"]: one for one in told} for told in (first, second))
    assert (before["assxxx"]["state"], after["assxxx"]["state"]) == ("not_approved", "accessible")
    assert before["assxxx"]["links"]["request"].startswith(host.web_url)
    assert before["assxxx"]["links"]["approve"].startswith(host.web_url)
    assert after["assxxx"]["links"] == {"request": None, "approve": None, "sso": None}
    assert before["sso-corp"]["links"]["sso"].startswith(host.web_url)
    assert after == board(call, key, credential)
    assert AuditEvent.objects.filter(action="credential.opened", purpose="organization check").count() == 2


def test_a_person_asks_anew_about_their_own(sandbox: RunningSandbox, alice: User) -> None:
    host = builders.sandbox_host(sandbox, "github")
    token = sandbox.mint("github", "octo-alice", "personal_token", ["repo", "read:org"]).token
    credential = builders.credential(alice, host, token=token)
    browser = Client()
    browser.force_login(alice)

    answer = browser.post(f"/api/v1/credentials/{credential.pk}/organizations/refresh/")

    assert "acme" in {one["organization"]["key"] for one in answer.json()}


def test_a_credential_that_cannot_be_used_or_rests_is_a_conflict_and_its_host_is_not_asked(
    sandbox: RunningSandbox, alice: User, call: Call
) -> None:
    host = builders.sandbox_host(sandbox, "github")
    rests = {"hold_until": timezone.now() + timedelta(minutes=5), "hold_reason": Hold.QUOTA}
    _, key = builders.client()

    for fields, word in (({"status": Status.REJECTED}, "cannot be used"), (rests, "rests")):
        credential = builders.credential(alice, host, token=f"ghp_{word[0] * 36}", **fields)
        answer = call(key, "POST", f"/credentials/{credential.pk}/organizations/refresh/")
        assert (answer.status_code, answer.json()["code"]) == (409, "conflict")
        assert word in answer.json()["detail"]

    assert sandbox.calls("github") == []
    assert not AuditEvent.objects.filter(action="credential.opened").exists()


def test_a_token_that_the_host_refuses_rests_after_the_first_refresh(
    sandbox: RunningSandbox, alice: User, call: Call
) -> None:
    host = builders.sandbox_host(sandbox, "github")
    minted = sandbox.mint("github", "octo-alice", "personal_token", ["repo", "read:org"])
    credential = builders.credential(alice, host, token=minted.token)
    builders.access(credential, "acme", state="accessible")
    sandbox.control("github", "POST", f"tokens/{minted.id}", {"revoked": True})
    _, key = builders.client()
    address = f"/credentials/{credential.pk}/organizations/refresh/"

    assert call(key, "POST", address).status_code == 409
    asked = len(sandbox.calls("github"))
    assert call(key, "POST", address).status_code == 409

    assert len(sandbox.calls("github")) == asked
    assert board(call, key, credential)["acme"]["state"] == "accessible"


@pytest.mark.parametrize("fault", [{"status": 503}, {"html": True}, {"cut": True}])
def test_an_outage_is_a_503_and_what_was_known_stands(
    sandbox: RunningSandbox, alice: User, call: Call, fault: dict[str, Any]
) -> None:
    host = builders.sandbox_host(sandbox, "github")
    token = sandbox.mint("github", "octo-alice", "personal_token", ["repo", "read:org"]).token
    credential = builders.credential(alice, host, token=token)
    builders.access(credential, "acme", state="accessible")
    _, key = builders.client()
    before = board(call, key, credential)
    sandbox.control("github", "POST", "faults", {"path_prefix": "/", "times": 0, **fault})

    answer = call(key, "POST", f"/credentials/{credential.pk}/organizations/refresh/")

    assert (answer.status_code, answer.json()["code"]) == (503, "host_unreachable")
    assert int(answer["Retry-After"]) > 0
    assert board(call, key, credential) == before
