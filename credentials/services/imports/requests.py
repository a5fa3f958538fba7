"""Asks for an import: by Git, by ZIP, or once more from where a library came from."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Any, Final
from uuid import uuid4

from django.contrib.auth import get_user_model
from django.core.files import File
from django.db import transaction
from django.utils.translation import gettext as _

from credentials.conf import conf
from credentials.errors import (
    AddressInvalid,
    Conflict,
    ContentRefused,
    InputInvalid,
    StorageUnavailable,
    TooManyRequests,
)
from credentials.models import Import, ImportState, Library, Source
from credentials.models.library import Snapshot
from credentials.providers.free_text import has_token
from credentials.providers.repository_url import RepositoryAddress, parse
from credentials.services import audit
from credentials.services.audit import Actor
from credentials.services.imports import queueing, workspaces
from credentials.services.imports.claims import circumstances_of, subject_of
from credentials.services.libraries import libraries, snapshots, trees
from credentials.services.targets import find_target
from credentials.sources import paths

UPLOADS = "uploads"
AGAIN: Final = timedelta(minutes=1)
ADDRESS_LENGTH = TEXT_LENGTH = 1000
REFERENCE_LENGTH = 200
_BLOCK = 1 << 20


def request_git(
    *,
    actor: Actor,
    owner: Any,
    library: str,
    repository_url: str,
    ref: str = "",
    subdirectory: str = "",
    reference: str = "",
    now: datetime,
) -> Import:
    """Have ``repository_url`` imported into ``library`` (a name, or the id of one of ``owner``'s).

    ``ref`` is a branch, a tag or the full id of a commit, empty for the default branch; ``subdirectory`` a folder in
    it. Raises AddressInvalid, InputInvalid, NotFound (no such library), Conflict (the person is not active),
    TooManyRequests (too many are under way), QuotaExceeded (what may be stored is used up).
    """
    address = checked_address(repository_url)
    found = find_target(address)
    job = Import(
        source=Source.GIT,
        repository_url=address.text,
        host=found.host.slug if found else "",
        ref=_checked_ref(ref),
        subdirectory=checked_folder(subdirectory),
        reference=_checked_words(reference, field="reference", most=REFERENCE_LENGTH),
    )
    return _request(job, actor=actor, owner=owner, library=library, now=now)


def request_zip(
    *,
    actor: Actor,
    owner: Any,
    library: str,
    upload: File[bytes],
    file_name: str,
    subdirectory: str = "",
    unwrap: bool = True,
    reference: str = "",
    now: datetime,
) -> Import:
    """Have an uploaded ZIP imported; ``upload`` is copied, or moved where it lies on the storage's disk.

    With ``unwrap`` a single folder around everything is left out; ``subdirectory`` counts after that. Raises as
    :func:`request_git`, and StorageUnavailable.
    """
    job = Import(
        source=Source.ZIP,
        file_name=shown_file_name(file_name),
        subdirectory=checked_folder(subdirectory),
        unwrap=unwrap,
        reference=_checked_words(reference, field="reference", most=REFERENCE_LENGTH),
        upload_bytes=upload.size,
    )
    if upload.size > conf.import_upload_bytes:
        raise InputInvalid(_("This file is larger than an upload may be."), field="file")
    libraries.checked_name(library)
    refuse_used_up(owner)
    trees.refuse_without_room(upload.size)
    job.id = uuid4()
    job.upload = f"{UPLOADS}/{job.id}.zip"
    _keep(job.upload, upload)
    try:
        return _request(job, actor=actor, owner=owner, library=library, now=now)
    except BaseException:
        trees.discard(job.upload)
        raise


def update(*, actor: Actor, library: Library, reference: str = "", now: datetime) -> Import:
    """Import a library once more from the repository, branch and folder that its newest Git snapshot came from.

    Raises Conflict where it never came from Git, and as :func:`request_git`.
    """
    last: Snapshot | None = library.snapshots.filter(source=Source.GIT).order_by("-number").first()
    if last is None:
        raise Conflict(_("This library did not come from Git. Upload a ZIP, or import a repository into it."))
    return request_git(
        actor=actor,
        owner=library.owner,
        library=str(library.pk),
        repository_url=last.repository_url,
        ref=last.ref or last.commit,
        subdirectory=last.subdirectory,
        reference=reference,
        now=now,
    )


def _request(job: Import, *, actor: Actor, owner: Any, library: str, now: datetime) -> Import:
    """The row, its event, and its entry in the queue; a library that is made for it, too, or nothing of all."""
    job.actor_kind, job.actor_id, job.actor_name = actor.kind, actor.id, actor.name
    job.created_at = job.queued_at = job.heartbeat_at = now
    with transaction.atomic():
        lock_active(owner)
        # Counted under the person's lock: two requests cannot both be the last one.
        refuse_used_up(owner)
        job.library = libraries.named(actor=actor, owner=owner, library=library, now=now)
        if not Library.objects.select_for_update().filter(pk=job.library.pk).exists():
            raise Conflict(_("The library was removed at this moment."))
        job.save(force_insert=True)
        audit.record(
            "import.requested",
            actor=actor,
            subject=subject_of(job),
            data={"source": job.source, "ref": job.ref, "subdirectory": job.subdirectory},
            **circumstances_of(job),
        )
        queueing.enqueue(job.pk)
    return job


def lock_active(owner: Any) -> None:
    """Keep ``owner`` active until the caller's transaction ends; raises Conflict where the person is not."""
    people = get_user_model()._default_manager.select_for_update().filter(pk=owner.pk, is_active=True)
    if people.values_list("pk", flat=True).first() is None:
        raise Conflict(_("This person is not active here any more. Nothing is imported."))


def refuse_used_up(owner: Any) -> None:
    """Raises TooManyRequests where as many imports of a person wait or run as may, and QuotaExceeded where what the
    person may store is used up."""
    states = (ImportState.QUEUED, ImportState.RUNNING)
    open_ones = Import.objects.filter(library__owner=owner, state__in=states)
    if open_ones.count() >= conf.imports_queued_per_user:
        raise TooManyRequests(
            _("Many imports of this person are under way. Wait until some have ended."), retry_after=AGAIN
        )
    snapshots.refuse_over_quota(owner.pk)


def _keep(name: str, upload: File[bytes]) -> None:
    """Bring what was uploaded into the storage, through a file of its own that is used up."""
    copy = workspaces.incoming() / f"{uuid4()}.zip"
    try:
        copy.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        with copy.open("xb") as target:
            for block in upload.chunks(_BLOCK):
                target.write(block)
        trees.save(name, copy)
    except OSError as error:
        raise StorageUnavailable("the disk takes no upload at present") from error
    finally:
        copy.unlink(missing_ok=True)


def checked_address(text: str) -> RepositoryAddress:
    """The address of a repository; raises AddressInvalid, also where a token stands anywhere in it."""
    address = parse(text)
    if not address.segments:
        raise AddressInvalid(_("This address names a host, but no repository on it."))
    if has_token(text):
        raise AddressInvalid(_("Remove the token from the address."))
    if len(address.text) > ADDRESS_LENGTH:
        raise AddressInvalid(_("The address is too long."))
    return address


def _checked_ref(text: str) -> str:
    """A name that Git could have given, and that nobody takes for an option (git-check-ref-format(1))."""
    ref = text.strip()
    bad = {"..", "@{", "//", "\\", "~", "^", ":", "?", "*", "[", " "}
    is_proper = (
        len(ref) <= TEXT_LENGTH
        and ref.isprintable()
        and not ref.startswith(("-", "/", "."))
        and not ref.endswith(("/", ".", ".lock"))
        and ref != "@"
        and not any(part in ref for part in bad)
    )
    if ref and not is_proper:
        raise InputInvalid(_("This is no name of a branch or tag, nor the full id of a commit."), field="ref")
    return _checked_words(ref, field="ref")


def checked_folder(text: str) -> str:
    """A folder in a repository or an archive, without slashes around it; raises InputInvalid."""
    folder = text.strip().strip("/")
    if not folder:
        return ""
    try:
        return _checked_words(paths.checked(folder), field="subdirectory")
    except ContentRefused:
        message = _("This is no folder. Write it as in docs/cases, without “..” and without a drive.")
        raise InputInvalid(message, field="subdirectory") from None


def _checked_words(text: str, *, field: str, most: int = TEXT_LENGTH) -> str:
    words = text.strip()
    if has_token(words):
        raise InputInvalid(_("This looks like a token. It is not kept."), field=field)
    if len(words) > most or not words.isprintable():
        message = _("At most %(most)d characters, all of them printable.") % {"most": most}
        raise InputInvalid(message, field=field)
    return words


def shown_file_name(name: str) -> str:
    """A file's name for people: without folders, and without a token in it."""
    plain = paths.shown(name.replace("\\", "/").rpartition("/")[2], most=255)
    return "archive.zip" if has_token(plain) else plain
