"""The shapes of the answers, for the OpenAPI document."""

from __future__ import annotations

from typing import Any

from rest_framework import serializers

from credentials.models import Status
from credentials.models.organization import AccessState
from credentials.providers.base import Revocation
from credentials.verdicts import Severity, VerdictCode, WhoCanFix

Shape = serializers.Serializer[Any]


class AccountShape(Shape):
    id = serializers.CharField()
    name = serializers.CharField()


class HostShape(Shape):
    slug = serializers.SlugField()
    provider = serializers.CharField()
    name = serializers.CharField()
    web_url = serializers.URLField()
    connect = serializers.ListField(child=serializers.ChoiceField(["oauth", "token"]))
    token_fields = serializers.ListField(child=serializers.CharField())
    token_url = serializers.CharField()
    help_url = serializers.CharField()


class CredentialShape(Shape):
    id = serializers.UUIDField()
    user = serializers.CharField()
    host = serializers.SlugField()
    provider = serializers.CharField()
    kind = serializers.CharField()
    label = serializers.CharField()  # type: ignore[assignment]  # DRF keeps fields apart
    account = AccountShape(allow_null=True)
    scopes = serializers.ListField(child=serializers.CharField(), allow_null=True)
    status = serializers.ChoiceField(Status.choices)
    status_detail = serializers.CharField()
    expires_at = serializers.DateTimeField(allow_null=True)
    last_verified_at = serializers.DateTimeField(allow_null=True)
    last_used_at = serializers.DateTimeField(allow_null=True)
    created_at = serializers.DateTimeField()


class LinksShape(Shape):
    request = serializers.CharField(allow_null=True)
    approve = serializers.CharField(allow_null=True)
    sso = serializers.CharField(allow_null=True)


class OrganizationShape(Shape):
    host = serializers.SlugField()
    key = serializers.CharField()
    name = serializers.CharField()


class OrganizationAccessShape(Shape):
    organization = OrganizationShape()
    state = serializers.ChoiceField(AccessState.choices)
    evidence = serializers.CharField()
    checked_at = serializers.DateTimeField()
    links = LinksShape()


class ReceiptShape(Shape):
    revocation = serializers.ChoiceField([outcome.value for outcome in Revocation])
    manual_url = serializers.CharField(required=False)


class LentCredentialShape(Shape):
    id = serializers.UUIDField()
    host = serializers.SlugField()
    provider = serializers.CharField()
    kind = serializers.CharField()
    label = serializers.CharField()  # type: ignore[assignment]  # DRF keeps fields apart
    account = AccountShape(allow_null=True)


class CandidateShape(Shape):
    credential = serializers.UUIDField()
    kept = serializers.BooleanField()
    reason = serializers.CharField()


class PreviewShape(Shape):
    expires_at = serializers.DateTimeField(allow_null=True)
    credential = LentCredentialShape()
    repository_url = serializers.CharField(allow_blank=True)
    chosen_because = serializers.CharField()
    candidates = CandidateShape(many=True)


class LentShape(PreviewShape):
    id = serializers.UUIDField()
    username = serializers.CharField()
    password = serializers.CharField()
    lease_expires_at = serializers.DateTimeField()


class LeaseShape(Shape):
    id = serializers.UUIDField()
    user = serializers.CharField()
    credential = serializers.UUIDField()
    host = serializers.SlugField()
    repository_url = serializers.CharField(allow_blank=True)
    purpose = serializers.CharField()
    reference = serializers.CharField(allow_blank=True)
    chosen_because = serializers.CharField()
    created_at = serializers.DateTimeField()
    lease_expires_at = serializers.DateTimeField()
    ended_at = serializers.DateTimeField(allow_null=True)
    outcome = serializers.CharField(allow_null=True)


class CheckShape(Shape):
    step = serializers.CharField()
    result = serializers.CharField(allow_blank=True)
    at = serializers.DateTimeField()


class StepShape(Shape):
    text = serializers.CharField()
    url = serializers.CharField(allow_null=True)


class VerdictShape(Shape):
    code = serializers.ChoiceField([code.value for code in VerdictCode])
    severity = serializers.ChoiceField([severity.value for severity in Severity])
    who_can_fix = serializers.ChoiceField([who.value for who in WhoCanFix])
    summary = serializers.CharField()
    checked = CheckShape(many=True)
    steps = StepShape(many=True)
    host = serializers.CharField(allow_null=True)
    organization = serializers.CharField(allow_null=True)
    credential = serializers.CharField(allow_null=True)
    message_to_owner = serializers.CharField(allow_null=True)
    offer_zip = serializers.BooleanField()


class ConnectedShape(CredentialShape):
    verdict = VerdictShape()


class ProblemShape(Shape):
    type = serializers.CharField()
    title = serializers.CharField()
    status = serializers.IntegerField()
    detail = serializers.CharField()
    code = serializers.CharField()
    retryable = serializers.BooleanField()
    request_id = serializers.CharField()
    field = serializers.CharField(required=False)
    verdict = VerdictShape(required=False)
