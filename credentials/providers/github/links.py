"""GitHub's own pages that people are sent to, at one host."""

from __future__ import annotations

import re
from dataclasses import dataclass, replace
from urllib.parse import quote, urlencode

from credentials.providers.facts import OrganizationLinks
from credentials.providers.tokens import Kind

LOGIN = re.compile(r"[A-Za-z0-9_-][A-Za-z0-9_.-]{0,99}")
"""An account's name; wider than github.com allows, and never able to steer an address."""
_CLIENT_ID = re.compile(r"[A-Za-z0-9._-]{1,100}")
_APP_SLUG = re.compile(r"[a-z0-9][a-z0-9-]{0,99}")


@dataclass(frozen=True, kw_only=True, slots=True)
class Links:
    """Each page's address; empty where what it needs is not known or not well formed."""

    web_url: str

    def request(self, client_id: str) -> str:
        """Where a member asks an organization to approve an OAuth app.

        https://docs.github.com/account-and-profile/how-tos/organization-membership/requesting-organization-approval-for-oauth-apps
        """
        if not _CLIENT_ID.fullmatch(client_id):
            return ""
        return f"{self.web_url}/settings/connections/applications/{client_id}"

    def installation(self, slug: str) -> str:
        """Where a member asks for a GitHub App, and an owner installs it.

        https://docs.github.com/apps/using-github-apps/installing-a-github-app-from-a-third-party
        """
        return f"{self.web_url}/apps/{slug}/installations/new" if _APP_SLUG.fullmatch(slug) else ""

    def single_sign_on(self, organization: str) -> str:
        """https://docs.github.com/authentication/authenticating-with-single-sign-on"""
        return f"{self.web_url}/orgs/{organization}/sso" if LOGIN.fullmatch(organization) else ""

    def new_classic_token(self) -> str:
        query = urlencode({"scopes": "repo,read:org", "description": "Forgekey"})
        return f"{self.web_url}/settings/tokens/new?{query}"

    def new_fine_grained_token(self, organization: str = "") -> str:
        """With the owner and the one permission filled in; a server that does not know how ignores them.

        https://docs.github.com/authentication/keeping-your-account-and-data-secure/managing-your-personal-access-tokens
        """
        query = {"name": "Forgekey", "contents": "read"}
        if LOGIN.fullmatch(organization):
            query["target_name"] = organization
        return f"{self.web_url}/settings/personal-access-tokens/new?{urlencode(query)}"

    def of_organization(self, key: str, *, kind: Kind, client_id: str) -> OrganizationLinks:
        """What mends an organization's answer. A classic token is nobody's to approve.

        https://docs.github.com/organizations/managing-oauth-access-to-your-organizations-data/approving-oauth-apps-for-your-organization
        https://docs.github.com/organizations/managing-programmatic-access-to-your-organization/managing-requests-for-personal-access-tokens-in-your-organization
        """
        if not LOGIN.fullmatch(key):
            return OrganizationLinks()
        settings = f"{self.web_url}/organizations/{quote(key, safe='')}/settings"
        links = OrganizationLinks(sso=self.single_sign_on(key), token=self.new_fine_grained_token(key))
        if kind is Kind.OAUTH and (request := self.request(client_id)):
            return replace(links, request=request, approve=f"{settings}/oauth_application_policy")
        if kind is Kind.FINE_GRAINED_TOKEN:
            return replace(links, approve=f"{settings}/personal-access-token-requests")
        return links
