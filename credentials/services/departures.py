"""The moment somebody leaves: nobody acts for the person any more, and nothing of theirs is lent.

However it comes about: by :mod:`credentials.services.offboarding`, by an administrator's form, by the
product's own code, or because the person is deleted. Signals carry no actor, so whoever knows one says so
with :func:`acting`.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from datetime import datetime
from importlib import import_module
from typing import Any
from uuid import UUID

from allauth.usersessions.models import UserSession
from django.conf import settings
from django.contrib.auth import get_user_model
from django.db import transaction
from django.db.models import QuerySet
from django.db.models.signals import post_save, pre_delete
from django.utils import timezone

from credentials.models import Credential, PendingConnection, QuarantineReason, RevocationReason, Status
from credentials.models.credential import WITHDRAWN
from credentials.services import audit, changes, dependents, disconnect, pending, quarantine
from credentials.services.audit import Actor, Subject
from credentials.services.imports import canceling
from credentials.services.libraries import libraries

# Of these a release only, by a person, makes something that can be handed over: they stay what they are.
_STRONGER = (QuarantineReason.ADMINISTRATOR, QuarantineReason.PANIC)

_actor: ContextVar[Actor | None] = ContextVar("forgekey_acting", default=None)


@contextmanager
def acting(actor: Actor) -> Iterator[None]:
    """Who deactivates or deletes people inside this block."""
    token = _actor.set(actor)
    try:
        yield
    finally:
        _actor.reset(token)


def watch() -> None:
    """Notice every departure that goes through Django's models; called once the models are ready."""
    people = get_user_model()
    post_save.connect(_on_saved, sender=people, dispatch_uid="credentials.departures.saved")
    pre_delete.connect(_on_deleted, sender=people, dispatch_uid="credentials.departures.deleted")


def _on_saved(
    sender: Any, instance: Any, created: bool, raw: bool, update_fields: Any, **signal: object
) -> None:
    looked_at = update_fields is None or "is_active" in update_fields
    if raw or created or instance.is_active or not looked_at:
        return
    live = Credential.objects.filter(owner=instance).exclude(status__in=WITHDRAWN)
    if live.exists() or _waiting(instance).exists() or canceling.has_open(instance):
        stop(actor=_actor.get() or Actor.system(), user=instance, now=timezone.now())


def _on_deleted(sender: Any, instance: Any, **signal: object) -> None:
    """Inside the deletion's own transaction: what the person held goes to where it is revoked."""
    actor, now = _actor.get() or Actor.system(), timezone.now()
    subject = subject_of(instance)
    with transaction.atomic():
        # All that goes with the person, before the first word in the trail, and the person before all.
        people = get_user_model()._default_manager.select_for_update()
        people.filter(pk=instance.pk).values_list("pk", flat=True).first()
        _lock_credentials(instance)
        libraries.lock_all(instance)
        held = list(Credential.objects.filter(owner=instance).exclude(status=Status.DISCONNECTED))
        for credential in held:
            disconnect.close(actor=actor, credential=credential, reason=RevocationReason.OFFBOARDED, now=now)
        pending.decline_all(actor=actor, waiting=_waiting(instance), now=now)
        end_sessions(instance)
        audit.record("user.removed", actor=actor, subject=subject, data={"credentials": len(held)})
        if held:
            changes.user_offboarded(username=subject.name, credentials=len(held), now=now)


@transaction.atomic
def stop(
    *,
    actor: Actor,
    user: Any,
    now: datetime,
    kept: Collection[UUID] | None = (),
    reason: str = "",
) -> bool:
    """Make a person inactive, end their sessions, stop their imports, and quarantine what they hold; False where
    all of that is so already.

    ``kept`` are the credentials that no duty closes, None for all of them. What the person leaves behind is
    in the event: once the credentials are closed, nobody could tell any more.
    """
    people = get_user_model()._default_manager
    was_active = people.select_for_update().filter(pk=user.pk, is_active=True).update(is_active=False)
    user.is_active = False
    end_sessions(user)
    _lock_credentials(user)
    canceling.lock_all(user)
    declined = pending.decline_all(actor=actor, waiting=_waiting(user), now=now)
    live = Credential.objects.filter(owner=user).exclude(status=Status.DISCONNECTED)
    dark = dependents.going_dark(
        list(live.values_list("pk", flat=True)) if kept is None else _ids(live.exclude(pk__in=kept))
    )
    for_later = live if kept is None else live.filter(pk__in=kept)
    to_close = live.none() if kept is None else live.exclude(pk__in=kept)
    taken = 0
    for rows, why in ((for_later, QuarantineReason.KEPT), (to_close, QuarantineReason.OFFBOARDING)):
        other = rows.exclude(status=Status.QUARANTINED, quarantine_reason__in=(why, *_STRONGER))
        taken += len(quarantine.withdraw(other.order_by("pk"), actor=actor, reason=why, now=now))
        is_kept = why is QuarantineReason.KEPT
        taken += rows.exclude(is_kept=is_kept).update(is_kept=is_kept)
    canceled = canceling.cancel_all(actor=actor, owner=user, now=now)
    if not (was_active or taken or declined or canceled):
        return False
    _announce(actor=actor, user=user, reason=reason, dark=dark, credentials=live.count(), now=now)
    return True


def _waiting(user: Any) -> QuerySet[PendingConnection]:
    return PendingConnection.objects.filter(user=user)


def _lock_credentials(user: Any) -> None:
    """Every credential before the first word in the trail, as everybody does who changes one: whoever holds
    the trail and then waits for a credential may be waited for in turn."""
    rows = Credential.objects.filter(owner=user).order_by("pk").select_for_update(of=("self",))
    list(rows.values_list("pk", flat=True))


def _ids(rows: Any) -> list[UUID]:
    return list(rows.values_list("pk", flat=True))


def _announce(*, actor: Actor, user: Any, reason: str, dark: Any, credentials: int, now: datetime) -> None:
    subject = subject_of(user)
    audit.record(
        "user.offboarded",
        actor=actor,
        subject=subject,
        data={
            "credentials": credentials,
            "organizations": [f"{one.host.slug}/{one.key}" for one in dark],
            **({"reason": reason} if reason else {}),
        },
    )
    changes.user_offboarded(username=subject.name, credentials=credentials, now=now)


def subject_of(user: Any) -> Subject:
    """A person as an audit event names them."""
    pk, name = str(user.pk), user.get_username()
    return Subject(kind="user", id=pk, name=name, owner_id=pk, owner_name=name)


def end_sessions(user: Any) -> int:
    """End every session of a person, on every device; how many. Every one that was used is on the list."""
    sessions = UserSession.objects.filter(user=user)
    store = import_module(settings.SESSION_ENGINE).SessionStore()
    keys = list(sessions.values_list("session_key", flat=True))
    for key in keys:
        store.delete(key)
    sessions.delete()
    return len(keys)
