"""What Forgekey asks of django-allauth: no secret in clear in its tables or sessions, and no open sign-up."""

from __future__ import annotations

import secrets
from typing import Any

from allauth.account.adapter import DefaultAccountAdapter
from allauth.mfa.adapter import DefaultMFAAdapter
from allauth.socialaccount.adapter import DefaultSocialAccountAdapter
from allauth.socialaccount.models import SocialToken
from django.db.models import Model
from django.http import HttpRequest

from credentials.conf import conf
from credentials.services import vault

SECOND_FACTOR = "second-factor"


class AccountAdapter(DefaultAccountAdapter):  # type: ignore[misc]  # allauth ships no types
    """People's accounts."""

    def is_open_for_signup(self, request: HttpRequest) -> bool:
        """Closed unless the deployment opens it: most products bring their own people."""
        return conf.signup_open


class MFAAdapter(DefaultMFAAdapter):  # type: ignore[misc]  # as above
    """Second factors: what proves one is sealed before it reaches the database."""

    def encrypt(self, text: str) -> str:
        return vault.seal_text(SECOND_FACTOR, text)

    def decrypt(self, encrypted_text: str) -> str:
        return vault.open_text(SECOND_FACTOR, encrypted_text)


class SocialAccountAdapter(DefaultSocialAccountAdapter):  # type: ignore[misc]  # allauth ships no types
    """Sign-in through another site, where a deployment configures it.

    Such a sign-in never becomes an import credential. allauth keeps an interrupted sign-in in the
    session, tokens included and in clear; nobody needs them there, so they are left out.
    """

    def is_open_for_signup(self, request: HttpRequest, sociallogin: Any) -> bool:
        return conf.signup_open

    def serialize_instance(self, instance: Model) -> dict[str, Any]:
        """As allauth does it, but a token is stored without what makes it one."""
        if isinstance(instance, SocialToken):
            instance = SocialToken(app=instance.app, account_id=instance.account_id, expires_at=None)
        data: dict[str, Any] = super().serialize_instance(instance)
        return data

    def generate_state_param(self, state: dict[str, Any]) -> str:
        """256 random bits, as RFC 9700 asks for; allauth's own would have 95."""
        return secrets.token_urlsafe(32)
