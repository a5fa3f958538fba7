"""A finding in words: whose account, which organization, which scopes, and links to the host's own pages."""

from __future__ import annotations

import pytest
from django.contrib.auth.models import User

from credentials.models import AccessState, Credential
from credentials.providers.repository_url import parse
from credentials.providers.tokens import Kind
from credentials.services import explain, hosts, targets
from credentials.services.reach import Finding
from credentials.services.targets import Target
from credentials.verdicts import Verdict, VerdictCode
from tests import builders

pytestmark = pytest.mark.django_db

ORIGIN = "http://127.0.0.1:9"


@pytest.fixture
def held(alice: User) -> Credential:
    return builders.credential(
        alice,
        builders.host(client_id="client-1"),
        kind=Kind.OAUTH,
        account_name="octo-alice",
        scopes=["repo"],
    )


def target(address: str = f"{ORIGIN}/AssXXX/ABC") -> Target:
    found = targets.find_target(parse(address))
    assert found is not None
    return found


def said(credential: Credential | None, code: VerdictCode, user: User, **more: object) -> Verdict:
    finding = Finding(code=code, checks=(), **more)  # type: ignore[arg-type]  # as declared there
    return explain.explain(target(), credential, finding, user=user)


def urls(verdict: Verdict) -> set[str]:
    return {step.url for step in verdict.steps if step.url}


@pytest.mark.parametrize("code", VerdictCode)
def test_every_code_has_words_without_a_gap_and_links_to_the_host_only(
    held: Credential, alice: User, code: VerdictCode
) -> None:
    for credential in (held, None):
        found = said(credential, code, alice, organization="AssXXX", url=f"{ORIGIN}/orgs/AssXXX/sso?x=1")
        texts = [found.title, found.summary, found.message_to_owner, *(step.text for step in found.steps)]
        for text in map(str, texts):
            assert "%(" not in text
            assert "{" not in text
        assert all(url.startswith(f"{ORIGIN}/") for url in urls(found))
        assert (found.code, found.host) == (code, "github")
        assert found.credential == (str(held.pk) if credential else "")


def test_the_message_to_an_owner_names_the_app_the_organization_and_the_page(
    held: Credential, alice: User
) -> None:
    found = said(held, VerdictCode.ORGANIZATION_NOT_APPROVED, alice, organization="AssXXX")
    message = str(found.message_to_owner)
    for part in ("AssXXX", "client-1", f"{ORIGIN}/"):
        assert part in message
    assert any("client-1" in url for url in urls(found))


def test_an_answers_own_sign_on_page_is_taken_before_the_general_one(held: Credential, alice: User) -> None:
    page = f"{ORIGIN}/orgs/assxxx/sso?authorization_request=abc"
    found = said(held, VerdictCode.SSO_REQUIRED, alice, organization="AssXXX", url=page)
    assert page in urls(found)


@pytest.mark.parametrize(
    ("account", "label", "named"),
    [
        ({"account_name": "octo-alice"}, "work", "octo-alice"),
        ({"account_name": "", "account_id": "4711"}, "work", "#4711"),
        ({"account_name": ""}, "work", "work"),
        ({"account_name": ""}, "", "your account"),
    ],
)
def test_an_account_is_named_by_the_best_that_is_known(
    held: Credential, alice: User, account: dict[str, str], label: str, named: str
) -> None:
    held.label = label
    for name, value in account.items():
        setattr(held, name, value)
    found = said(held, VerdictCode.NOT_FOUND_OR_NO_ACCESS, alice)
    assert named in " ".join([str(found.summary), *(str(step.text) for step in found.steps)])


def test_the_missing_scopes_are_named(held: Credential, alice: User) -> None:
    held.kind = Kind.PERSONAL_TOKEN.value
    found = said(held, VerdictCode.SCOPE_MISSING, alice, missing_scopes=("read:made-up", "repo"))
    assert "read:made-up, repo" in " ".join([str(found.summary), *(str(step.text) for step in found.steps)])


@pytest.mark.parametrize(
    ("state", "code"),
    [
        (AccessState.NOT_APPROVED, VerdictCode.ORGANIZATION_NOT_APPROVED),
        (AccessState.REQUESTED, VerdictCode.ORGANIZATION_REQUESTED),
        (AccessState.DENIED, VerdictCode.ORGANIZATION_DENIED),
        (AccessState.SSO_REQUIRED, VerdictCode.SSO_REQUIRED),
        (AccessState.POLICY_BLOCKED, VerdictCode.ORGANIZATION_POLICY),
        (AccessState.TOKEN_PENDING, VerdictCode.TOKEN_PENDING),
        (AccessState.IP_BLOCKED, VerdictCode.IP_BLOCKED),
        (AccessState.ACCESSIBLE, None),
        (AccessState.NO_MEMBERSHIP, None),
        (AccessState.UNKNOWN, None),
    ],
)
def test_a_line_of_the_board_is_explained_where_it_blocks(
    held: Credential, alice: User, state: AccessState, code: VerdictCode | None
) -> None:
    access = builders.access(held, "assxxx", state=state, name="AssXXX")
    found = explain.explain_access(access, provider=hosts.provider_of(held.host), user=alice)
    assert (found.code if found else None) == code
    assert not found or found.organization == "AssXXX"


def test_a_title_is_not_taken_for_the_name_in_addresses(held: Credential, alice: User) -> None:
    access = builders.access(
        held, "assxxx", state="sso_required", name="The Ass Company", mend_url="https://evil.example/"
    )
    found = explain.explain_access(access, provider=hosts.provider_of(held.host), user=alice)
    assert found is not None
    assert found.organization == "assxxx"
    assert all(url.startswith(f"{ORIGIN}/") for url in urls(found))
