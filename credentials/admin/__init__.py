"""Django's admin: it looks, and never holds a secret."""

from __future__ import annotations

from allauth.mfa.models import Authenticator
from allauth.socialaccount.models import SocialAccount, SocialApp, SocialToken
from django.contrib import admin
from django.contrib.admin.exceptions import NotRegistered
from django_tasks_db.models import DBTaskResult

from credentials.admin import audit, credential, host, lease, service_client

__all__ = ["audit", "credential", "host", "lease", "service_client"]

admin.site.site_header = "Forgekey administration"
admin.site.site_title = "Forgekey"
admin.site.index_title = "What is here"

# Other apps' pages show tokens, authenticators and task arguments; nobody needs them here.
for _model in (SocialApp, SocialToken, SocialAccount, Authenticator, DBTaskResult):
    try:
        admin.site.unregister(_model)
    except NotRegistered:
        continue
