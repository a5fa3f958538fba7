"""Hosts where tokens are only pasted, from the form to a real clone: the user name that Git gets is the point."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from django.contrib.auth.models import User

from credentials.crypto.secret import Secret
from credentials.errors import TokenNotAccepted
from credentials.models import Host, Status
from credentials.providers.tokens import Kind
from credentials.services import clients, connect, hosts, lend
from credentials.services.audit import Actor
from credentials.services.connect import Connected, ManualEntry
from credentials.services.lend import LeaseRequest
from credentials.verdicts import VerdictCode
from tests import builders
from tests.project.sandbox.test_git_http import clone
from tests.sandbox import RunningSandbox

pytestmark = pytest.mark.django_db(transaction=True)

SERVER, AZURE = "bitbucket-server", "azure"


def paste(owner: User, host: Host, token: str, **more: Any) -> Connected:
    return connect.connect_token(
        actor=Actor.user(owner), owner=owner, host=host, entry=ManualEntry(token=Secret(token), **more)
    )


def borrow(address: str) -> tuple[str, str]:
    """User name and password for alice's repository."""
    _, key = builders.client()
    lent = lend.lend(
        key=clients.parse_key(key.reveal()),
        request=LeaseRequest(user="alice", purpose="import 42", repository_url=address),
        address="127.0.0.1",
        request_id="r-1",
    )
    assert lent.password is not None
    return lent.username, lent.password.reveal()


@pytest.mark.parametrize("typed", ["", "octo-alice", "alice-as-she-misremembers"])
def test_a_personal_tokens_name_is_learned_whatever_was_typed(
    sandbox: RunningSandbox, alice: User, tmp_path: Path, typed: str
) -> None:
    host = builders.sandbox_host(sandbox, SERVER)
    minted = sandbox.mint(SERVER, "octo-alice", "personal_token", ["REPO_READ"])

    done = paste(alice, host, minted.token, username=typed)

    assert (done.verdict.code, done.credential.status) == (VerdictCode.OK, Status.VALID)
    assert done.credential.account_name == "octo-alice"
    username, password = borrow(f"{host.web_url}/scm/acme/cases.git")
    assert (username, password) == ("octo-alice", minted.token)
    assert clone(sandbox, tmp_path, SERVER, "scm/acme/cases", username, password).returncode == 0


def test_a_projects_token_is_recognized_and_lent_with_the_name_that_stands_for_nobody(
    sandbox: RunningSandbox, alice: User, tmp_path: Path
) -> None:
    host = builders.sandbox_host(sandbox, SERVER)
    minted = sandbox.mint(SERVER, "octo-alice", "access_token", resource="acme")

    done = paste(alice, host, minted.token)

    assert (done.credential.kind, done.credential.account_name) == (Kind.ACCESS_TOKEN, "")
    username, password = borrow(f"{host.web_url}/projects/ACME/repos/cases")
    assert username == "x-token-auth"
    assert clone(sandbox, tmp_path, SERVER, "scm/acme/cases", username, password).returncode == 0


def test_a_token_of_azure_is_lent_below_its_organization(
    sandbox: RunningSandbox, alice: User, tmp_path: Path
) -> None:
    host = builders.sandbox_host(sandbox, AZURE)
    minted = sandbox.mint(AZURE, "octo-alice", "personal_token", ["vso.code"])

    done = paste(alice, host, minted.token)

    assert (done.verdict.code, done.credential.status) == (VerdictCode.OK, Status.VALID)
    username, password = borrow(f"{host.web_url}/cases/_git/cases")
    assert clone(sandbox, tmp_path, AZURE, "cases/_git/cases", username, password).returncode == 0


def test_without_an_organization_in_the_address_the_token_stays_unverified(
    sandbox: RunningSandbox, alice: User
) -> None:
    origin = sandbox.hosts[AZURE].origin
    host = hosts.add_host(
        actor=builders.SYSTEM,
        slug="bare",
        provider="azure_devops",
        web_url=origin,
        allow_private_network=True,
    )
    minted = sandbox.mint(AZURE, "octo-alice", "personal_token", ["vso.code"])

    done = paste(alice, host, minted.token)

    assert (done.credential.status, done.verdict.code) == (Status.UNVERIFIED, VerdictCode.UNKNOWN)
    assert "must name the organization" in done.verdict.checked[0].result
    assert sandbox.calls(AZURE) == []


@pytest.mark.parametrize(
    ("slug", "token"), [(SERVER, "BBDC-" + "M" * 44), (AZURE, "a" * 76 + "AZDO" + "abcd"), (AZURE, "a1" * 26)]
)
def test_a_token_nobody_made_is_not_stored(
    sandbox: RunningSandbox, alice: User, slug: str, token: str
) -> None:
    host = builders.sandbox_host(sandbox, slug)
    with pytest.raises(TokenNotAccepted) as caught:
        paste(alice, host, token)
    assert caught.value.verdict.code is VerdictCode.TOKEN_REJECTED


def test_neither_offers_a_button(sandbox: RunningSandbox) -> None:
    assert not builders.sandbox_host(sandbox, SERVER).offers_oauth
    assert not builders.sandbox_host(sandbox, AZURE).offers_oauth
