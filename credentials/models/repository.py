"""What is remembered of one repository through one credential."""

from __future__ import annotations

import uuid

from django.db import models
from django.utils.translation import gettext_lazy as _

from credentials.models.credential import Credential


class RepositoryAccess(models.Model):
    """Whether one credential could read one repository when it was last tried.

    ``key`` is the repository's path at its host in lower case. ``verdict`` is the code that was found:
    ``ok``, or the reason why not. What could not be found out is not kept here.
    """

    id = models.UUIDField(primary_key=True, default=uuid.uuid4, editable=False)
    credential = models.ForeignKey(
        Credential, on_delete=models.CASCADE, related_name="repositories", verbose_name=_("credential")
    )
    key = models.CharField(_("repository"), max_length=500)
    verdict = models.CharField(_("verdict"), max_length=50)
    checked_at = models.DateTimeField(_("checked"))

    class Meta:
        ordering = ("key",)
        verbose_name = _("repository access")
        verbose_name_plural = _("repository accesses")
        default_permissions = ("view",)
        constraints = (
            models.UniqueConstraint(fields=("credential", "key"), name="repository_once_per_credential"),
        )

    def __str__(self) -> str:
        return f"{self.key}: {self.verdict}"
