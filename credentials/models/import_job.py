"""One job that brings a library's content: asked for by somebody, carried out by a worker."""

from __future__ import annotations

import uuid

from django.db import models
from django.db.models import Q
from django.utils.translation import gettext_lazy as _

from credentials.models.library import Library, Snapshot, Source


class ImportState(models.TextChoices):
    """How far an import is (contract, section 3)."""

    QUEUED = "queued", _("waiting")
    RUNNING = "running", _("running")
    SUCCEEDED = "succeeded", _("succeeded")
    FAILED = "failed", _("failed")
    CANCELED = "canceled", _("canceled")


# What will never change again.
ENDED = (ImportState.SUCCEEDED, ImportState.FAILED, ImportState.CANCELED)


class Stage(models.TextChoices):
    """What a running import is doing."""

    NONE = "", _("not begun")
    CHECKING = "checking", _("finding a way in")
    FETCHING = "fetching", _("fetching from Git")
    OPENING = "opening", _("examining the archive")
    READING = "reading", _("reading files")
    STORING = "storing", _("storing")


class ProgressUnit(models.TextChoices):
    """What ``progress_done`` counts."""

    NONE = "", ""
    BYTES = "bytes", _("bytes")
    OBJECTS = "objects", _("objects")


class Import(models.Model):
    """What is to be imported, who works on it, how far it is, and how it ended.

    ``host`` is the slug of the host that the address is at. ``holder`` names the worker that runs it
    (credentials/services/imports/claims.py); whoever is not the holder any more writes nothing. ``queued_at`` is from
    when on a waiting one may be taken. ``upload`` and ``archive`` are names in the storage: of what was uploaded, and
    of what has to go unless it becomes a tree, written down before the file is. ``verdict`` keeps what the diagnosis
    found (``{"code", "credential", "organization", "checked"}``), ``error`` what else ended it
    (``{"code", "reason", "entry", "limit", "retryable"}``).
    """

    id = models.UUIDField(primary_key=True, default=uuid.uuid4, editable=False)
    library = models.ForeignKey(
        Library, on_delete=models.CASCADE, related_name="imports", verbose_name=_("library")
    )
    source = models.CharField(_("source"), max_length=3, choices=Source.choices)
    repository_url = models.CharField(_("repository"), max_length=1000, blank=True)
    host = models.CharField(_("host"), max_length=50, blank=True)
    ref = models.CharField(_("branch, tag or commit"), max_length=1000, blank=True)
    subdirectory = models.CharField(_("folder"), max_length=1000, blank=True)
    unwrap = models.BooleanField(_("without the folder around everything"), default=True)
    file_name = models.CharField(_("file name"), max_length=255, blank=True)
    upload = models.CharField(max_length=200, blank=True, editable=False)
    upload_bytes = models.PositiveBigIntegerField(default=0, editable=False)
    actor_kind = models.CharField(max_length=10)
    actor_id = models.CharField(max_length=40)
    actor_name = models.CharField(_("asked for by"), max_length=150)
    reference = models.CharField(_("reference"), max_length=200, blank=True)

    state = models.CharField(
        _("state"), max_length=10, choices=ImportState.choices, default=ImportState.QUEUED
    )
    stage = models.CharField(_("stage"), max_length=10, choices=Stage.choices, default=Stage.NONE, blank=True)
    progress_done = models.PositiveBigIntegerField(default=0)
    progress_total = models.PositiveBigIntegerField(default=0)
    progress_unit = models.CharField(max_length=10, choices=ProgressUnit.choices, default="", blank=True)
    files_done = models.PositiveIntegerField(default=0)
    files_total = models.PositiveIntegerField(default=0)
    attempts = models.PositiveSmallIntegerField(_("attempts"), default=0)
    holder = models.CharField(max_length=100, blank=True, editable=False)
    heartbeat_at = models.DateTimeField(null=True, editable=False)
    cancel_requested_at = models.DateTimeField(null=True, editable=False)
    archive = models.CharField(max_length=200, blank=True, editable=False)

    commit = models.CharField(_("commit"), max_length=64, blank=True)
    snapshot = models.ForeignKey(
        Snapshot, on_delete=models.SET_NULL, null=True, related_name="imports", verbose_name=_("snapshot")
    )
    is_unchanged = models.BooleanField(_("nothing had changed"), default=False)
    verdict = models.JSONField(_("verdict"), null=True)
    error = models.JSONField(_("error"), null=True)
    created_at = models.DateTimeField(_("asked for"))
    queued_at = models.DateTimeField(_("queued"))
    started_at = models.DateTimeField(_("started"), null=True)
    ended_at = models.DateTimeField(_("ended"), null=True)

    class Meta:
        ordering = ("-created_at",)
        verbose_name = _("import")
        verbose_name_plural = _("imports")
        default_permissions = ("view",)
        constraints = (
            models.UniqueConstraint(
                fields=("library",), condition=Q(state="running"), name="import_runs_once_per_library"
            ),
        )
        indexes = (
            models.Index(fields=("library", "-created_at"), name="import_by_library"),
            models.Index(
                fields=("queued_at",), condition=Q(state__in=("queued", "running")), name="import_open"
            ),
            models.Index(fields=("-created_at",), name="import_by_time"),
        )

    def __str__(self) -> str:
        return f"{self.library} ({self.get_source_display()})"

    @property
    def has_ended(self) -> bool:
        return self.state in ENDED
