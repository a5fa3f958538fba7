"""A person's libraries, the snapshots they consist of, and the trees that snapshots share."""

from __future__ import annotations

import uuid

from django.conf import settings
from django.db import models
from django.db.models.functions import Lower
from django.utils.translation import gettext_lazy as _

NAME_LENGTH = 100


class Source(models.TextChoices):
    """Where the content of a library comes from."""

    GIT = "git", _("Git")
    ZIP = "zip", _("ZIP")


class Library(models.Model):
    """A use case library of one person: a row of snapshots, each of which replaced the one before."""

    id = models.UUIDField(primary_key=True, default=uuid.uuid4, editable=False)
    owner = models.ForeignKey(
        settings.AUTH_USER_MODEL, on_delete=models.CASCADE, related_name="libraries", verbose_name=_("owner")
    )
    name = models.CharField(_("name"), max_length=NAME_LENGTH)
    created_at = models.DateTimeField(_("created"))

    class Meta:
        ordering = ("-created_at",)
        verbose_name = _("library")
        verbose_name_plural = _("libraries")
        constraints = (models.UniqueConstraint("owner", Lower("name"), name="library_name_once_per_owner"),)
        indexes = (models.Index(fields=("owner", "-created_at"), name="library_by_owner"),)

    def __str__(self) -> str:
        return self.name


class StoredTree(models.Model):
    """Content that is kept once, however many snapshots consist of it.

    ``digest`` is the SHA-256 of ``manifest``'s text in hexadecimal (credentials/sources/snapshot.py); the
    manifest itself is kept compressed (zlib). ``archive`` is the name of its ZIP in the storage.
    """

    id = models.UUIDField(primary_key=True, default=uuid.uuid4, editable=False)
    digest = models.CharField(_("digest"), max_length=64, unique=True)
    manifest = models.BinaryField(editable=False)
    files = models.PositiveIntegerField(_("files"))
    bytes = models.PositiveBigIntegerField(_("bytes"))
    archive = models.CharField(_("archive"), max_length=200, unique=True)
    archive_bytes = models.PositiveBigIntegerField(_("bytes of the archive"))
    created_at = models.DateTimeField(_("stored"))

    class Meta:
        ordering = ("-created_at",)
        verbose_name = _("stored tree")
        verbose_name_plural = _("stored trees")
        default_permissions = ("view",)

    def __str__(self) -> str:
        return self.digest


class Snapshot(models.Model):
    """One version of a library: the tree, and where it came from. Never changed.

    ``commit`` is the full id of the commit that was read, ``ref`` the full name of the branch or tag that led
    to it, empty where a commit was asked for. ``remarks`` tells what was left out or changed on the way, as
    ``[{"path", "reason"}]``, the first of ``remarks_total``; reasons are of credentials.verdicts.refusals.Remark.
    """

    id = models.UUIDField(primary_key=True, default=uuid.uuid4, editable=False)
    library = models.ForeignKey(
        Library, on_delete=models.CASCADE, related_name="snapshots", verbose_name=_("library")
    )
    number = models.PositiveIntegerField(_("number"))
    tree = models.ForeignKey(
        StoredTree, on_delete=models.PROTECT, related_name="snapshots", verbose_name=_("tree")
    )
    source = models.CharField(_("source"), max_length=3, choices=Source.choices)
    repository_url = models.CharField(_("repository"), max_length=1000, blank=True)
    host = models.CharField(_("host"), max_length=50, blank=True)
    ref = models.CharField(_("branch or tag"), max_length=1000, blank=True)
    commit = models.CharField(_("commit"), max_length=64, blank=True)
    subdirectory = models.CharField(_("folder"), max_length=1000, blank=True)
    file_name = models.CharField(_("file name"), max_length=255, blank=True)
    brought_by = models.CharField(_("brought by"), max_length=150)
    remarks = models.JSONField(_("remarks"), default=list)
    remarks_total = models.PositiveIntegerField(default=0)
    created_at = models.DateTimeField(_("created"))

    class Meta:
        ordering = ("-created_at", "-number")
        verbose_name = _("snapshot")
        verbose_name_plural = _("snapshots")
        default_permissions = ("view",)
        constraints = (models.UniqueConstraint(fields=("library", "number"), name="snapshot_number_once"),)

    def __str__(self) -> str:
        return f"{self.library} {self.number}"
