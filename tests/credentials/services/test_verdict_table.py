"""The specification of verdicts, line by line, through real HTTP and real Git: see verdict_table/README.md."""

from __future__ import annotations

from collections.abc import Mapping
from fnmatch import fnmatchcase

import pytest
from django.contrib.auth.models import User

from credentials.models import AuditEvent
from credentials.providers import registry
from credentials.providers.tokens import Kind
from credentials.services.diagnose import Diagnosis, diagnose
from credentials.verdicts import Step, Verdict, VerdictCode
from tests import builders
from tests.credentials.services.verdict_rows import KINDS, Row, Stage, links, rows, stage, table, wanted
from tests.sandbox import RunningSandbox

pytestmark = pytest.mark.django_db

HOSTS = ("github", "github-enterprise", "gitlab", "bitbucket", "gitea", "bitbucket-server", "azure")
ROWS = [row for host in HOSTS for row in rows(host)]
CODES = {code: facts for code, *facts in table("codes")}
# Said before anything is stored, or by a flow of its own, and never by a diagnosis.
NOT_HERE = {
    *("wrong_account", "email_required"),
    *("token_mistyped", "token_wrong_kind", "token_wrong_provider", "token_retired_kind"),
}


@pytest.mark.parametrize("row", ROWS, ids=[f"{row.host}: {row.situation}" for row in ROWS])
def test_each_situation_has_its_verdict(row: Row, sandbox_process: RunningSandbox, alice: User) -> None:
    played = stage(row, sandbox_process, alice)

    found = diagnose(actor=builders.SYSTEM, user=alice, repository_url=played.address)

    assert seen(played, found) == expected(row)
    check_what_is_always_true(played, found)


def expected(row: Row) -> dict[str, object]:
    severity, who_can_fix, offers_zip, has_message = CODES.get(
        f"{row.verdict}, {row.status}", CODES[row.verdict]
    )
    return {
        "verdict": row.verdict,
        "by": row.by,
        "severity": severity,
        "who can mend it": who_can_fix,
        "ZIP": offers_zip,
        "message to an owner": has_message,
        "steps": row.steps,
        "board": row.board,
        "status": row.status,
        "shown": row.shown,
    }


def seen(played: Stage, found: Diagnosis) -> dict[str, object]:
    verdict = found.verdict
    keys = [str(credential.pk) for credential in played.credentials]
    works = verdict.code is VerdictCode.OK
    return {
        "verdict": verdict.code.value,
        "by": keys.index(verdict.credential) + 1 if works else 0,
        "severity": verdict.severity.value,
        "who can mend it": verdict.who_can_fix.value,
        "ZIP": "yes" if verdict.offer_zip else "no",
        "message to an owner": "yes" if verdict.message_to_owner else "no",
        "steps": tuple(_name(played, verdict, number) for number in range(len(verdict.steps))),
        "board": played.board(),
        "status": played.status(),
        "shown": played.was_shown(),
    }


def _name(played: Stage, verdict: Verdict, number: int) -> str:
    """A step as the tables write it; the page it leads to as the row calls it, where the address agrees."""
    step = verdict.steps[number]
    wanted = played.row.steps[number] if number < len(played.row.steps) else ""
    page = wanted.partition("+")[0]
    parts = [page if _leads_to(step, page, played, verdict) else step.url] if step.url else []
    parts += [step.action.value] if step.action else []
    return "+".join(parts) or "words"


def _leads_to(step: Step, page: str, played: Stage, verdict: Verdict) -> bool:
    address = links(played.row.host).get(page)
    if address is None:
        return False
    names = {"client_id": played.host.client_id, "organization": verdict.organization}
    return fnmatchcase(step.url, f"{played.sandbox.hosts[played.row.host].origin}{address.format(**names)}")


def check_what_is_always_true(played: Stage, found: Diagnosis) -> None:
    """Each verdict says what was looked at, leaves no blank, says no secret, and is in the trail."""
    verdict = found.verdict
    texts = [verdict.title, verdict.summary, verdict.message_to_owner, *(step.text for step in verdict.steps)]
    assert not any("?" in str(text) or "%(" in str(text) for text in texts), texts
    said = repr(found)
    assert not any(minted.token in said for minted in played.minted)
    assert bool(found.clone_url) is verdict.ok
    if verdict.code is VerdictCode.HOST_UNKNOWN:
        return
    assert verdict.checked
    assert verdict.host == played.row.host
    event = AuditEvent.objects.filter(action="repository.diagnosed").get()
    assert event.data["verdict"] == verdict.code


def test_the_tables_hold_the_whole_specification() -> None:
    assert len(ROWS) >= 200
    assert len({(row.host, row.situation) for row in ROWS}) == len(ROWS)
    assert {code.partition(",")[0] for code in CODES} == set(VerdictCode)
    assert {row.verdict for row in ROWS} == set(VerdictCode) - NOT_HERE


@pytest.mark.parametrize("host", HOSTS)
def test_every_kind_of_token_is_in_the_table_of_its_host(host: str, sandbox_process: RunningSandbox) -> None:
    provider = registry.get(sandbox_process.hosts[host].provider)
    tokens = [wanted(token) for row in ROWS if row.host == host for token in row.tokens]
    made = {KINDS.get(token.kind, token.kind) for token in tokens}
    assert provider.kinds - made == LACKING.get(host, set())


# A GitHub Enterprise Server's people have no user tokens of apps at the sandbox.
LACKING: Mapping[str, set[Kind]] = {"github-enterprise": {Kind.APP_TOKEN}}
