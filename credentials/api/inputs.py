"""What callers send, read strictly; a secret is write-only and becomes a ``Secret`` at once."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

from django.utils import timezone
from rest_framework import serializers
from rest_framework.fields import empty

from credentials.crypto.secret import Secret
from credentials.models import Outcome
from credentials.models.credential import LABEL_LENGTH
from credentials.providers.free_text import has_token
from credentials.providers.repositories import MAXIMUM_QUERY
from credentials.providers.repository_url import MAXIMUM_LENGTH as LONGEST_ADDRESS
from credentials.providers.tokens import MAXIMUM_LENGTH
from credentials.services.connect import ManualEntry
from credentials.services.lend import MAX_MIN_VALID


class Input(serializers.Serializer[Any]):
    """A request's body. A field nobody knows is refused: a mistyped ``dry_run`` would lend."""

    def to_internal_value(self, data: Any) -> Any:
        if isinstance(data, dict) and set(data) - set(self.fields):
            # The name is the caller's and may be anything; only the code is told.
            raise serializers.ValidationError({"non_field_errors": [""]}, code="unknown_field")
        return super().to_internal_value(data)


class TokenField(serializers.CharField):
    """A pasted token: at most 4,096 characters, kept as a ``Secret``."""

    def __init__(self, **options: Any) -> None:
        super().__init__(max_length=MAXIMUM_LENGTH, trim_whitespace=False, write_only=True, **options)

    def run_validation(self, data: Any = empty) -> Any:
        return Secret(super().run_validation(data))


class WordsField(serializers.CharField):
    """Words of the caller's own, which people will read. A token among them is refused."""

    default_error_messages = {"token_in_text": ""}

    def to_internal_value(self, data: Any) -> str:
        text: str = super().to_internal_value(data)
        if has_token(text):
            self.fail("token_in_text")
        return text


def _ahead(value: datetime | None) -> datetime | None:
    if value is not None and value <= timezone.now():
        raise serializers.ValidationError(code="not_in_future")
    return value


class EntryInput(Input):
    """A token with what some hosts want beside it."""

    token = TokenField()
    email = serializers.EmailField(required=False, default="", allow_blank=True, max_length=254)
    username = WordsField(required=False, default="", allow_blank=True, max_length=200)
    label = WordsField(required=False, default="", allow_blank=True, max_length=LABEL_LENGTH)  # type: ignore[assignment]  # DRF keeps fields apart
    expires_at = serializers.DateTimeField(
        required=False, default=None, allow_null=True, default_timezone=UTC
    )

    def validate_expires_at(self, value: datetime | None) -> datetime | None:
        return _ahead(value)

    def entry(self) -> ManualEntry:
        """The validated input, as the connect service takes it."""
        data = self.validated_data
        return ManualEntry(
            token=data["token"],
            email=data["email"],
            username=data["username"],
            label=data["label"],
            expires_at=data["expires_at"],
        )


class ConnectInput(EntryInput):
    """A token for one host of one user; a signed-in person may leave the user out."""

    user = serializers.CharField(required=False, default="", max_length=254)
    host = serializers.SlugField(max_length=50)


class ChangeInput(Input):
    """A new label, empty to use the account's name; when the token ends, null for a token without a date."""

    label = WordsField(max_length=LABEL_LENGTH, allow_blank=True, required=False)  # type: ignore[assignment]  # DRF keeps fields apart
    expires_at = serializers.DateTimeField(required=False, allow_null=True, default_timezone=UTC)

    def validate_expires_at(self, value: datetime | None) -> datetime | None:
        return _ahead(value)

    def validate(self, attrs: Any) -> Any:
        if not attrs:
            raise serializers.ValidationError({"label": [""]}, code="required")
        return attrs


class HandOverInput(Input):
    """One credential, and the user name of the person it becomes."""

    credential = serializers.UUIDField()
    to = serializers.CharField(max_length=254)


class OffboardInput(Input):
    """How a person is offboarded; everything may be left out."""

    reason = WordsField(required=False, default="", allow_blank=True, max_length=200)
    revoke = serializers.BooleanField(required=False, default=True)
    hand_over = serializers.ListField(child=HandOverInput(), required=False, default=list, max_length=100)


class DiagnosisInput(Input):
    """A repository's address, as people copy it; a signed-in person may leave the user out."""

    user = serializers.CharField(required=False, default="", max_length=254)
    repository_url = serializers.CharField(max_length=LONGEST_ADDRESS)


class OrganizationsQuery(Input):
    """How much of the board is told."""

    all = serializers.BooleanField(
        required=False, default=False, help_text="Tell those too that the account is no member of."
    )


class RepositoriesQuery(Input):
    """What narrows a list of repositories, and where it goes on."""

    q = WordsField(
        required=False,
        default="",
        allow_blank=True,
        max_length=MAXIMUM_QUERY,
        help_text="Part of a repository's name.",
    )
    cursor = serializers.CharField(
        required=False,
        default="",
        allow_blank=True,
        max_length=200,
        help_text="Leads to another page; it comes from `next`.",
    )


class LeaseInput(Input):
    """What to borrow: exactly one of ``repository_url``, ``host`` and ``credential``."""

    # For the schema; credentials.api.lease_request reads a request, without DRF's rounds.

    user = serializers.CharField(max_length=254)
    purpose = WordsField(max_length=200)
    repository_url = serializers.CharField(required=False, max_length=2048)
    host = serializers.SlugField(required=False, max_length=50)
    credential = serializers.UUIDField(required=False)
    reference = WordsField(required=False, allow_blank=True, max_length=200)
    min_valid_seconds = serializers.IntegerField(
        required=False, default=300, min_value=0, max_value=MAX_MIN_VALID
    )
    dry_run = serializers.BooleanField(required=False, default=False)


class ReportInput(Input):
    """What the borrower says of the credential."""

    outcome = serializers.ChoiceField(choices=[Outcome.ACCEPTED.value, Outcome.REJECTED.value])
    detail = WordsField(required=False, default="", max_length=200, allow_blank=True)
