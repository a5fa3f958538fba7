"""What callers send, read strictly; a secret is write-only and becomes a ``Secret`` at once."""

from __future__ import annotations

from typing import Any

from rest_framework import serializers
from rest_framework.fields import empty

from credentials.crypto.secret import Secret
from credentials.models import Outcome
from credentials.services.connect import ManualEntry


class TokenField(serializers.CharField):
    """A pasted token: at most 4,096 characters, kept as a ``Secret``."""

    def __init__(self, **options: Any) -> None:
        super().__init__(max_length=4096, trim_whitespace=False, write_only=True, **options)

    def run_validation(self, data: Any = empty) -> Any:
        return Secret(super().run_validation(data))


class EntryInput(serializers.Serializer[Any]):
    """A token with what some hosts want beside it."""

    token = TokenField()
    email = serializers.EmailField(required=False, default="")
    username = serializers.CharField(required=False, default="", max_length=200)
    label = serializers.CharField(required=False, default="", max_length=100)  # type: ignore[assignment]  # DRF keeps fields apart
    expires_at = serializers.DateTimeField(required=False, default=None, allow_null=True)

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

    user = serializers.CharField(required=False, default="", max_length=150)
    host = serializers.SlugField()


class LabelInput(serializers.Serializer[Any]):
    """A new label."""

    label = serializers.CharField(max_length=100, allow_blank=True)  # type: ignore[assignment]  # DRF keeps fields apart


class LeaseInput(serializers.Serializer[Any]):
    """What to borrow: exactly one of ``repository_url``, ``host`` and ``credential``."""

    user = serializers.CharField(max_length=150)
    purpose = serializers.CharField(max_length=200)
    repository_url = serializers.CharField(required=False, default="", max_length=1000)
    host = serializers.SlugField(required=False, default="")
    credential = serializers.UUIDField(required=False, default=None)
    reference = serializers.CharField(required=False, default="", max_length=200)
    min_valid_seconds = serializers.IntegerField(required=False, default=300, min_value=0, max_value=86_400)
    dry_run = serializers.BooleanField(required=False, default=False)


class ReportInput(serializers.Serializer[Any]):
    """What the borrower says of the credential."""

    outcome = serializers.ChoiceField(choices=[Outcome.ACCEPTED.value, Outcome.REJECTED.value])
    detail = serializers.CharField(required=False, default="", max_length=200, allow_blank=True)
