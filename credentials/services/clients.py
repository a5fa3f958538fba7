"""Makes, checks and revokes the keys of service clients."""

from __future__ import annotations

import hmac
import ipaddress
import re
import secrets
import zlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from django.db import IntegrityError, transaction
from django.utils.translation import gettext as _

from credentials.crypto import purpose as purposes
from credentials.crypto.secret import Secret
from credentials.errors import InputInvalid, NotAuthenticated, PermissionRefused
from credentials.models import Host, Scope, ServiceClient
from credentials.services import audit, vault
from credentials.services.audit import Actor, Subject

KEY_SHAPE = re.compile(r"fk_([a-z2-7]{16})_([A-Za-z0-9_-]{43})([0-9a-f]{8})\Z")
_SCHEME = "bearer"


@dataclass(frozen=True, kw_only=True, slots=True)
class PresentedKey:
    """A well-formed key as a caller presented it; nothing is known of it yet."""

    public_id: str
    key: Secret

    @property
    def key_hash(self) -> bytes:
        return _hash(self.key)


def parse_key(text: str) -> PresentedKey:
    """Read ``fk_<public id>_<secret><checksum>``; raises NotAuthenticated before any database is asked."""
    found = KEY_SHAPE.match(text)
    if found is None or _checksum(text[:-8]) != found[3]:
        raise NotAuthenticated("This is not a service key. Copy the whole key, from fk_ to its end.")
    return PresentedKey(public_id=found[1], key=Secret(text))


def presented_in(meta: Mapping[str, Any]) -> PresentedKey | None:
    """The service key in a request's ``Authorization``, None where there is no such header.

    Raises NotAuthenticated for anything else in it, before any database is asked (RFC 6750, section 2.1).
    """
    header = meta.get("HTTP_AUTHORIZATION")
    if header is None:
        return None
    scheme, _space, text = str(header).partition(" ")
    if scheme.lower() != _SCHEME:
        raise NotAuthenticated("Send the service key as: Authorization: Bearer fk_…")
    return parse_key(text.strip())


def _checksum(text: str) -> str:
    return f"{zlib.crc32(text.encode()):08x}"


def _hash(key: Secret) -> bytes:
    return purposes.fingerprint(vault.purpose_key(vault.API_KEY_PEPPER), key)


def _new_key() -> tuple[str, Secret]:
    alphabet = "abcdefghijklmnopqrstuvwxyz234567"
    public_id = "".join(secrets.choice(alphabet) for _digit in range(16))
    body = f"fk_{public_id}_{secrets.token_urlsafe(32)}"
    return public_id, Secret(body + _checksum(body))


def subject_of(client: ServiceClient) -> Subject:
    """A client as an audit event names it."""
    return Subject(kind="client", id=str(client.pk), name=client.name)


def actor_of(client: ServiceClient, *, request_id: str = "", address: str = "") -> Actor:
    """A client as the one who acts."""
    return Actor(kind="client", id=str(client.pk), name=client.name, request_id=request_id, address=address)


def create(
    *,
    actor: Actor,
    name: str,
    scopes: Sequence[str],
    hosts: Sequence[str] = (),
    allowed_networks: Sequence[str] = (),
    expires_at: datetime | None = None,
) -> tuple[ServiceClient, Secret]:
    """Make a client; its key is returned once and kept only as a keyed hash.

    Raises InputInvalid naming the field that is wrong.
    """
    public_id, key = _new_key()
    client = ServiceClient(
        name=name.strip(),
        public_id=public_id,
        key_hash=_hash(key),
        scopes=_known_scopes(scopes),
        hosts=_known_hosts(hosts),
        allowed_networks=_networks(allowed_networks),
        expires_at=expires_at,
    )
    if not client.name:
        raise InputInvalid(_("A client needs a name."), field="name")
    try:
        with transaction.atomic():
            client.save(force_insert=True)
            audit.record(
                "client.created", actor=actor, subject=subject_of(client), data={"scopes": client.scopes}
            )
    except IntegrityError as error:
        raise InputInvalid(_("There is a client with this name already."), field="name") from error
    return client, key


def _known_scopes(scopes: Sequence[str]) -> list[str]:
    unknown = sorted(set(scopes) - set(Scope.values))
    if unknown or not scopes:
        text = _("Choose scopes from: %(scopes)s.") % {"scopes": ", ".join(Scope.values)}
        raise InputInvalid(text, field="scopes")
    return sorted(set(scopes))


def _known_hosts(slugs: Sequence[str]) -> list[str]:
    known = set(Host.objects.filter(slug__in=slugs).values_list("slug", flat=True))
    if set(slugs) - known:
        raise InputInvalid(_("A host of this list is not set up here."), field="hosts")
    return sorted(known)


def _networks(texts: Sequence[str]) -> list[str]:
    try:
        return [str(ipaddress.ip_network(text)) for text in texts]
    except ValueError as error:
        raise InputInvalid(
            _("Networks are written as CIDR blocks, such as 10.1.0.0/16."), field="allowed_networks"
        ) from error


@transaction.atomic
def renew_key(*, actor: Actor, client: ServiceClient) -> Secret:
    """Give a client a new key; the old one is refused from this moment."""
    public_id, key = _new_key()
    client.public_id, client.key_hash = public_id, _hash(key)
    client.save(update_fields=["public_id", "key_hash"])
    audit.record("client.key_renewed", actor=actor, subject=subject_of(client))
    return key


@transaction.atomic
def revoke(*, actor: Actor, client: ServiceClient, now: datetime) -> None:
    """Refuse a client's key from this moment, on every process."""
    if client.revoked_at is None:
        client.revoked_at = now
        client.save(update_fields=["revoked_at"])
        audit.record("client.revoked", actor=actor, subject=subject_of(client))


def unknown_key() -> NotAuthenticated:
    """The one answer for a key that is unknown, whichever part of it is."""
    return NotAuthenticated("This service key is not known here.")


def authenticate(presented: PresentedKey, *, address: str, now: datetime) -> ServiceClient:
    """The client this key belongs to; raises NotAuthenticated, PermissionRefused (network)."""
    client = ServiceClient.objects.filter(public_id=presented.public_id).first()
    if client is None or not matches(presented, key_hash=bytes(client.key_hash)):
        raise unknown_key()
    admit(client, address=address, now=now)
    return client


def matches(presented: PresentedKey, *, key_hash: bytes) -> bool:
    """Whether the presented key is the one behind ``key_hash``, in constant time."""
    return hmac.compare_digest(presented.key_hash, key_hash)


def admit(client: ServiceClient, *, address: str, now: datetime) -> None:
    """Refuse a known client that is revoked, expired, or calls from a network it may not use."""
    if not client.is_active(now):
        raise NotAuthenticated("This service key was revoked or has expired.")
    if client.allowed_networks and not _within(address, client.allowed_networks):
        raise PermissionRefused("This service key may not be used from this network address.")


def _within(address: str, networks: Sequence[str]) -> bool:
    try:
        caller = ipaddress.ip_address(address)
    except ValueError:
        return False
    if isinstance(caller, ipaddress.IPv6Address) and caller.ipv4_mapped:
        caller = caller.ipv4_mapped
    return any(caller in ipaddress.ip_network(network) for network in networks)


def require_scope(client: ServiceClient, scope: Scope) -> None:
    """Raises PermissionRefused, naming the scope, where the client lacks it."""
    if scope not in client.scopes:
        raise PermissionRefused(f"This service key lacks the scope {scope.value}.")


def require_host(client: ServiceClient, slug: str) -> None:
    """Raises PermissionRefused where the client is confined to other hosts."""
    if client.hosts and slug not in client.hosts:
        raise PermissionRefused("This service key may not be used for this host.")
