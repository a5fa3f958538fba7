"""What ends an import."""

from __future__ import annotations

from typing import TYPE_CHECKING

from credentials.errors.base import ForgekeyError

if TYPE_CHECKING:
    from credentials.verdicts.refusals import Refusal


class ImportProblem(ForgekeyError):
    """Root of what ends an import."""

    code = "import_problem"


class ContentRefused(ImportProblem):
    """An archive or a repository breaks a rule: ``reason`` says which, ``entry`` where (a name, made harmless,
    empty where it is the whole), ``limit`` what would have been allowed, where the rule is a number."""

    code = "content_refused"

    def __init__(self, reason: Refusal, *, entry: str = "", limit: int | None = None) -> None:
        super().__init__(reason.value)
        self.reason = reason
        self.entry = entry
        self.limit = limit


class RefNotFound(ImportProblem):
    """The repository has no such branch, tag or commit."""

    code = "ref_not_found"


class SubdirectoryNotFound(ImportProblem):
    """What was read has no such folder."""

    code = "subdirectory_not_found"


class QuotaExceeded(ImportProblem):
    """What may be used is used up; ``whose`` is ``"user"`` or ``"everybody"``, ``limit`` what may be used."""

    code = "quota_exceeded"
    retryable = True

    def __init__(self, message: str, *, whose: str, limit: int) -> None:
        super().__init__(message)
        self.whose = whose
        self.limit = limit


class TimeExceeded(ImportProblem):
    """It took longer than an import may take; ``limit`` in seconds."""

    code = "time_exceeded"

    def __init__(self, *, limit: int) -> None:
        super().__init__("took longer than an import may take")
        self.limit = limit


class ImportInterrupted(ImportProblem):
    """Worker after worker ended over it."""

    code = "import_interrupted"
    retryable = True


class ImportCanceled(ImportProblem):
    """Somebody asked to stop."""

    code = "import_canceled"


class StorageUnavailable(ImportProblem):
    """The storage or the disk takes nothing at present."""

    code = "storage_unavailable"
    retryable = True


class UploadGone(ImportProblem):
    """The uploaded file is not kept any more."""

    code = "upload_gone"
