"""A list of repositories over HTTP: pages, narrowing, and why there is none."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest
from django.contrib.auth.models import User
from django.test import Client
from django.utils import timezone

from credentials.models import AuditEvent, Credential, Hold, Host, Status
from credentials.providers.github import repositories as listing
from credentials.providers.tokens import Kind
from tests import builders
from tests.credentials.api.conftest import Call
from tests.credentials.api.test_outputs import check
from tests.sandbox import RunningSandbox

pytestmark = pytest.mark.django_db

ALL = {"acme/cases", "acme/public-cases", "assxxx/ABC", "octo-alice/private-cases"}


@pytest.fixture
def host(sandbox: RunningSandbox) -> Host:
    return builders.sandbox_host(sandbox, "github")


@pytest.fixture
def credential(sandbox: RunningSandbox, host: Host, alice: User) -> Credential:
    """One of alice's, with a live token of octo-alice's."""
    token = sandbox.mint("github", "octo-alice", "personal_token", ["repo", "read:org"]).token
    return builders.credential(alice, host, token=token)


def listed(call: Call, key: Any, credential: Credential, query: str = "") -> Any:
    answer = call(key, "GET", f"/credentials/{credential.pk}/repositories/{query}")
    return check(answer, "credentials_repositories", 200)


def names(page: Any) -> set[str]:
    return {one["full_name"] for one in page["results"]}


def test_the_list_is_what_the_token_reaches(host: Host, credential: Credential, call: Call) -> None:
    _, key = builders.client()

    page = listed(call, key, credential)

    assert names(page) == ALL
    assert (page["next"], page["previous"]) == (None, None)
    (cases,) = [one for one in page["results"] if one["full_name"] == "acme/cases"]
    assert cases == {
        "full_name": "acme/cases",
        "clone_url": f"{host.web_url}/acme/cases.git",
        "private": True,
        "default_branch": "main",
    }
    opened = AuditEvent.objects.get(action="credential.opened")
    assert (opened.purpose, opened.actor_kind) == ("repository list", "client")


def test_a_word_narrows_the_list(credential: Credential, call: Call) -> None:
    _, key = builders.client()

    assert names(listed(call, key, credential, "?q=ACME")) == {"acme/cases", "acme/public-cases"}
    assert names(listed(call, key, credential, "?q=nothing-like-it")) == set()


def test_next_leads_to_the_page_after_and_keeps_the_word(
    credential: Credential, call: Call, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(listing, "_PER_PAGE", 1)
    monkeypatch.setattr(listing, "_ENOUGH", 1)
    _, key = builders.client()
    query, seen, addresses = "?q=acme&other=1", set(), []

    while query:
        page = listed(call, key, credential, query)
        seen |= names(page)
        addresses.append(page["next"])
        query = page["next"] and "?" + page["next"].partition("?")[2]

    assert seen == {"acme/cases", "acme/public-cases"}
    here = f"http://testserver/api/v1/credentials/{credential.pk}/repositories/?q=acme&cursor="
    assert addresses[0].startswith(here)
    assert addresses[0].removeprefix(here).isdigit()
    assert addresses[-1] is None


def test_a_person_lists_their_own(credential: Credential, alice: User, bob: User) -> None:
    for person, status in ((alice, 200), (bob, 404)):
        browser = Client()
        browser.force_login(person)
        address = f"/api/v1/credentials/{credential.pk}/repositories/"
        assert browser.get(address).status_code == status


def test_a_token_that_may_not_list_is_no_empty_list(sandbox: RunningSandbox, alice: User, call: Call) -> None:
    host = builders.sandbox_host(sandbox, "bitbucket")
    minted = sandbox.mint("bitbucket", "octo-alice", "api_token", ["read:repository:bitbucket"])
    credential = builders.credential(alice, host, token=minted.token, kind=Kind.API_TOKEN, email=minted.email)
    _, key = builders.client()

    answer = call(key, "GET", f"/credentials/{credential.pk}/repositories/")

    body = check(answer, "credentials_repositories", 422)
    assert (body["code"], body["type"]) == ("listing_not_possible", "/help/listing-not-possible/")
    assert "verdict" not in body
    assert Client().get(body["type"]).status_code == 200


def test_a_token_that_the_host_refuses_is_a_422_with_the_way_to_replace_it(
    sandbox: RunningSandbox, host: Host, alice: User, call: Call
) -> None:
    minted = sandbox.mint("github", "octo-alice", "personal_token", ["repo"])
    credential = builders.credential(alice, host, token=minted.token)
    sandbox.control("github", "POST", f"tokens/{minted.id}", {"revoked": True})
    _, key = builders.client()

    answer = call(key, "GET", f"/credentials/{credential.pk}/repositories/")

    verdict = check(answer, "credentials_repositories", 422)["verdict"]
    assert (verdict["code"], verdict["credential"]) == ("token_rejected", str(credential.pk))
    urls = [step.get("url", "") for step in verdict["steps"]]
    assert urls[0].startswith(host.web_url)
    assert urls[1] == f"/credentials/{credential.pk}/replace/"


def test_a_credential_that_cannot_be_used_is_a_conflict(host: Host, alice: User, call: Call) -> None:
    credential = builders.credential(alice, host, status=Status.REJECTED)
    _, key = builders.client()

    answer = call(key, "GET", f"/credentials/{credential.pk}/repositories/")

    assert (answer.status_code, answer.json()["code"]) == (409, "conflict")


def test_while_the_quota_is_spent_the_answer_says_how_long_and_nobody_asks(
    sandbox: RunningSandbox, credential: Credential, call: Call
) -> None:
    sandbox.control("github", "POST", "faults", {"path_prefix": "/", "times": 1, "quota": "primary"})
    _, key = builders.client()
    address = f"/credentials/{credential.pk}/repositories/"

    spent = call(key, "GET", address)
    asked = len(sandbox.calls("github"))
    again = call(key, "GET", address)

    for answer in (spent, again):
        assert (answer.status_code, answer.json()["code"]) == (503, "rate_limited")
        assert int(answer["Retry-After"]) > 0
    assert len(sandbox.calls("github")) == asked
    assert Credential.objects.get().hold_reason == Hold.QUOTA


@pytest.mark.parametrize("fault", [{"status": 502}, {"html": True}, {"cut": True}])
def test_an_outage_is_no_empty_list(
    sandbox: RunningSandbox, credential: Credential, call: Call, fault: dict[str, Any]
) -> None:
    sandbox.control("github", "POST", "faults", {"path_prefix": "/", "times": 0, **fault})
    _, key = builders.client()

    answer = call(key, "GET", f"/credentials/{credential.pk}/repositories/")

    assert (answer.status_code, answer.json()["code"]) == (503, "host_unreachable")
    assert answer.json()["retryable"] is True
    assert int(answer["Retry-After"]) > 0


@pytest.mark.parametrize("cursor", ["-1", "0", "x", "99999999999", "1e3", "٣"])
def test_a_cursor_of_somebodys_own_is_the_beginning(credential: Credential, call: Call, cursor: str) -> None:
    _, key = builders.client()

    assert names(listed(call, key, credential, f"?cursor={cursor}")) == ALL


@pytest.mark.parametrize(
    ("query", "field"),
    [
        (f"q={'x' * 101}", "q"),
        ("q=%00", "q"),
        (f"q=ghp_{'q' * 36}", "q"),
        (f"cursor={'1' * 201}", "cursor"),
    ],
)
def test_what_cannot_be_is_refused_before_the_host_is_asked(
    sandbox: RunningSandbox, credential: Credential, call: Call, query: str, field: str
) -> None:
    _, key = builders.client()
    sandbox.control("github", "DELETE", "calls")

    answer = call(key, "GET", f"/credentials/{credential.pk}/repositories/?{query}")

    assert (answer.status_code, answer.json()["field"]) == (400, field)
    assert sandbox.calls("github") == []


def test_a_resting_credential_lists_again_when_its_rest_is_over(credential: Credential, call: Call) -> None:
    _, key = builders.client()
    for minutes, status in ((5, 503), (-5, 200)):
        until = timezone.now() + timedelta(minutes=minutes)
        Credential.objects.update(hold_until=until, hold_reason=Hold.QUOTA)
        assert call(key, "GET", f"/credentials/{credential.pk}/repositories/").status_code == status
