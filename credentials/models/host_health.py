"""How a host has been answering lately: the memory of its circuit breaker, shared by all processes."""

from __future__ import annotations

from django.db import models
from django.utils.translation import gettext_lazy as _

from credentials.models.host import Host


class HostHealth(models.Model):
    """One host's breaker. A host without a row has not failed lately.

    ``failures`` counts the failures in a row. While ``retry_at`` is ahead, nobody asks the host;
    afterwards one process may try, and moves the moment on before it does.
    """

    host = models.OneToOneField(
        Host, on_delete=models.CASCADE, primary_key=True, related_name="health", verbose_name=_("host")
    )
    failures = models.PositiveIntegerField(_("failures in a row"), default=0)
    failing_since = models.DateTimeField(_("failing since"), null=True)
    retry_at = models.DateTimeField(_("asked again"), null=True)
    last_failure = models.CharField(_("last failure"), max_length=300, blank=True)

    class Meta:
        verbose_name = _("host health")
        verbose_name_plural = _("host health")
        default_permissions = ("view",)

    def __str__(self) -> str:
        return f"{self.host}: {self.failures}"
