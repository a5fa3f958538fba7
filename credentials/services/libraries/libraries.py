"""Makes, renames and removes libraries."""

from __future__ import annotations

import unicodedata
from datetime import datetime
from typing import Any
from uuid import UUID

from django.contrib.auth import get_user_model
from django.db import IntegrityError, transaction
from django.db.models import Value
from django.db.models.functions import Lower
from django.utils.translation import gettext as _

from credentials.errors import Conflict, InputInvalid, NotFound
from credentials.models import Import, ImportState, Library
from credentials.models.library import NAME_LENGTH
from credentials.providers.free_text import has_token
from credentials.services import audit
from credentials.services.audit import Actor, Subject
from credentials.services.logins import lock_active

_FIELD = "library"


def subject_of(library: Library) -> Subject:
    """The library as an event names it."""
    return Subject(
        kind="library",
        id=str(library.pk),
        name=library.name,
        owner_id=str(library.owner_id),
        owner_name=library.owner.get_username(),
    )


def named(*, actor: Actor, owner: Any, library: str, now: datetime) -> Library:
    """The library of ``owner`` that ``library`` means: its id, or its name; one that nobody has yet is made.

    Raises InputInvalid where the name is none, NotFound where it is the id of nothing of theirs, Conflict where
    one would be made for somebody who is not active.
    """
    text = checked_name(library)
    known = _known(owner, text)
    if known is not None:
        return known
    if _as_id(text) is not None:
        raise NotFound("There is no such library.")
    try:
        return _make(actor=actor, owner=owner, name=text, now=now)
    except IntegrityError:
        # Somebody made it at the same moment.
        made = _known(owner, text)
        if made is None:
            raise
        return made


@transaction.atomic
def _make(*, actor: Actor, owner: Any, name: str, now: datetime) -> Library:
    lock_active(owner)
    made = Library(owner=owner, name=name, created_at=now)
    made.save(force_insert=True)
    audit.record("library.created", actor=actor, subject=subject_of(made))
    return made


def _known(owner: Any, text: str) -> Library | None:
    mine = Library.objects.select_related("owner").filter(owner=owner)
    identity = _as_id(text)
    if identity is not None:
        return mine.filter(pk=identity).first()
    # As the constraint compares them: each database has its own idea of small letters.
    return mine.alias(plain=Lower("name")).filter(plain=Lower(Value(text))).first()


def _as_id(text: str) -> UUID | None:
    try:
        return UUID(text)
    except ValueError:
        return None


def checked_name(text: str) -> str:
    """A proper name, in composed form and without blanks around it; raises InputInvalid."""
    name = unicodedata.normalize("NFC", text).strip()
    if not name:
        raise InputInvalid(_("Give the library a name."), field=_FIELD)
    if len(name) > NAME_LENGTH or not name.isprintable():
        message = _("A name has at most %(most)d characters, all of them printable.") % {"most": NAME_LENGTH}
        raise InputInvalid(message, field=_FIELD)
    if has_token(name):
        raise InputInvalid(_("This looks like a token. Choose a name that everybody may read."), field=_FIELD)
    return name


@transaction.atomic
def rename(*, actor: Actor, library: Library, name: str) -> Library:
    """Give a library another name. Raises InputInvalid for an improper name, Conflict for one in use."""
    wanted = checked_name(name)
    if _as_id(wanted) is not None:
        raise InputInvalid(_("Choose a name that is no identifier."), field=_FIELD)
    current = _locked(library)
    before, current.name = current.name, wanted
    if before == wanted:
        return current
    try:
        with transaction.atomic():
            current.save(update_fields=["name"])
    except IntegrityError:
        raise Conflict(_("You have another library of this name.")) from None
    audit.record("library.renamed", actor=actor, subject=subject_of(current), data={"changed": ["name"]})
    return current


@transaction.atomic
def remove(*, actor: Actor, library: Library) -> None:
    """Remove a library with its snapshots and what is known of its imports.

    What nothing refers to any more leaves the storage within the hour (:func:`trees.drop_unused`). Raises
    Conflict while an import of it runs or waits.
    """
    _lock_owner(library)
    current = _locked(library)
    if current.imports.filter(state__in=(ImportState.QUEUED, ImportState.RUNNING)).exists():
        raise Conflict(_("An import of this library is under way. Cancel it first."))
    subject = subject_of(current)
    snapshots = current.snapshots.count()
    current.delete()
    audit.record("library.removed", actor=actor, subject=subject, data={"snapshot": snapshots})


def lock_all(owner: Any) -> None:
    """Lock the libraries of a person and their imports, whose own row is locked: before the first event."""
    mine = Library.objects.filter(owner=owner).order_by("pk").select_for_update()
    list(mine.values_list("pk", flat=True))
    jobs = Import.objects.filter(library__owner=owner).order_by("pk").select_for_update(of=("self",))
    list(jobs.values_list("pk", flat=True))


def _lock_owner(library: Library) -> None:
    """Whoever asks for an import holds its person's row, so none comes while a library goes."""
    people = get_user_model()._default_manager.select_for_update()
    people.filter(pk=library.owner_id).values_list("pk", flat=True).first()


def _locked(library: Library) -> Library:
    rows = Library.objects.select_related("owner").select_for_update(of=("self",))
    found = rows.filter(pk=library.pk).first()
    if found is None:
        raise NotFound("There is no such library.")
    return found
