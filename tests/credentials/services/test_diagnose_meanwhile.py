"""What a diagnosis keeps, and what it drops because the credential is not the same any more."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from django.contrib.auth.models import User

from credentials.models import Credential, RepositoryAccess, Status
from credentials.services import diagnose, disconnect, holds
from credentials.verdicts import Verdict, VerdictCode
from tests import builders
from tests.clock import Clock
from tests.credentials.providers.loopback import Reply, Server, json_reply
from tests.credentials.services.stored import fresh, host_at, meanwhile, store
from tests.sandbox import RunningSandbox

pytestmark = pytest.mark.django_db

READ = json_reply({"id": 1, "full_name": "acme/cases", "private": True, "default_branch": "main"})
REFUSED = json_reply({"message": "Bad credentials"}, 401)


@pytest.fixture
def clock() -> Clock:
    return Clock()


def ask(credential: Credential, clock: Clock, repository: str = "acme/cases") -> Verdict:
    address = f"{credential.host.web_url}/{repository}"
    return diagnose.diagnose(
        actor=builders.SYSTEM, user=credential.owner, repository_url=address, now=clock
    ).verdict


def replaced() -> None:
    Credential.objects.update(generation=2)


def left() -> None:
    disconnect.disconnect(actor=builders.SYSTEM, credential=fresh(Credential.objects.get()))


@pytest.mark.django_db(transaction=True)
@pytest.mark.parametrize("reply", [READ, REFUSED])
@pytest.mark.parametrize("change", [replaced, left])
def test_what_was_said_of_another_secret_is_not_kept(
    alice: User, clock: Clock, change: Callable[[], None], reply: Reply
) -> None:
    with Server(meanwhile(change, reply)) as server:
        credential = builders.credential(alice, host_at(server.url))
        ask(credential, clock)
    row = fresh(credential)
    assert row.status in {Status.VALID, Status.DISCONNECTED}
    assert (row.status_detail, row.refusals) == ("", 0)
    assert not RepositoryAccess.objects.exists()


def test_the_same_question_while_a_refused_one_rests_gets_the_same_answer(
    sandbox: RunningSandbox, alice: User, clock: Clock
) -> None:
    host = builders.sandbox_host(sandbox, "gitlab")
    credential, _minted = store(sandbox, alice, host, scopes=["read_user"])
    first = ask(credential, clock)
    asked = len([call for call in sandbox.calls("gitlab") if call["auth"] != "none"])
    again = ask(credential, clock)
    assert first.code is again.code is VerdictCode.SCOPE_MISSING
    assert (first.summary, first.steps) == (again.summary, again.steps)
    assert len([call for call in sandbox.calls("gitlab") if call["auth"] != "none"]) == asked


def test_a_credential_that_could_not_be_asked_keeps_another_ones_not_found_from_being_the_answer(
    sandbox: RunningSandbox, alice: User, clock: Clock
) -> None:
    host = builders.sandbox_host(sandbox, "github")
    resting, _minted = store(sandbox, alice, host)
    store(sandbox, alice, host, account="octo-bob")
    holds.note_quota(resting, wait=None, now=clock())
    assert ask(resting, clock, "octo-alice/private-cases").code is VerdictCode.RATE_LIMITED
    holds.clear(resting)
    assert ask(resting, clock, "octo-alice/private-cases").ok
