"""Where clients listen: added, changed, given a new signing secret, removed; and opened for a delivery."""

from __future__ import annotations

import ipaddress
from collections.abc import Sequence
from datetime import datetime, timedelta
from urllib.parse import urlsplit

from django.db import transaction
from django.utils.translation import gettext as _

from credentials.crypto import webhook_signature
from credentials.crypto.secret import Secret
from credentials.errors import AddressForbidden, AddressInvalid, Conflict, InputInvalid
from credentials.models import DeliveryState, ServiceClient, WebhookDelivery, WebhookEndpoint, WebhookEvent
from credentials.providers import network
from credentials.providers.http import require_address
from credentials.services import audit, vault
from credentials.services.audit import Actor, Subject

LONGEST_ADDRESS = 500
# How long the secret before a renewal goes on signing beside the new one.
OVERLAP = timedelta(days=1)
# More than this is a mistake: every event would be sent to each of them.
MOST = 20


def subject_of(endpoint: WebhookEndpoint) -> Subject:
    """An endpoint as an audit event names it: by its address without the query."""
    place = endpoint.url.partition("?")[0]
    return Subject(kind="webhook", id=str(endpoint.pk), name=f"{endpoint.client.name}: {place}"[:200])


@transaction.atomic
def add(
    *,
    actor: Actor,
    client: ServiceClient,
    url: str,
    events: Sequence[str] = (),
    allow_private_network: bool = False,
) -> tuple[WebhookEndpoint, Secret]:
    """Add an endpoint; its signing secret is returned once and kept sealed. No events means every event.

    Raises InputInvalid naming the field that is wrong.
    """
    if client.revoked_at is not None:
        raise InputInvalid(_("This client was revoked."), field="client")
    others = WebhookEndpoint.objects.filter(client=client, removed_at=None)
    if others.filter(url=url).exists():
        raise InputInvalid(_("This client has an endpoint with this address already."), field="url")
    if others.count() >= MOST:
        raise InputInvalid(_("A client has at most %d endpoints.") % MOST, field="client")
    endpoint = WebhookEndpoint(
        client=client,
        url=_checked_url(url, allow_private=allow_private_network),
        events=_known_events(events),
        allow_private_network=allow_private_network,
    )
    secret = webhook_signature.new_secret()
    endpoint.secret_envelope = vault.seal_secret(secret, endpoint.secret_binding(endpoint.secret_generation))
    endpoint.save(force_insert=True)
    audit.record("webhook.added", actor=actor, subject=subject_of(endpoint))
    return endpoint, secret


def _checked_url(url: str, *, allow_private: bool) -> str:
    """What is wrong with an address at first sight; where its name leads is judged at each delivery."""
    try:
        require_address(url)
        address = urlsplit(url)
        port = address.port
    except (AddressInvalid, ValueError) as error:
        text = _("This is not an address that a message can be sent to.")
        raise InputInvalid(text, field="url") from error
    if len(url) > LONGEST_ADDRESS or port == 0:
        raise InputInvalid(_("This is not an address that a message can be sent to."), field="url")
    if address.scheme != "https" and not allow_private:
        raise InputInvalid(
            _("Only https is allowed here, unless the endpoint is on a private network."), field="url"
        )
    _refuse_forbidden(str(address.hostname), allow_private=allow_private)
    return url


def _refuse_forbidden(hostname: str, *, allow_private: bool) -> None:
    try:
        ipaddress.ip_address(hostname)
    except ValueError:
        return  # a name
    try:
        network.check(hostname, allow_private)
    except AddressForbidden as error:
        raise InputInvalid(str(error), field="url") from error


def _known_events(events: Sequence[str]) -> list[str]:
    unknown = set(events) - set(WebhookEvent.values)
    if unknown:
        text = _("Choose events from: %(events)s.") % {"events": ", ".join(WebhookEvent.values)}
        raise InputInvalid(text, field="events")
    return [event for event in WebhookEvent.values if event in events]


@transaction.atomic
def change(
    *, actor: Actor, endpoint: WebhookEndpoint, events: Sequence[str], enabled: bool
) -> WebhookEndpoint:
    """Change what an endpoint hears, and whether it hears anything.

    What waits for one that is switched off is given up; it can be sent again later. Raises InputInvalid,
    and Conflict where the endpoint was removed.
    """
    current = _locked(endpoint)
    before = (current.events, current.is_enabled)
    current.events, current.is_enabled = _known_events(events), enabled
    if enabled:
        current.disabled_reason = ""
    elif before[1]:
        give_up(current, reason="the endpoint was switched off")
    changed = [
        name
        for name, old, new in zip(
            ("events", "enabled"), before, (current.events, current.is_enabled), strict=True
        )
        if old != new
    ]
    if changed:
        current.save(update_fields=["events", "is_enabled", "disabled_reason"])
        audit.record("webhook.changed", actor=actor, subject=subject_of(current), data={"changed": changed})
    return current


def _locked(endpoint: WebhookEndpoint) -> WebhookEndpoint:
    rows = WebhookEndpoint.objects.select_for_update(of=("self",), no_key=True).select_related("client")
    current = rows.get(pk=endpoint.pk)
    if current.removed_at is not None:
        raise Conflict(_("This endpoint was removed. Add another one instead."))
    return current


@transaction.atomic
def renew_secret(*, actor: Actor, endpoint: WebhookEndpoint, now: datetime) -> Secret:
    """Give an endpoint a new signing secret. For a day, messages carry a signature by the old one, too."""
    current = _locked(endpoint)
    # Under the ring's first key like the new one: where a rotation looks, it looks at the new one only.
    vault.book_wraps(1)
    old = current.secret_binding(current.secret_generation)
    current.previous_secret_envelope = vault.rewrap_envelope(bytes(current.secret_envelope or b""), old)
    current.previous_secret_until = now + OVERLAP
    current.secret_generation += 1
    secret = webhook_signature.new_secret()
    current.secret_envelope = vault.seal_secret(secret, current.secret_binding(current.secret_generation))
    current.save(
        update_fields=[
            "secret_envelope",
            "secret_generation",
            "previous_secret_envelope",
            "previous_secret_until",
        ]
    )
    audit.record("webhook.changed", actor=actor, subject=subject_of(current), data={"changed": ["secret"]})
    return secret


@transaction.atomic
def remove(*, actor: Actor, endpoint: WebhookEndpoint, now: datetime) -> None:
    """Send nothing there any more, and destroy its secrets. Its log stays for as long as any log."""
    current = _locked(endpoint)
    current.removed_at, current.is_enabled = now, False
    current.secret_envelope = current.previous_secret_envelope = current.previous_secret_until = None
    current.save()
    give_up(current, reason="the endpoint was removed")
    audit.record("webhook.removed", actor=actor, subject=subject_of(current))


@transaction.atomic
def switch_off(*, actor: Actor, endpoint: WebhookEndpoint, reason: str) -> None:
    """Send nothing there until a person switches it on again."""
    rows = WebhookEndpoint.objects.filter(pk=endpoint.pk, is_enabled=True)
    if rows.update(is_enabled=False, disabled_reason=reason[:200]):
        audit.record(
            "webhook.changed",
            actor=actor,
            subject=subject_of(endpoint),
            data={"changed": ["enabled"], "reason": reason},
        )
    give_up(endpoint, reason=reason)


def give_up(endpoint: WebhookEndpoint, *, reason: str) -> int:
    """Stop trying everything that waits for an endpoint; how much that was."""
    waiting = WebhookDelivery.objects.filter(endpoint=endpoint, state=DeliveryState.PENDING)
    return waiting.update(state=DeliveryState.FAILED, next_attempt_at=None, last_error=reason[:200])


def open_secrets(
    endpoint: WebhookEndpoint, *, actor: Actor, purpose: str, now: datetime
) -> tuple[Secret, ...]:
    """The secrets that sign for an endpoint at this moment, opened after their audit event is durable.

    The present one comes first. Raises AuditUnavailable, KeyUnavailable, EnvelopeInvalid.
    """
    generation = endpoint.secret_generation
    sealed = [(endpoint.secret_envelope, endpoint.secret_binding(generation))]
    until = endpoint.previous_secret_until
    if endpoint.previous_secret_envelope is not None and until is not None and until > now:
        sealed.append((endpoint.previous_secret_envelope, endpoint.secret_binding(generation - 1)))
    audit.record_durably("webhook.secret_opened", actor=actor, subject=subject_of(endpoint), purpose=purpose)
    return tuple(vault.unseal_after_audit(bytes(blob or b""), binding) for blob, binding in sealed)
