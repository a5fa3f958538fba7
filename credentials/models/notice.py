"""Something a person should learn about, until they have read it."""

from __future__ import annotations

import uuid

from django.conf import settings
from django.db import models
from django.db.models import Q
from django.utils.translation import gettext_lazy as _

from credentials.models.credential import Credential


class Notice(models.Model):
    """One piece of news for one person: a code and the names its text mentions.

    The text itself is made when it is shown, in the reader's language.
    """

    id = models.UUIDField(primary_key=True, default=uuid.uuid4, editable=False)
    user = models.ForeignKey(
        settings.AUTH_USER_MODEL, on_delete=models.CASCADE, related_name="notices", verbose_name=_("person")
    )
    credential = models.ForeignKey(Credential, on_delete=models.CASCADE, null=True)
    code = models.CharField(_("code"), max_length=50)
    values = models.JSONField(default=dict)
    created_at = models.DateTimeField(_("created"))
    mailed_at = models.DateTimeField(null=True)
    read_at = models.DateTimeField(_("read"), null=True)

    class Meta:
        ordering = ("-created_at",)
        verbose_name = _("notice")
        verbose_name_plural = _("notices")
        default_permissions = ("view",)
        indexes = (
            models.Index(fields=("user", "read_at", "-created_at"), name="notice_by_user"),
            models.Index(
                fields=("created_at",),
                condition=Q(mailed_at__isnull=True, read_at__isnull=True),
                name="notice_to_mail",
            ),
        )

    def __str__(self) -> str:
        return self.code
