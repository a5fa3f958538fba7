"""Registers hosts, and hands out the provider that speaks to one."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from datetime import datetime

from django.db import transaction
from django.db.models import QuerySet
from django.utils import timezone
from django.utils.translation import gettext as _

from credentials.conf import conf
from credentials.crypto.secret import Secret
from credentials.errors import Conflict, InputInvalid, NotFound
from credentials.models import Credential, Host, Status
from credentials.providers import registry
from credentials.providers.base import Provider
from credentials.providers.facts import HostFacts
from credentials.providers.http import Door
from credentials.providers.repository_url import parse
from credentials.services import audit, vault
from credentials.services.audit import Actor, Subject
from credentials.services.circuit_breaker import CircuitBreaker


def get(slug: str) -> Host:
    """The enabled host with this slug; raises NotFound."""
    host = Host.objects.filter(slug=slug, is_enabled=True).first()
    if host is None:
        raise NotFound("No host with this name is set up here.")
    return host


def facts_of(host: Host) -> HostFacts:
    """What a provider may know of a host."""
    return HostFacts(
        slug=host.slug,
        name=host.name,
        web_url=host.web_url,
        api_url=host.api_url,
        client_id=host.client_id,
    )


def door_of(host: Host, *, now: Callable[[], datetime] = timezone.now) -> Door:
    """The guarded way to a host's network, with the host's own policy and behind its circuit breaker."""
    return Door(
        allow_private=host.allow_private_network,
        timeout=(conf.connect_timeout.total_seconds(), conf.read_timeout.total_seconds()),
        deadline=conf.read_timeout.total_seconds(),
        user_agent=conf.product_name,
        breaker=CircuitBreaker(host, now=now),
        now=now,
    )


def provider_of(host: Host, *, now: Callable[[], datetime] = timezone.now) -> Provider:
    """The provider that speaks to ``host``."""
    return registry.get(host.provider)(host=facts_of(host), door=door_of(host, now=now), now=now)


def subject_of(host: Host) -> Subject:
    """A host as an audit event names it."""
    return Subject(kind="host", id=str(host.pk), name=host.name, host=host.slug)


@transaction.atomic
def add_host(
    *,
    actor: Actor,
    slug: str,
    provider: str,
    web_url: str,
    api_url: str = "",
    name: str = "",
    client_id: str = "",
    client_secret: Secret | None = None,
    oauth_scopes: Sequence[str] = (),
    allow_private_network: bool = False,
    exactly: bool = False,
) -> Host:
    """Register a host, or bring the one with this slug up to date.

    ``api_url`` defaults to where this provider keeps it. What is empty keeps what is stored; with
    ``exactly``, an empty client id or list of scopes is meant as such, and without a client id a stored
    client secret is destroyed. Raises InputInvalid, and Conflict where an address would change under
    live credentials: their envelopes are bound to it.
    """
    if provider not in registry.names():
        known = {"names": ", ".join(registry.names())}
        raise InputInvalid(_("Unknown provider. Known are: %(names)s.") % known, field="provider")
    if client_id and not registry.get(provider).oauth_available:
        raise InputInvalid(_("Tokens are only pasted here: leave the OAuth client out."), field="client_id")
    web_url = _checked_url(web_url, field="web_url", allow_private=allow_private_network)
    api_url = api_url or registry.get(provider).default_api_url(web_url)
    api_url = _checked_url(api_url, field="api_url", allow_private=allow_private_network)
    host = Host.objects.select_for_update().filter(slug=slug).first()
    created = host is None
    host = host or Host(slug=slug)
    before = {field: getattr(host, field) for field in _AUDITED}
    host.provider, host.web_url, host.api_url = provider, web_url, api_url
    _refuse_to_strand_credentials(host, before, created=created)
    host.name = name or host.name or registry.get(provider).title
    host.web_origin = parse(web_url).origin
    host.client_id = client_id if exactly else client_id or host.client_id
    host.oauth_scopes = list(oauth_scopes) if exactly else list(oauth_scopes) or host.oauth_scopes
    host.allow_private_network = allow_private_network
    if client_secret:
        host.client_secret_generation += 1
        host.client_secret_envelope = vault.seal_secret(
            client_secret, host.client_secret_binding(host.client_secret_generation)
        )
    forgotten = exactly and not host.client_id and host.client_secret_envelope is not None
    if forgotten:
        host.client_secret_envelope = None
    host.save()
    changed = [field for field in _AUDITED if getattr(host, field) != before[field]]
    changed += ["client_secret"] if client_secret or forgotten else []
    audit.record(
        "host.added" if created else "host.changed",
        actor=actor,
        subject=subject_of(host),
        data={"changed": changed},
    )
    return host


_AUDITED = (
    "provider",
    "web_url",
    "api_url",
    "name",
    "client_id",
    "oauth_scopes",
    "allow_private_network",
)


def _checked_url(text: str, *, field: str, allow_private: bool) -> str:
    address = parse(text)
    if address.scheme != "https" and not allow_private:
        raise InputInvalid(
            _("Only https is allowed here, unless the host is on a private network."), field=field
        )
    return "/".join((address.origin, *address.segments))


def _refuse_to_strand_credentials(host: Host, before: dict[str, object], *, created: bool) -> None:
    moved = any(getattr(host, field) != before[field] for field in ("provider", "web_url", "api_url"))
    if created or not moved:
        return
    if host.client_secret_envelope or _live(host).exists():
        raise Conflict(
            _(
                "This host's address cannot change: stored secrets are bound to it. "
                "Register the new address as another host."
            )
        )


def _live(host: Host) -> QuerySet[Credential]:
    return Credential.objects.filter(host=host).exclude(status=Status.DISCONNECTED)


@transaction.atomic
def set_enabled(*, actor: Actor, host: Host, enabled: bool) -> Host:
    """Open or close a host: nothing is lent or connected at a closed one."""
    host.is_enabled = enabled
    host.save(update_fields=["is_enabled", "updated_at"])
    audit.record("host.enabled" if enabled else "host.disabled", actor=actor, subject=subject_of(host))
    return host
