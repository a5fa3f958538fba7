"""How an import ended, in the words of whoever reads it: the verdict of its diagnosis, or the problem."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import datetime
from enum import StrEnum
from typing import Any, Final
from uuid import UUID

from django.template.defaultfilters import filesizeformat
from django.utils.translation import gettext_lazy as _

from credentials.errors import AddressInvalid
from credentials.models import Import, Source
from credentials.providers.repository_url import parse
from credentials.services import diagnose
from credentials.verdicts import Check, Text, Verdict, VerdictCode
from credentials.verdicts.refusal_texts import explain
from credentials.verdicts.refusals import Refusal
from credentials.verdicts.wording import verdict


class Next(StrEnum):
    """What a person does next about a problem, for a button to be offered."""

    RETRY = "retry"
    CHOOSE_ANOTHER = "choose_another"
    UPLOAD_ANOTHER = "upload_another"
    NOTHING = "nothing"


@dataclass(frozen=True, kw_only=True, slots=True)
class Problem:
    """What ended an import that is no matter of a credential.

    ``code`` is the error's (credentials/errors/importing.py), ``reason`` the rule that was broken where there was
    one, ``entry`` the name it was broken by.
    """

    code: str
    title: Text
    detail: Text
    next: Next
    reason: str = ""
    entry: str = ""
    retryable: bool = False
    offer_zip: bool = False


TITLES: Final[Mapping[str, Text]] = {
    "content_refused": _("The content cannot be imported as it is"),
    "ref_not_found": _("There is no such branch, tag or commit"),
    "subdirectory_not_found": _("There is no such folder"),
    "quota_exceeded": _("There is no room for it"),
    "time_exceeded": _("It took too long"),
    "import_interrupted": _("It was interrupted"),
    "storage_unavailable": _("It could not be stored"),
    "upload_gone": _("The uploaded file is not kept any more"),
    "too_many_requests": _("Many repositories were looked into just now"),
    "audit_unavailable": _("The audit trail could not be written"),
    "key_unavailable": _("The credential could not be opened"),
    "envelope_invalid": _("The credential could not be opened"),
    "unexpected": _("Something went wrong here"),
}
DETAILS: Final[Mapping[str, Text]] = {
    "ref_not_found": _("The repository has no branch, tag or commit of this name. Choose another one."),
    "subdirectory_not_found": _("What was read has no folder of this name. Choose another one."),
    "time_exceeded": _("An import may take %(limit)s minutes. Import one folder only, or upload a ZIP."),
    "import_interrupted": _("The worker ended more than once in the middle of it. Try again a little later."),
    "storage_unavailable": _(
        "The place where libraries are kept took nothing. Try again; if it lasts, an administrator has to look."
    ),
    "upload_gone": _("Upload it again."),
    "too_many_requests": _("It goes on by itself within a minute or two."),
    "audit_unavailable": _("Nothing was opened and nothing was changed. Try again a little later."),
    "key_unavailable": _("What is stored is untouched. An administrator has to restore the key."),
    "envelope_invalid": _("Connect the account again, and tell an administrator."),
    "unexpected": _(
        "Nothing was stored. Try again; if it fails again, tell an administrator the import's number."
    ),
}
YOURS = _(
    "Your libraries may take %(limit)s together, and that is used up. Remove a library that you do not need."
)
ALL = _("Everybody's libraries together are at their limit of %(limit)s. An administrator has to look.")


def problem_of(job: Import) -> Problem | None:
    """What ended it, in the language that is active; None where nothing did, or a verdict says it."""
    error: Mapping[str, Any] | None = job.error
    if not error:
        return None
    code = str(error.get("code", ""))
    code = code if code in TITLES else "unexpected"
    retryable = bool(error.get("retryable"))
    return Problem(
        code=code,
        title=TITLES[code],
        detail=_detail(code, error),
        next=_next(job, code, retryable=retryable),
        reason=str(error.get("reason", "")) if code == "content_refused" else "",
        entry=str(error.get("entry", "")),
        retryable=retryable,
        offer_zip=job.source == Source.GIT and code in {"time_exceeded", "content_refused"},
    )


def _detail(code: str, error: Mapping[str, Any]) -> Text:
    limit = error.get("limit")
    if code == "content_refused":
        return explain(Refusal(error["reason"]), entry=str(error.get("entry", "")), limit=limit)
    if code == "quota_exceeded":
        text = YOURS if error.get("reason") == "user" else ALL
        return str(text) % {"limit": filesizeformat(limit or 0)}
    if code == "time_exceeded":
        return str(DETAILS[code]) % {"limit": int(limit or 0) // 60}
    return DETAILS[code]


def _next(job: Import, code: str, *, retryable: bool) -> Next:
    if retryable:
        return Next.RETRY
    if job.source == Source.ZIP:
        return Next.UPLOAD_ANOTHER
    return Next.CHOOSE_ANOTHER if code != "unexpected" else Next.NOTHING


def verdict_of(job: Import) -> Verdict | None:
    """What the diagnosis found, in the language that is active; None where it stood in nobody's way."""
    kept: Mapping[str, Any] | None = job.verdict
    if not kept:
        return None
    code = VerdictCode(kept["code"])
    try:
        found = diagnose.known(
            user=job.library.owner,
            address=parse(job.repository_url),
            credential_id=UUID(kept["credential"]) if kept.get("credential") else None,
            code=code,
        )
    except AddressInvalid:
        found = verdict(code, values={"host": job.host or _("this host"), "user": job.actor_name})
    organization = str(kept.get("organization", "")) or found.organization
    return replace(found, organization=organization, checked=_checks(kept.get("checked", ())))


def _checks(kept: Any) -> tuple[Check, ...]:
    return tuple(
        Check(step=one["step"], result=one["result"], at=datetime.fromisoformat(one["at"])) for one in kept
    )
