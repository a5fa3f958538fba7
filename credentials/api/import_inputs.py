"""What callers send about imports, libraries and snapshots, read strictly."""

from __future__ import annotations

from typing import Any

from rest_framework import serializers

from credentials.api.inputs import Input, WordsField
from credentials.models import Source
from credentials.models.library import NAME_LENGTH
from credentials.providers.repository_url import MAXIMUM_LENGTH as LONGEST_ADDRESS
from credentials.sources.paths import PATH_BYTES

GIT_SOURCES, ZIP_SOURCES = [Source.GIT.value], [Source.ZIP.value]
_LONGEST_REF = 250
_MOST_FILES = 1000


class ImportInput(Input):
    """What every import says. A signed-in person may leave the user out."""

    user = serializers.CharField(required=False, default="", max_length=254)
    library = WordsField(max_length=NAME_LENGTH)
    subdirectory = WordsField(required=False, default="", allow_blank=True, max_length=PATH_BYTES)
    reference = WordsField(required=False, default="", allow_blank=True, max_length=200)


class GitImportInput(ImportInput):
    """A repository, and what of it; without ``ref`` it is the default branch."""

    source = serializers.ChoiceField(GIT_SOURCES, required=False, default=Source.GIT.value)  # type: ignore[assignment]  # DRF keeps fields apart
    repository_url = serializers.CharField(max_length=LONGEST_ADDRESS)
    ref = WordsField(required=False, default="", allow_blank=True, max_length=_LONGEST_REF)


class ZipImportInput(ImportInput):
    """A ZIP file. With ``unwrap`` a single folder around everything is left out."""

    source = serializers.ChoiceField(ZIP_SOURCES, required=False, default=Source.ZIP.value)  # type: ignore[assignment]  # DRF keeps fields apart
    unwrap = serializers.BooleanField(required=False, default=True)
    file = serializers.FileField(allow_empty_file=False)


class LibraryInput(Input):
    """Another name for a library."""

    name = WordsField(max_length=NAME_LENGTH)


class FilesQuery(Input):
    """Which files of a snapshot are told, and where the list goes on."""

    prefix = serializers.CharField(
        required=False,
        default="",
        allow_blank=True,
        trim_whitespace=False,
        max_length=PATH_BYTES,
        help_text="Only files whose path begins so; a folder's ends with a slash.",
    )
    limit = serializers.IntegerField(
        required=False,
        default=_MOST_FILES,
        min_value=1,
        max_value=_MOST_FILES,
        help_text="How many at most.",
    )
    cursor = serializers.CharField(
        required=False,
        default="",
        allow_blank=True,
        max_length=2 * PATH_BYTES,
        help_text="Leads to another page; it comes from `next`.",
    )


class DifferenceQuery(Input):
    """Which two snapshots of a library are compared."""

    def get_fields(self) -> Any:
        """Two of them; ``from`` is no name that Python would take."""
        about: dict[str, Any] = {"required": False, "default": "", "allow_blank": True, "max_length": 40}
        before, after = "Number or id; the one before `to`.", "Number or id; the newest."
        return {
            "from": serializers.CharField(help_text=before, **about),
            "to": serializers.CharField(help_text=after, **about),
        }
