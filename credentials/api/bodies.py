"""Stored things and verdicts as the API writes them: metadata, never a secret."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

from credentials.models import Credential, Host, Lease, OrganizationAccess
from credentials.models.organization import AccessState
from credentials.pages import address_of
from credentials.providers.facts import RepositoryFact
from credentials.providers.tokens import Kind
from credentials.services import hosts
from credentials.services.choice import Candidate, Judged
from credentials.services.lend import LentCredential
from credentials.verdicts import Step, Verdict


def timestamp(moment: datetime | None) -> str | None:
    """RFC 3339 in UTC, whole milliseconds."""
    if moment is None:
        return None
    return moment.astimezone(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")


def verdict_body(verdict: Verdict) -> dict[str, Any]:
    """A verdict as the contract writes it (section 4); members that do not apply are left out."""
    body: dict[str, Any] = {
        "code": verdict.code.value,
        "severity": verdict.severity.value,
        "who_can_fix": verdict.who_can_fix.value,
        "summary": str(verdict.summary),
        "checked": [
            {"step": check.step, "result": check.result, "at": timestamp(check.at)}
            for check in verdict.checked
        ],
        "steps": [_step_body(step, verdict) for step in verdict.steps],
        "offer_zip": verdict.offer_zip,
    }
    about = {
        "host": verdict.host,
        "organization": verdict.organization,
        "credential": verdict.credential,
        "message_to_owner": str(verdict.message_to_owner),
    }
    return body | {name: value for name, value in about.items() if value}


def _step_body(step: Step, verdict: Verdict) -> dict[str, str]:
    url = address_of(step, verdict)
    return {"text": str(step.text)} | ({"url": url} if url else {})


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
        "help_url": f"/connect/{host.slug}/token/",
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
        "expires_at": timestamp(credential.ends_at),
        "last_verified_at": timestamp(credential.last_verified_at),
        "last_used_at": timestamp(getattr(credential, "last_used_at", None)),
        "created_at": timestamp(credential.created_at),
    }


def _account(account_id: str, name: str) -> dict[str, str] | None:
    return {"id": account_id, "name": name} if account_id or name else None


# Which pages help in which state; the first is the one that the host's own answer may name.
_LINKS_IN = {
    AccessState.NOT_APPROVED: ("request", "approve"),
    AccessState.REQUESTED: ("request", "approve"),
    AccessState.DENIED: ("request", "approve"),
    AccessState.TOKEN_PENDING: ("approve",),
    AccessState.SSO_REQUIRED: ("sso",),
}


def organization_body(credential: Credential, access: OrganizationAccess) -> dict[str, Any]:
    """What one organization answers through ``credential``, with the pages that mend it where there are any."""
    return {
        "organization": {
            "host": credential.host.slug,
            "key": access.organization.key,
            "name": access.organization.name,
        },
        "state": access.state,
        "evidence": access.evidence,
        "checked_at": timestamp(access.checked_at),
        "links": _organization_links(credential, access),
    }


def _organization_links(credential: Credential, access: OrganizationAccess) -> dict[str, str | None]:
    links: dict[str, str | None] = {"request": None, "approve": None, "sso": None}
    names = _LINKS_IN.get(AccessState(access.state), ())
    if names:
        pages = hosts.provider_of(credential.host).organization_links(
            access.organization.key,
            kind=Kind(credential.kind),
            client_id=credential.oauth_client_id or credential.host.client_id,
        )
        links |= {name: getattr(pages, name) or None for name in names}
        links[names[0]] = access.mend_url or links[names[0]]
    return links


def repository_body(repository: RepositoryFact) -> dict[str, Any]:
    """One repository of a list; None for what its host does not tell."""
    return {
        "full_name": repository.path,
        "clone_url": repository.clone_url,
        "private": repository.private,
        "default_branch": repository.default_branch or None,
    }


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
        "outcome_detail": lease.outcome_detail,
        "reported_at": timestamp(lease.reported_at),
    }
