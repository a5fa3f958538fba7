"""Proves the audit trail: every MAC, every number and link, every seal, the head and the outside anchor."""

from __future__ import annotations

import hmac
import json
import os
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

from django.db import transaction

from credentials.crypto import purpose as purposes
from credentials.models import AuditEvent, AuditHead, AuditSeal, Credential, Status
from credentials.models.append_only import FIRST_LINK, link_after
from credentials.models.audit import WRITES_ENVELOPES
from credentials.services import audit, vault

_PAGE = 5000


@dataclass(frozen=True, kw_only=True, slots=True)
class Proof:
    """The outcome of one verification. ``problem`` is empty where everything holds; ``first_bad`` is the
    number of the first event it concerns."""

    events: int
    seals: int
    problem: str = ""
    first_bad: int | None = None

    @property
    def holds(self) -> bool:
        return not self.problem


class _Broken(Exception):
    def __init__(self, problem: str, first_bad: int | None) -> None:
        super().__init__(problem)
        self.problem, self.first_bad = problem, first_bad


def verify(*, anchor: Path | None = None, progress: Callable[[int], None] = lambda _done: None) -> Proof:
    """Prove the whole trail. ``progress`` is told the number of events proved so far.

    Finds: a changed, forged, removed, reordered or duplicated event; a cut tail; a seal that is missing
    or does not fit; a trail older than the anchor outside the database; a credential row that holds
    another envelope than its last event says.
    """
    events = seals = 0
    try:
        # Read before the head, so that no seal is younger than it.
        stamped = list(AuditSeal.objects.order_by("number"))
        events, links = _prove_events(progress, sealed={seal.seq for seal in stamped})
        seals = _prove_seals(stamped, links)
        _prove_anchor(anchor)
        _prove_rows()
    except _Broken as broken:
        return Proof(events=events, seals=seals, problem=broken.problem, first_bad=broken.first_bad)
    return Proof(events=events, seals=seals)


def _prove_events(progress: Callable[[int], None], *, sealed: set[int]) -> tuple[int, dict[int, bytes]]:
    """Walk the trail up to where its head is now; what is appended meanwhile is the next run's."""
    key = vault.purpose_key(vault.AUDIT)
    head = AuditHead.objects.first()
    if head is None:
        raise _Broken("The head of the trail is gone.", None)
    links: dict[int, bytes] = {0: FIRST_LINK}
    seq, link = 0, FIRST_LINK
    upto = AuditEvent.objects.filter(seq__lte=head.seq).order_by("seq")
    while page := list(upto.filter(seq__gt=seq)[:_PAGE]):
        for event in page:
            link = _prove_event(event, expected=seq + 1, link=link, key=key)
            seq = event.seq
            if seq in sealed:
                links[seq] = link
        progress(seq)
    if head.seq != seq or bytes(head.link) != link:
        raise _Broken(f"The trail ends at {seq}, but its head says {head.seq}.", seq + 1)
    links[seq] = link
    return seq, links


def _prove_event(event: AuditEvent, *, expected: int, link: bytes, key: bytes) -> bytes:
    if event.seq != expected:
        raise _Broken(f"Event {expected} is missing.", expected)
    if not hmac.compare_digest(audit.mac_of(event, key), bytes(event.mac)):
        raise _Broken(f"Event {event.seq} was changed or forged.", event.seq)
    following = link_after(link, bytes(event.mac))
    if following != bytes(event.link):
        raise _Broken(f"Event {event.seq} is not linked to the one before it.", event.seq)
    return following


def _prove_seals(stamped: list[AuditSeal], links: dict[int, bytes]) -> int:
    key = vault.purpose_key(vault.AUDIT)
    before, number = b"", 0
    for seal in stamped:
        number += 1
        if seal.number != number:
            raise _Broken(f"Seal {number} is missing.", None)
        if not hmac.compare_digest(_seal_mac(key, seal, before), bytes(seal.mac)):
            raise _Broken(f"Seal {number} was changed or forged.", seal.seq)
        if links.get(seal.seq) != bytes(seal.link):
            raise _Broken(f"Seal {number} does not fit event {seal.seq}: the trail was rewritten.", seal.seq)
        before = bytes(seal.mac)
    return number


def _seal_mac(key: bytes, seal: AuditSeal, before: bytes) -> bytes:
    return purposes.mac(
        key,
        b"forgekey/seal/v1",
        str(seal.number).encode(),
        str(seal.seq).encode(),
        bytes(seal.link),
        seal.at.astimezone(UTC).isoformat(timespec="microseconds").encode(),
        before,
    )


def _prove_anchor(anchor: Path | None) -> None:
    if anchor is None:
        return
    if not anchor.exists():
        if AuditSeal.objects.exists():
            raise _Broken(
                "The anchor outside the database is gone: nothing shows that seals are missing.", None
            )
        return
    last = anchor.read_text("ascii").splitlines()[-1:]
    if not last:
        return
    said = json.loads(last[0])
    seal = AuditSeal.objects.filter(number=said["seal"]).first()
    if seal is None or bytes(seal.mac).hex() != said["mac"]:
        raise _Broken("The anchor outside the database names a seal the database does not have.", said["seq"])


def _prove_rows() -> None:
    """Each live credential stores what its last writing event says."""
    live = Credential.objects.exclude(status=Status.DISCONNECTED)
    for credential in live.iterator(_PAGE):
        # A second look: the row may have been written between the two reads.
        if not _row_fits(credential) and not _row_fits(live.filter(pk=credential.pk).first()):
            raise _Broken(f"Credential {credential.pk} stores another envelope than its last event.", None)


def _row_fits(credential: Credential | None) -> bool:
    if credential is None:
        return True
    last = (
        AuditEvent.objects.filter(
            subject_kind="credential", subject_id=str(credential.pk), action__in=WRITES_ENVELOPES
        )
        .order_by("-seq")
        .first()
    )
    return last is not None and last.data.get("envelope_mac") == vault.envelope_mac(credential)


def seal(*, now: datetime, anchor: Path | None = None) -> AuditSeal | None:
    """Seal the trail as it stands; None where nothing came since the last seal.

    With ``anchor`` the seal is also appended, fsynced, to a file outside the database.
    """
    with transaction.atomic():
        head = AuditHead.objects.select_for_update().get()
        last = AuditSeal.objects.order_by("-number").first()
        if last is not None and last.seq == head.seq:
            return None
        made = AuditSeal(number=last.number + 1 if last else 1, seq=head.seq, link=bytes(head.link), at=now)
        before = bytes(last.mac) if last else b""
        made.mac = _seal_mac(vault.purpose_key(vault.AUDIT), made, before)
        made.save(force_insert=True)
    if anchor is not None:
        _append(anchor, made)
    return made


def _append(anchor: Path, made: AuditSeal) -> None:
    line = json.dumps({"seal": made.number, "seq": made.seq, "mac": bytes(made.mac).hex()})
    descriptor = os.open(anchor, os.O_WRONLY | os.O_CREAT | os.O_APPEND | os.O_NOFOLLOW, 0o600)
    with os.fdopen(descriptor, "a", encoding="ascii") as file:
        file.write(line + "\n")
        file.flush()
        os.fsync(file.fileno())
