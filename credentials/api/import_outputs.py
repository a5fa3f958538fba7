"""The shapes of what is told of imports, libraries and snapshots, for the OpenAPI document."""

from __future__ import annotations

from rest_framework import serializers

from credentials.api.outputs import Shape, VerdictShape
from credentials.models import ImportState, Source
from credentials.models.import_job import ProgressUnit, Stage
from credentials.sources.snapshot import EXECUTABLE, PLAIN
from credentials.verdicts.refusals import Refusal, Remark

SOURCES = Source.values
STATES = ImportState.values
STAGES = [stage for stage in Stage.values if stage]
UNITS = [unit for unit in ProgressUnit.values if unit]
REMARKS = [remark.value for remark in Remark]
REFUSALS = [refusal.value for refusal in Refusal]


class NamedShape(Shape):
    """A library, by its id and its name."""

    id = serializers.UUIDField()
    name = serializers.CharField()


class ProgressShape(Shape):
    """How far the present stage is; ``total`` is null while nobody knows it."""

    done = serializers.IntegerField()
    total = serializers.IntegerField(allow_null=True)
    unit = serializers.ChoiceField(UNITS, allow_null=True)


class FilesDoneShape(Shape):
    """How many files have been read."""

    done = serializers.IntegerField()
    total = serializers.IntegerField(allow_null=True)


class ImportErrorShape(Shape):
    """Why an import failed, where it is not a credential's matter. ``reason`` is the rule that ``entry`` broke."""

    type = serializers.CharField()
    code = serializers.CharField()
    reason = serializers.ChoiceField(REFUSALS, allow_null=True)
    title = serializers.CharField()
    detail = serializers.CharField()
    entry = serializers.CharField(allow_null=True)
    limit = serializers.IntegerField(allow_null=True)
    retryable = serializers.BooleanField()


class ImportShape(Shape):
    """A job. Once ``state`` is succeeded, failed or canceled, only a retry changes it."""

    id = serializers.UUIDField()
    library = NamedShape()
    user = serializers.CharField()
    source = serializers.ChoiceField(SOURCES)  # type: ignore[assignment]  # DRF keeps fields apart
    repository_url = serializers.CharField(allow_null=True)
    ref = serializers.CharField(allow_blank=True)
    subdirectory = serializers.CharField(allow_blank=True)
    file_name = serializers.CharField(allow_null=True)
    reference = serializers.CharField(allow_blank=True)
    requested_by = serializers.CharField()
    state = serializers.ChoiceField(STATES)
    stage = serializers.ChoiceField(STAGES, allow_null=True)
    progress = ProgressShape()
    files = FilesDoneShape()
    attempts = serializers.IntegerField()
    cancel_requested = serializers.BooleanField()
    commit = serializers.CharField(allow_null=True)
    snapshot = serializers.UUIDField(allow_null=True)
    is_unchanged = serializers.BooleanField()
    verdict = VerdictShape(allow_null=True)
    error = ImportErrorShape(allow_null=True)
    created_at = serializers.DateTimeField()
    started_at = serializers.DateTimeField(allow_null=True)
    ended_at = serializers.DateTimeField(allow_null=True)


class SnapshotShape(Shape):
    """One version of a library; ``digest`` is equal for equal content, whichever way it came."""

    id = serializers.UUIDField()
    library = NamedShape()
    user = serializers.CharField()
    number = serializers.IntegerField()
    digest = serializers.CharField()
    files = serializers.IntegerField()
    bytes = serializers.IntegerField()
    archive_bytes = serializers.IntegerField()
    source = serializers.ChoiceField(SOURCES)  # type: ignore[assignment]  # DRF keeps fields apart
    repository_url = serializers.CharField(allow_null=True)
    ref = serializers.CharField(allow_blank=True)
    commit = serializers.CharField(allow_null=True)
    subdirectory = serializers.CharField(allow_blank=True)
    file_name = serializers.CharField(allow_null=True)
    brought_by = serializers.CharField()
    remarks_total = serializers.IntegerField()
    created_at = serializers.DateTimeField()


class RemarkShape(Shape):
    """Something that was left out, or taken otherwise than it came."""

    path = serializers.CharField(allow_blank=True)
    reason = serializers.ChoiceField(REMARKS)
    text = serializers.CharField()


class SnapshotDetailsShape(SnapshotShape):
    """A snapshot with its remarks: the first of ``remarks_total``."""

    remarks = RemarkShape(many=True)


class LibraryShape(Shape):
    """A library, how many snapshots it has, and the newest."""

    id = serializers.UUIDField()
    name = serializers.CharField()
    user = serializers.CharField()
    snapshots = serializers.IntegerField()
    latest = SnapshotShape(allow_null=True)
    created_at = serializers.DateTimeField()


class EntryShape(Shape):
    """One file: ``mode`` as Git writes it."""

    path = serializers.CharField()
    size = serializers.IntegerField()
    sha256 = serializers.CharField()
    mode = serializers.ChoiceField([PLAIN, EXECUTABLE])


class FilePageShape(Shape):
    """A page of files, in the order of the bytes of their paths. It leads forward only."""

    next = serializers.URLField(allow_null=True)
    previous = serializers.URLField(allow_null=True)
    results = EntryShape(many=True)


class PairShape(Shape):
    """A file before and after."""

    before = EntryShape()
    after = EntryShape()


class TotalsShape(Shape):
    """How many files there are of each sort."""

    added = serializers.IntegerField()
    removed = serializers.IntegerField()
    changed = serializers.IntegerField()
    moved = serializers.IntegerField()


class DifferenceShape(Shape):
    """What became of one snapshot in another; with ``is_complete`` every file is listed."""

    totals = TotalsShape()
    is_complete = serializers.BooleanField()
    added = EntryShape(many=True)
    removed = EntryShape(many=True)
    changed = PairShape(many=True)
    moved = PairShape(many=True)
    to = SnapshotShape()

    def get_fields(self) -> dict[str, serializers.Field]:  # type: ignore[type-arg]  # DRF's own annotation
        """With ``from``, which is no name that Python would take."""
        return {"from": SnapshotShape(), **super().get_fields()}
