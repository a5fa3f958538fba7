"""Stored things as the API writes them: metadata, never a secret."""

from __future__ import annotations

from typing import Any

from credentials.api.problems import timestamp
from credentials.models import Credential, Host, Lease
from credentials.services import hosts
from credentials.services.choice import Candidate, Judged
from credentials.services.lend import LentCredential


def host_body(host: Host) -> dict[str, Any]:
    """A host, with the ways to connect an account at it."""
    guide = hosts.provider_of(host).guide()
    return {
        "slug": host.slug,
        "provider": host.provider,
        "name": host.name,
        "web_url": host.web_url,
        "connect": [*(["oauth"] if host.offers_oauth else []), "token"],
        "token_fields": list(guide.fields),
        "token_url": guide.create_url,
        "help_url": "/help/",
    }


def credential_body(credential: Credential) -> dict[str, Any]:
    """A credential's metadata. ``last_used_at`` comes annotated by the query."""
    return {
        "id": str(credential.pk),
        "user": credential.owner.get_username(),
        "host": credential.host.slug,
        "provider": credential.host.provider,
        "kind": credential.kind,
        "label": credential.label,
        "account": _account(credential.account_id, credential.account_name),
        "scopes": credential.scopes,
        "status": credential.status,
        "status_detail": credential.status_detail,
        "expires_at": timestamp(credential.expires_at),
        "last_verified_at": timestamp(credential.last_verified_at),
        "last_used_at": timestamp(getattr(credential, "last_used_at", None)),
        "created_at": timestamp(credential.created_at),
    }


def _account(account_id: str, name: str) -> dict[str, str] | None:
    return {"id": account_id, "name": name} if account_id or name else None


def _short(candidate: Candidate) -> dict[str, Any]:
    return {
        "id": str(candidate.id),
        "host": candidate.host_slug,
        "provider": candidate.provider,
        "kind": candidate.kind,
        "label": candidate.label,
        "account": _account(candidate.account_id, candidate.account_name),
    }


def _judged_body(judged: Judged) -> dict[str, Any]:
    return {
        "credential": str(judged.candidate.id),
        "kept": judged.kept,
        "reason": judged.reason.value,
    }


def lent_body(lent: LentCredential) -> dict[str, Any]:
    """What was chosen, and why; with the Git login only where something was lent."""
    body = {
        "expires_at": timestamp(lent.candidate.expires_at),
        "credential": _short(lent.candidate),
        "repository_url": lent.repository_url,
        "chosen_because": lent.chosen_because,
        "candidates": [_judged_body(judged) for judged in lent.judged],
    }
    if lent.lease_id is not None:
        body |= {
            "id": str(lent.lease_id),
            "username": lent.username,
            "lease_expires_at": timestamp(lent.lease_expires_at),
        }
    return body


def lease_body(lease: Lease) -> dict[str, Any]:
    """A lease's metadata."""
    return {
        "id": str(lease.pk),
        "user": lease.credential.owner.get_username(),
        "credential": str(lease.credential_id),
        "host": lease.credential.host.slug,
        "repository_url": lease.repository_url,
        "purpose": lease.purpose,
        "reference": lease.reference,
        "chosen_because": lease.chosen_because,
        "created_at": timestamp(lease.created_at),
        "lease_expires_at": timestamp(lease.expires_at),
        "ended_at": timestamp(lease.ended_at),
        "outcome": lease.outcome or None,
    }
