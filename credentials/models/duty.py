"""The periodic duties and the processes that carry them out, as all machines see them."""

from __future__ import annotations

from django.db import models
from django.utils.translation import gettext_lazy as _


class Duty(models.Model):
    """One periodic duty. Until ``held_until`` one process has it; a killed one loses it by itself.

    ``done`` is how much the last finished round had to do, ``last_error`` the class of what ended the last
    round before its time, empty where it finished.
    """

    name = models.CharField(_("duty"), max_length=50, primary_key=True)
    held_until = models.DateTimeField(null=True)
    held_by = models.CharField(_("held by"), max_length=100, blank=True)
    started_at = models.DateTimeField(_("last begun"), null=True)
    finished_at = models.DateTimeField(_("last finished"), null=True)
    done = models.PositiveIntegerField(_("done"), default=0)
    last_error = models.CharField(_("last error"), max_length=200, blank=True)

    class Meta:
        ordering = ("name",)
        verbose_name = _("duty")
        verbose_name_plural = _("duties")
        default_permissions = ("view",)

    def __str__(self) -> str:
        return self.name


class Process(models.Model):
    """One running worker or refresher. ``seen_at`` is its last sign of life."""

    identity = models.CharField(_("process"), max_length=100, primary_key=True)
    kind = models.CharField(_("kind"), max_length=20)
    started_at = models.DateTimeField(_("started"))
    seen_at = models.DateTimeField(_("last seen"), db_index=True)

    class Meta:
        ordering = ("kind", "identity")
        verbose_name = _("process")
        verbose_name_plural = _("processes")
        default_permissions = ("view",)

    def __str__(self) -> str:
        return self.identity
