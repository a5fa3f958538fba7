"""Help: one page per answer a diagnosis or the API can give, from the same words as the answer itself."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass

from django.contrib.auth.decorators import login_not_required
from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import render
from django.utils.text import capfirst
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy
from django.views.decorators.http import require_safe

from credentials.conf import conf
from credentials.verdicts import Text, VerdictCode
from credentials.verdicts.catalog import CATALOG
from credentials.verdicts.refusal_texts import describe, explain
from credentials.verdicts.refusals import Refusal, Remark
from credentials.verdicts.wording import verdict
from credentials.web.words import WHO_CAN_FIX, severity_badge

# Said by the list of limits.
_OF_NUMBERS = {Refusal.TOO_MANY_FILES, Refusal.TOO_MANY_BYTES, Refusal.FILE_TOO_LARGE}

# Answers of the API that are no verdict about a credential: title, and what to do.
REQUEST_TOPICS: Mapping[str, tuple[Text, Text]] = {
    "not-authenticated": (
        gettext_lazy("No caller is known by this key or session"),
        gettext_lazy("Send a valid service key as a bearer token, or sign in."),
    ),
    "permission-refused": (
        gettext_lazy("The caller may not do this"),
        gettext_lazy("Ask an administrator to give the service client the scope that this call needs."),
    ),
    "not-found": (
        gettext_lazy("There is no such object"),
        gettext_lazy("It does not exist, or it belongs to somebody else. Check the address."),
    ),
    "input-invalid": (
        gettext_lazy("A field is missing or wrong"),
        gettext_lazy("The answer names the field. Correct it and send the request again."),
    ),
    "listing-not-possible": (
        gettext_lazy("This token cannot list repositories"),
        gettext_lazy(
            "It may read a repository all the same: name it by its address. To choose from a list, put a token "
            "with the right to list in its place."
        ),
    ),
    "conflict": (
        gettext_lazy("Another change came first"),
        gettext_lazy("Read the object again and decide anew."),
    ),
    "idempotency-key-reused": (
        gettext_lazy("This idempotency key belongs to another request"),
        gettext_lazy("Use a fresh key for every new request, and the same key only to repeat one."),
    ),
    "too-many-requests": (
        gettext_lazy("Asked too often just now"),
        gettext_lazy("Wait as long as the answer says, then send the same request again."),
    ),
    "unavailable": (
        gettext_lazy("The database does not answer"),
        gettext_lazy("Nothing was lent or changed. Try again; if it lasts, an administrator has to look."),
    ),
    "internal-error": (
        gettext_lazy("Something went wrong here"),
        gettext_lazy("Tell an administrator the request id of the answer; it leads to the entry in the log."),
    ),
    "address-invalid": (
        gettext_lazy("This is not an address of a repository or a host"),
        gettext_lazy("Send the address as it stands in the browser or in the clone button."),
    ),
    "address-forbidden": (
        gettext_lazy("This address leads to a network no request may go to"),
        gettext_lazy("If it is right, an administrator allows private networks for the host."),
    ),
    "access-refused": (
        gettext_lazy("The host knows the token, but refuses"),
        gettext_lazy("An organization, a policy or a missing right stands in the way; the answer names it."),
    ),
    "token-not-accepted": (
        gettext_lazy("The token was not stored"),
        gettext_lazy("The verdict in the answer says why, and what to do."),
    ),
    "no-usable-credential": (
        gettext_lazy("No connected account can be used for this"),
        gettext_lazy("The verdict in the answer says why, and what to do."),
    ),
    "refresh-unavailable": (
        gettext_lazy("The token is being renewed, or cannot be renewed just now"),
        gettext_lazy(
            "The account stays connected, and nobody has to do anything. Its host could not be asked for a new "
            "token at this moment, or a job still uses the present one. Send the same request again after as "
            "long as the answer says."
        ),
    ),
    "upload-too-large": (
        gettext_lazy("The file is too large"),
        gettext_lazy(
            "Upload only the folder you need, or import by Git. An administrator may allow larger files."
        ),
    ),
    "content-refused": (
        gettext_lazy("What was to be imported breaks a rule"),
        gettext_lazy(
            "The answer names the file and the rule. Mend it there and import again; nothing was kept."
        ),
    ),
    "ref-not-found": (
        gettext_lazy("The repository has no such branch, tag or commit"),
        gettext_lazy(
            "Check how it is written. A commit is named by its full id, and must be on some branch."
        ),
    ),
    "subdirectory-not-found": (
        gettext_lazy("There is no such folder"),
        gettext_lazy("Check how it is written, upper and lower case too, and on which branch it is."),
    ),
    "quota-exceeded": (
        gettext_lazy("What may be used is used up"),
        gettext_lazy(
            "Wait until some of your imports have ended, or remove a library you no longer need. Where it is "
            "everybody's room that is used up, an administrator has to make some."
        ),
    ),
    "time-exceeded": (
        gettext_lazy("It took longer than an import may take"),
        gettext_lazy("Import only the folder you need, or upload a ZIP file."),
    ),
    "upload-gone": (
        gettext_lazy("The uploaded file is not kept any more"),
        gettext_lazy("Upload it again."),
    ),
    "unexpected": (
        gettext_lazy("Something went wrong here"),
        gettext_lazy(
            "Nothing was stored. Try again; if it fails again, tell an administrator the import's number."
        ),
    ),
    "import-interrupted": (
        gettext_lazy("The import was interrupted again and again"),
        gettext_lazy("Try it once more. If it happens again, tell an administrator the id of the import."),
    ),
    "import-canceled": (
        gettext_lazy("Somebody stopped the import"),
        gettext_lazy("Nothing was kept. Start it again whenever you like."),
    ),
    "storage-unavailable": (
        gettext_lazy("The storage takes nothing at present"),
        gettext_lazy("Nothing was kept. Try again later; if it lasts, an administrator has to look."),
    ),
    "import-problem": (
        gettext_lazy("This cannot be imported"),
        gettext_lazy("The answer says why. Nothing was kept."),
    ),
    "audit-unavailable": (
        gettext_lazy("The audit trail cannot be written"),
        gettext_lazy("Nothing was opened or changed. Try again; if it lasts, an administrator has to look."),
    ),
    "key-unavailable": (
        gettext_lazy("An encryption key is missing"),
        gettext_lazy("What is stored is untouched. An administrator has to restore the key."),
    ),
    "envelope-invalid": (
        gettext_lazy("A stored secret cannot be opened"),
        gettext_lazy(
            "It was altered, or belongs elsewhere. Connect the account again, and tell an administrator."
        ),
    ),
}


@dataclass(frozen=True, kw_only=True, slots=True)
class Topic:
    """One entry of the index."""

    slug: str
    title: str


def _slug(code: VerdictCode) -> str:
    return code.value.replace("_", "-")


def _anybody() -> dict[str, object]:
    """What stands for the names in the texts, where no case is at hand."""
    return {
        "provider": _("the Git host"),
        "host": _("the Git host"),
        "organization": _("the organization"),
        "account": _("the connected account"),
        "other_account": _("another account"),
        "user": _("this person"),
        "kind": _("token of another kind"),
        "scopes": _("the one named beside the connection"),
    }


# Chinese texts set a space beside a name in Latin letters; what stands for it here is Chinese, too.
_BETWEEN_HAN = re.compile(r"(?<=[\u4e00-\u9fff]) (?=[\u4e00-\u9fff])")


def _sentence(text: Text) -> str:
    """A text in which a common word stands in the place of a name."""
    return _BETWEEN_HAN.sub("", capfirst(str(text)))


def topics() -> tuple[Topic, ...]:
    """Every topic about credentials, in the catalog's order."""
    return tuple(
        Topic(slug=_slug(code), title=_sentence(str(entry.title) % _anybody()))
        for code, entry in CATALOG.items()
    )


@login_not_required
@require_safe
def index(request: HttpRequest) -> HttpResponse:
    """All topics."""
    requests = [Topic(slug=slug, title=str(title)) for slug, (title, _text) in REQUEST_TOPICS.items()]
    return render(request, "credentials/help_index.html", {"topics": topics(), "requests": requests})


@login_not_required
@require_safe
def imports(request: HttpRequest) -> HttpResponse:
    """What an import takes, what it leaves out and what it refuses, from the rules themselves."""
    context = {
        "limits": {
            "files": conf.import_files,
            "bytes": conf.import_bytes,
            "file_bytes": conf.import_file_bytes,
            "upload_bytes": conf.import_upload_bytes,
            "minutes": int(conf.import_duration.total_seconds()) // 60,
            "stored_bytes": conf.stored_bytes_per_user,
            "kept": conf.snapshots_kept,
        },
        "remarks": [describe(remark) for remark in Remark],
        "refusals": [
            explain(refusal, entry=_("a name")) for refusal in Refusal if refusal not in _OF_NUMBERS
        ],
    }
    return render(request, "credentials/help_imports.html", context)


@login_not_required
@require_safe
def topic(request: HttpRequest, topic: str) -> HttpResponse:
    """One topic: what the answer means, who can mend it, and how."""
    code = next((code for code in CATALOG if _slug(code) == topic), None)
    if code is not None:
        return render(request, "credentials/help.html", _about_verdict(code))
    if topic not in REQUEST_TOPICS:
        raise Http404
    title, text = REQUEST_TOPICS[topic]
    return render(
        request, "credentials/help.html", {"title": title, "text": text, "code": topic.replace("-", "_")}
    )


def _about_verdict(code: VerdictCode) -> dict[str, object]:
    found = verdict(code, values=_anybody())
    return {
        "title": _sentence(found.title),
        "text": _sentence(found.summary),
        "steps": [_sentence(step.text) for step in found.steps],
        "badge": severity_badge(found.severity),
        "who_can_fix": WHO_CAN_FIX[found.who_can_fix],
        "offer_zip": found.offer_zip,
        "code": code.value,
    }
