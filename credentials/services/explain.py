"""Puts a finding into words: the verdict with its links, and the message to an owner."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from django.utils.translation import gettext as _

from credentials.conf import conf
from credentials.models import Credential, OrganizationAccess, Status
from credentials.providers.base import Provider
from credentials.providers.causes import CODE_OF
from credentials.providers.facts import OrganizationState, RepositoryPlace
from credentials.providers.repository_url import parse
from credentials.providers.tokens import Kind
from credentials.services.choice import Candidate
from credentials.services.reach import Finding
from credentials.services.targets import Target
from credentials.verdicts import Verdict, VerdictCode
from credentials.verdicts.variants import QUARANTINED
from credentials.verdicts.wording import verdict


def explain(found: Target, credential: Credential | None, finding: Finding, *, user: Any) -> Verdict:
    """The verdict of a finding: its words, its links, and the message to an owner."""
    provider, host, place = found.provider, found.host, found.place
    kind = credential.kind if credential else ""
    names = (*state_variants(credential), f"{provider.name}:{kind}", provider.name, kind, "repository")
    organization = finding.organization or place.owner
    links = _links(found, credential, finding)
    values: Mapping[str, object] = {
        "host": host.name,
        "provider": provider.title,
        "organization": organization,
        "owner": place.owner,
        "repository": place.path,
        "user": user.get_full_name() or user.get_username(),
        "person": user.get_full_name() or user.get_username(),
        "account": _account(credential),
        "kind": provider.login_title(Kind(kind)) if kind else "",
        "scopes": ", ".join(finding.missing_scopes or _granted(found, credential)),
        "product": conf.product_name,
        "client_id": _client_id(found, credential) or "-",
        "approve_url": links["approve"] or host.web_url,
    }
    return verdict(
        finding.code,
        values=values,
        links=links,
        variants=names,
        offers_oauth=host.offers_oauth,
        checked=finding.checks,
        host=host.slug,
        organization=finding.organization,
        credential=str(credential.pk) if credential else "",
    )


def state_variants(credential: Credential | Candidate | None) -> tuple[str, ...]:
    """The names under which a verdict may have words of its own for the state that a credential is in."""
    is_out_of_use = credential is not None and credential.status == Status.QUARANTINED
    return (QUARANTINED,) if is_out_of_use else ()


def _account(credential: Credential | None) -> str:
    if credential is None:
        return _("your account")
    number = f"#{credential.account_id}" if credential.account_id else ""
    return credential.account_name or number or credential.label or _("your account")


def _granted(found: Target, credential: Credential | None) -> tuple[str, ...]:
    """What the credential may do; where that is not known, what its host is asked for."""
    if credential is not None and credential.scopes:
        return tuple(credential.scopes)
    return found.provider.oauth().scopes if found.provider.oauth_available else ()


def explain_access(access: OrganizationAccess, *, provider: Provider, user: Any) -> Verdict | None:
    """The verdict of what an organization answers; None where it lets in, or where nothing is known."""
    code = CODE_OF.get(OrganizationState(access.state))
    if code is None:
        return None
    credential, organization = access.credential, access.organization
    # Its name where that is its key in the case people write it in; a group's title steers no address.
    name = organization.name if organization.name.lower() == organization.key else organization.key
    found = Target(
        address=parse(credential.host.web_url),
        host=credential.host,
        provider=provider,
        place=RepositoryPlace(owner=name, path=name, organizations=(name,)),
    )
    finding = Finding(code=code, checks=(), organization=name, url=provider.own_url(access.mend_url))
    return explain(found, credential, finding, user=user)


def _client_id(found: Target, credential: Credential | None) -> str:
    return (credential.oauth_client_id if credential else "") or found.host.client_id


def _links(found: Target, credential: Credential | None, finding: Finding) -> dict[str, str]:
    guide = found.provider.guide()
    kind = Kind(credential.kind) if credential else Kind.OAUTH
    key = finding.organization or found.place.owner
    pages = found.provider.organization_links(key, kind=kind, client_id=_client_id(found, credential))
    manage = found.provider.tokens_page(kind)
    # Where an app is installed is told by the answer; no OAuth app is approved there.
    install = finding.url if kind is Kind.APP_TOKEN else ""
    return {
        "token": guide.create_url,
        "manage": manage,
        "request": pages.request or install,
        "approve": pages.approve or install,
        "sso": finding.url if finding.code is VerdictCode.SSO_REQUIRED and finding.url else pages.sso,
        # Some answers lead to making another token, which is not this one's page.
        "settings": finding.url if finding.url not in {"", guide.create_url} else manage,
        "fine_grained": pages.token,
    }
