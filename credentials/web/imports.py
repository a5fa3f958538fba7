"""Bringing a library's content: from a repository or from a ZIP file, and what comes of it."""

from __future__ import annotations

from collections.abc import Callable
from uuid import UUID

from django.contrib import messages
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.urls import reverse
from django.utils import timezone
from django.utils.http import urlencode
from django.utils.translation import gettext as _
from django.views.decorators.cache import never_cache
from django.views.decorators.debug import sensitive_post_parameters
from django.views.decorators.http import require_POST, require_safe

from credentials import uploads
from credentials.conf import conf
from credentials.errors import (
    AddressInvalid,
    Conflict,
    InputInvalid,
    NotFound,
    QuotaExceeded,
    StorageUnavailable,
    TooManyRequests,
    UploadTooLarge,
)
from credentials.forms import AddressForm, GitImportForm, ZipImportForm
from credentials.models import Import
from credentials.services.circumstances import actor_of_user
from credentials.services.imports import canceling, looking, requests, retrying
from credentials.services.imports.looking import Look
from credentials.web import cards, import_progress, library_queries
from credentials.web.diagnose import shown_again, shown_verdict

_ADDRESS = "repository_url"
# What a person is told about a request that cannot be granted.
_REFUSALS = (AddressInvalid, Conflict, InputInvalid, NotFound, TooManyRequests)


@never_cache
@require_safe
def start(request: HttpRequest) -> HttpResponse:
    """Choose where the content comes from; ``repository_url`` and ``library`` fill the forms in."""
    typed = request.GET.get(_ADDRESS, "")
    again = shown_again(typed)
    if again != typed:
        # What must not be shown is not left in the browser's history either.
        return redirect(f"{request.path}?{urlencode({_ADDRESS: again})}")
    library = request.GET.get("library", "")[:100]
    return _start(
        request,
        AddressForm(initial={_ADDRESS: again}),
        ZipImportForm(initial={"library": library}),
        library=library,
        by_zip=request.GET.get("source") == "zip",
    )


def _start(
    request: HttpRequest,
    address_form: AddressForm,
    zip_form: ZipImportForm,
    *,
    library: str = "",
    by_zip: bool = False,
    status: int = 200,
) -> HttpResponse:
    context = {
        "address_form": address_form,
        "zip_form": zip_form,
        "library": library,
        "by_zip": by_zip,
        "libraries": library_queries.names_of_libraries(request.user),
        "limit": conf.import_upload_bytes,
    }
    return render(request, "credentials/import.html", context, status=status)


@sensitive_post_parameters(_ADDRESS)
@never_cache
@require_POST
def look(request: HttpRequest) -> HttpResponse:
    """Ask the host what there is: what stands in the way, or branches and folders to choose from."""
    form = AddressForm(request.POST)
    library = request.POST.get("library", "")[:100]
    if form.is_valid():
        try:
            seen = looking.look(
                actor=actor_of_user(request.META, request.user),
                user=request.user,
                repository_url=form.cleaned_data[_ADDRESS],
                ref=request.POST.get("ref", "").strip()[:250],
            )
        except (AddressInvalid, TooManyRequests) as error:
            form.add_error(_ADDRESS, str(error))
        else:
            return _seen(request, seen, library=library)
    form.data = {_ADDRESS: shown_again(request.POST.get(_ADDRESS, ""))}
    return _start(request, form, ZipImportForm(initial={"library": library}), library=library)


def _seen(request: HttpRequest, seen: Look, *, library: str) -> HttpResponse:
    """What stands in the way, or the form for the rest; with what was chosen so far."""
    if not seen.ok:
        context = {
            "address": seen.address,
            "found": seen.diagnosis,
            "shown": shown_verdict(request, seen.diagnosis.verdict),
            "title": cards.title_of(seen.diagnosis.credential) if seen.diagnosis.credential else "",
            "form": AddressForm(initial={_ADDRESS: seen.address}),
        }
        return render(request, "credentials/import_blocked.html", context)
    ref = request.POST.get("ref", "").strip()[:250]
    form = GitImportForm(
        initial={
            _ADDRESS: seen.address,
            "ref": ref,
            "subdirectory": request.POST.get("subdirectory", "")[:1000],
            "library": library or seen.name,
        },
        folders=seen.folders,
        default_branch=seen.default_branch,
    )
    return _choose(request, form, seen)


def _choose(request: HttpRequest, form: GitImportForm, seen: Look | None) -> HttpResponse:
    context = {
        "form": form,
        "seen": seen,
        "address": form.initial.get(_ADDRESS) or shown_again(str(form.data.get(_ADDRESS, ""))),
        "libraries": library_queries.names_of_libraries(request.user),
    }
    return render(request, "credentials/import_git.html", context)


@sensitive_post_parameters(_ADDRESS)
@never_cache
@require_POST
def by_git(request: HttpRequest) -> HttpResponse:
    """Have a repository imported."""
    form = GitImportForm(request.POST)
    if form.is_valid():
        said = form.cleaned_data
        made = _asked(
            form,
            lambda: requests.request_git(
                actor=actor_of_user(request.META, request.user),
                owner=request.user,
                library=said["library"],
                repository_url=said[_ADDRESS],
                ref=said["ref"],
                subdirectory=said["subdirectory"],
                now=timezone.now(),
            ),
        )
        if made is not None:
            return redirect("import", import_id=made.pk)
    return _choose(request, form, None)


@uploads.takes_upload
@never_cache
@require_POST
def by_zip(request: HttpRequest) -> HttpResponse:
    """Have an uploaded ZIP file imported."""
    form = ZipImportForm(request.POST)
    try:
        upload = uploads.received(request)
    except (InputInvalid, UploadTooLarge, StorageUnavailable) as error:
        form.add_error(None, str(error))
    if form.is_valid():
        said = form.cleaned_data
        made = _asked(
            form,
            lambda: requests.request_zip(
                actor=actor_of_user(request.META, request.user),
                owner=request.user,
                library=said["library"],
                upload=upload,
                file_name=upload.name or uploads.NAMELESS,
                subdirectory=said["subdirectory"],
                unwrap=said["unwrap"],
                now=timezone.now(),
            ),
        )
        if made is not None:
            return redirect("import", import_id=made.pk)
    return _start(request, AddressForm(), form, by_zip=True, status=422)


def _asked(form: GitImportForm | ZipImportForm, ask: Callable[[], Import]) -> Import | None:
    """The import that was asked for; None where the form now says why there is none."""
    try:
        return ask()
    except InputInvalid as error:
        form.add_error(error.field if error.field in form.fields else None, str(error))
    except QuotaExceeded as error:
        form.add_error(None, str(import_progress.quota_text(error)))
    except StorageUnavailable:
        form.add_error(
            None, _("The place where libraries are kept takes nothing at present. Try again later.")
        )
    except _REFUSALS as error:
        form.add_error(None, str(error))
    return None


@never_cache
@require_safe
def one(request: HttpRequest, import_id: UUID) -> HttpResponse:
    """How far an import is, or how it ended."""
    job = library_queries.own_import(request.user, import_id)
    return render(request, "credentials/import_one.html", import_progress.context(request, job))


@never_cache
@require_POST
def cancel(request: HttpRequest, import_id: UUID) -> HttpResponse:
    """Stop an import."""
    job = library_queries.own_import(request.user, import_id)
    try:
        canceling.cancel(actor=actor_of_user(request.META, request.user), job=job, now=timezone.now())
    except Conflict as error:
        messages.info(request, str(error))
    return redirect("import", import_id=job.pk)


@never_cache
@require_POST
def retry(request: HttpRequest, import_id: UUID) -> HttpResponse:
    """Begin an import anew."""
    job = library_queries.own_import(request.user, import_id)
    try:
        retrying.retry(actor=actor_of_user(request.META, request.user), job=job, now=timezone.now())
    except QuotaExceeded as error:
        messages.warning(request, str(import_progress.quota_text(error)))
    except (Conflict, StorageUnavailable, TooManyRequests) as error:
        messages.warning(request, str(error))
    return redirect(reverse("import", args=[job.pk]))
