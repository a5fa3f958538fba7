"""Connecting by a pasted token, against the emulated hosts: what is stored, and what never is."""

from __future__ import annotations

from typing import Any

import pytest
from django.contrib.auth.models import User

from credentials.crypto.secret import Secret
from credentials.errors import Conflict, InputInvalid, TokenNotAccepted
from credentials.models import AuditEvent, Credential, Status
from credentials.services import connect
from credentials.services.audit import Actor
from credentials.services.connect import Connected, ManualEntry
from credentials.verdicts import VerdictCode
from tests import builders
from tests.credentials.services.refresh.grants import opened, sandbox_pair
from tests.sandbox import Minted, RunningSandbox

pytestmark = pytest.mark.django_db

# The tokens the help page tells people to make: host, kind, scopes, and whether they show whose they are.
HELP_PAGE = [
    ("github", "personal_token", ["repo"], "octo-alice"),
    ("gitlab", "personal_token", ["read_repository"], ""),
    ("bitbucket", "api_token", ["read:repository:bitbucket"], ""),
    ("gitea", "personal_token", ["read:repository"], ""),
]


def paste(owner: User, slug: str, token: str, **more: Any) -> Connected:
    return connect.connect_token(
        actor=Actor.user(owner),
        owner=owner,
        host=builders.Host.objects.get(slug=slug),
        entry=ManualEntry(token=Secret(token), **more),
    )


def mint(sandbox: RunningSandbox, slug: str, kind: str = "personal_token", scopes: Any = ("repo",)) -> Minted:
    builders.sandbox_host(sandbox, slug)
    return sandbox.mint(slug, "octo-alice", kind, scopes)


def refused(owner: User, slug: str, token: str, **more: Any) -> VerdictCode:
    before = Credential.objects.count()
    with pytest.raises(TokenNotAccepted) as error:
        paste(owner, slug, token, **more)
    assert Credential.objects.count() == before
    return error.value.verdict.code


@pytest.mark.parametrize(("slug", "kind", "scopes", "account"), HELP_PAGE)
def test_the_help_pages_token_is_stored_with_what_can_be_known(
    sandbox: RunningSandbox, alice: User, slug: str, kind: str, scopes: list[str], account: str
) -> None:
    minted = mint(sandbox, slug, kind, scopes)

    done = paste(alice, slug, minted.token, email=minted.email)

    assert done.verdict.code is VerdictCode.OK
    credential = Credential.objects.get()
    assert credential.status == Status.VALID
    assert credential.account_name == account
    assert credential.scopes in (scopes, None)
    assert minted.token.encode() not in bytes(credential.access_envelope or b"")
    assert (
        AuditEvent.objects.filter(action="credential.connected", subject_id=str(credential.pk)).count() == 1
    )


@pytest.mark.parametrize(
    ("slug", "token", "code"),
    [
        ("github", "glpat-" + "x" * 20, VerdictCode.TOKEN_WRONG_PROVIDER),
        ("gitlab", "ghp_" + "x" * 36, VerdictCode.TOKEN_WRONG_PROVIDER),
        ("github", "ghr_" + "x" * 36, VerdictCode.TOKEN_WRONG_KIND),
        ("gitlab", "gldt-" + "x" * 20, VerdictCode.TOKEN_WRONG_KIND),
        ("bitbucket", "ATBB" + "x" * 32, VerdictCode.TOKEN_RETIRED_KIND),
        ("bitbucket", "ATATT3" + "x" * 60 + "=0123ABCD", VerdictCode.EMAIL_REQUIRED),
        ("github", "ghp_" + "x" * 36, VerdictCode.TOKEN_MISTYPED),
        ("github", "ghp_" + "x" * 18 + " " + "x" * 18, VerdictCode.TOKEN_MISTYPED),
        ("github", "", VerdictCode.TOKEN_MISTYPED),
        ("gitlab", "glpat-" + "x" * 20, VerdictCode.TOKEN_REJECTED),
        ("gitea", "0" * 40, VerdictCode.TOKEN_REJECTED),
    ],
)
def test_a_wrong_token_gets_its_own_verdict_and_nothing_is_stored(
    sandbox: RunningSandbox, alice: User, slug: str, token: str, code: VerdictCode
) -> None:
    builders.sandbox_host(sandbox, slug)

    assert refused(alice, slug, token) is code


def test_a_token_of_the_wrong_provider_is_never_sent_to_the_host(
    sandbox: RunningSandbox, alice: User
) -> None:
    builders.sandbox_host(sandbox, "github")
    refused(alice, "github", "glpat-" + "x" * 20)

    assert sandbox.calls("github") == []


def test_white_space_around_a_token_is_forgiven(sandbox: RunningSandbox, alice: User) -> None:
    minted = mint(sandbox, "github")

    assert paste(alice, "github", f"  {minted.token}\n").verdict.ok


def test_an_unreachable_host_leaves_the_token_unverified_and_says_so(alice: User) -> None:
    builders.host()

    done = paste(alice, "github", "ghp_" + "x" * 36)

    assert done.verdict.code is VerdictCode.HOST_UNREACHABLE
    assert Credential.objects.get().status == Status.UNVERIFIED


@pytest.mark.parametrize(
    "fault",
    [
        {"status": 503},
        {"html": True},
        {"quota": "primary"},
        {"quota": "secondary"},
        {"cut": True},
    ],
)
def test_an_outage_never_refuses_a_token(sandbox: RunningSandbox, alice: User, fault: dict[str, Any]) -> None:
    minted = mint(sandbox, "github")
    sandbox.control("github", "POST", "faults", fault)

    done = paste(alice, "github", minted.token)

    assert not done.verdict.ok
    assert done.credential.status == Status.UNVERIFIED


def test_a_token_without_the_needed_scope_is_stored_as_limited(sandbox: RunningSandbox, alice: User) -> None:
    minted = mint(sandbox, "github", scopes=["read:org"])

    done = paste(alice, "github", minted.token)

    assert done.verdict.code is VerdictCode.SCOPE_MISSING
    assert done.credential.status == Status.LIMITED
    assert done.credential.missing_scopes


def test_the_same_token_again_brings_its_credential_up_to_date(sandbox: RunningSandbox, alice: User) -> None:
    minted = mint(sandbox, "github")
    first = paste(alice, "github", minted.token)
    second = paste(alice, "github", minted.token)

    assert second.credential.pk == first.credential.pk
    assert (first.created, second.created) == (True, False)


def test_two_people_may_connect_the_same_account(sandbox: RunningSandbox, alice: User, bob: User) -> None:
    minted = mint(sandbox, "github")

    assert paste(alice, "github", minted.token).created
    assert paste(bob, "github", minted.token).created


def test_replacing_keeps_the_id_and_label_and_makes_the_old_envelope_useless(
    sandbox: RunningSandbox, alice: User
) -> None:
    old = mint(sandbox, "github")
    first = paste(alice, "github", old.token, label="work").credential
    new = sandbox.mint("github", "octo-alice", "personal_token", ["repo"])

    done = connect.replace_token(
        actor=Actor.user(alice), credential=first, entry=ManualEntry(token=Secret(new.token))
    )

    assert done.credential.pk == first.pk
    assert done.credential.label == "work"
    assert done.credential.generation == 2


def test_replacing_by_another_accounts_token_is_refused(sandbox: RunningSandbox, alice: User) -> None:
    credential = paste(alice, "github", mint(sandbox, "github").token).credential
    other = sandbox.mint("github", "octo-bob", "personal_token", ["repo"])

    with pytest.raises(TokenNotAccepted) as error:
        connect.replace_token(
            actor=Actor.user(alice), credential=credential, entry=ManualEntry(token=Secret(other.token))
        )

    assert error.value.verdict.code is VerdictCode.WRONG_ACCOUNT


def test_of_two_replacements_at_once_the_second_is_told_to_look_again(
    sandbox: RunningSandbox, alice: User
) -> None:
    stale = paste(alice, "github", mint(sandbox, "github").token).credential
    fresh = Credential.objects.get()
    for credential, wins in ((fresh, True), (stale, False)):
        token = Secret(sandbox.mint("github", "octo-alice", "personal_token", ["repo"]).token)
        entry = ManualEntry(token=token)
        if wins:
            connect.replace_token(actor=Actor.user(alice), credential=credential, entry=entry)
        else:
            with pytest.raises(Conflict):
                connect.replace_token(actor=Actor.user(alice), credential=credential, entry=entry)


def test_a_label_is_renamed_and_an_endless_one_refused(alice: User) -> None:
    credential = builders.credential(alice, builders.host())

    connect.rename(actor=Actor.user(alice), credential=credential, label=" laptop ")
    with pytest.raises(InputInvalid):
        connect.rename(actor=Actor.user(alice), credential=credential, label="x" * 101)

    assert Credential.objects.get().label == "laptop"


def test_pasting_one_half_of_a_pair_that_renews_itself_loses_the_other_half_to_nobody(
    sandbox: RunningSandbox, alice: User
) -> None:
    host = builders.sandbox_host(sandbox, "gitlab")
    pair = sandbox_pair(sandbox, alice, host)
    access = opened(pair)

    with pytest.raises(Conflict, match="renews it by itself"):
        paste(alice, "gitlab", access)

    pair.refresh_from_db()
    assert (pair.kind, pair.generation, pair.is_renewable) == ("oauth", 1, True)
