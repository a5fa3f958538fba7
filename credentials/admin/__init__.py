"""Django's admin: it looks and acts through services; it never holds a secret."""

from __future__ import annotations

from importlib import import_module

from allauth.account.models import EmailAddress
from allauth.mfa.models import Authenticator
from allauth.socialaccount.models import SocialAccount, SocialApp, SocialToken
from allauth.usersessions.models import UserSession
from django.contrib import admin
from django.utils.text import format_lazy
from django.utils.translation import gettext_lazy as _
from django_tasks_db.models import DBTaskResult

from credentials.admin import (
    audit,
    credential,
    health,
    host,
    host_health,
    imports,
    lease,
    library,
    organization,
    people,
    revocation,
    service_client,
    snapshot,
    webhook,
    webhook_delivery,
)
from credentials.conf import conf

__all__ = [
    "audit",
    "credential",
    "health",
    "host",
    "host_health",
    "imports",
    "lease",
    "library",
    "organization",
    "people",
    "revocation",
    "service_client",
    "snapshot",
    "webhook",
    "webhook_delivery",
]

admin.site.site_header = format_lazy(_("{product} administration"), product=conf.product_name)
admin.site.site_title = conf.product_name
admin.site.index_title = _("Everything kept here, except secrets")

# Other apps register pages that print tokens, authenticators' data, session keys, or tasks' arguments and
# tracebacks. They do so when their admin modules are first imported, which therefore happens here.
for _app in (
    "allauth.account",
    "allauth.mfa",
    "allauth.socialaccount",
    "allauth.usersessions",
    "django_tasks_db",
):
    import_module(f"{_app}.admin")
for _model in (SocialApp, SocialToken, SocialAccount, Authenticator, UserSession, EmailAddress, DBTaskResult):
    admin.site.unregister(_model)
