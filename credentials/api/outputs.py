"""The shapes of the answers, for the OpenAPI document."""

from __future__ import annotations

from typing import Any

from rest_framework import serializers

from credentials.models import Outcome, Status
from credentials.models.organization import AccessState
from credentials.providers.facts import Revocation
from credentials.providers.tokens import Kind
from credentials.services import offboarding
from credentials.services.choice import Reason
from credentials.verdicts import Severity, VerdictCode, WhoCanFix

Shape = serializers.Serializer[Any]


_KINDS = [kind.value for kind in Kind]
REASONS = [reason.value for reason in Reason]
REPORTED = [Outcome.ACCEPTED.value, Outcome.REJECTED.value]
OFFBOARDING_OUTCOMES = [outcome.value for outcome in offboarding.Outcome]


class AccountShape(Shape):
    """Whose account it is at the host."""

    id = serializers.CharField()
    name = serializers.CharField()


class HostShape(Shape):
    """A Git host, the ways to connect an account there, and what a manual entry needs, in order."""

    slug = serializers.SlugField()
    provider = serializers.CharField()
    name = serializers.CharField()
    web_url = serializers.URLField()
    connect = serializers.ListField(child=serializers.ChoiceField(["oauth", "token"]))
    token_fields = serializers.ListField(child=serializers.CharField())
    token_url = serializers.CharField()
    help_url = serializers.CharField()


class CredentialShape(Shape):
    """What is known of a credential; never its secret."""

    id = serializers.UUIDField()
    user = serializers.CharField()
    host = serializers.SlugField()
    provider = serializers.CharField()
    kind = serializers.ChoiceField(_KINDS)
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
    """The pages at the host that mend what is wrong."""

    request = serializers.CharField(allow_null=True)
    approve = serializers.CharField(allow_null=True)
    sso = serializers.CharField(allow_null=True)


class OrganizationShape(Shape):
    """An organization, by the name it has in repository addresses."""

    host = serializers.SlugField()
    key = serializers.CharField()
    name = serializers.CharField()


class OrganizationAccessShape(Shape):
    """What one organization answers through one credential."""

    organization = OrganizationShape()
    state = serializers.ChoiceField(AccessState.choices)
    evidence = serializers.CharField()
    checked_at = serializers.DateTimeField()
    links = LinksShape()


class RepositoryShape(Shape):
    """One repository that a credential can list; null where the host does not tell."""

    full_name = serializers.CharField()
    clone_url = serializers.CharField()
    private = serializers.BooleanField(allow_null=True)
    default_branch = serializers.CharField(allow_null=True)


class RepositoryPageShape(Shape):
    """A page of them. Hosts lead forward only, so `previous` is always null."""

    next = serializers.URLField(allow_null=True)
    previous = serializers.URLField(allow_null=True)
    results = RepositoryShape(many=True)


class ReceiptShape(Shape):
    """What became of the token at the host; at ``manual_url`` its owner revokes it by hand."""

    revocation = serializers.ChoiceField([outcome.value for outcome in Revocation])
    manual_url = serializers.CharField(required=False)


class OffboardedCredentialShape(Shape):
    """What became of one credential: at ``manual_url`` its token is ended by hand, ``to`` is whose it is now."""

    id = serializers.UUIDField()
    host = serializers.SlugField()
    account = serializers.CharField(allow_blank=True)
    outcome = serializers.ChoiceField(OFFBOARDING_OUTCOMES)
    manual_url = serializers.CharField(required=False)
    to = serializers.CharField(required=False)


class DependentShape(Shape):
    """A client that borrowed the credential in the last 90 days; its last lease for this repository."""

    client = serializers.CharField()
    repository = serializers.CharField(allow_blank=True)
    purpose = serializers.CharField()
    last_borrowed_at = serializers.DateTimeField()
    credential = serializers.UUIDField()
    may_be_running = serializers.BooleanField()


class DarkOrganizationShape(Shape):
    """An organization that no other active person's credential opens."""

    host = serializers.SlugField()
    key = serializers.CharField()
    name = serializers.CharField()


class OffboardingShape(Shape):
    """How things stand with a person who was offboarded."""

    user = serializers.CharField()
    active = serializers.BooleanField()
    credentials = OffboardedCredentialShape(many=True)
    depends_on = DependentShape(many=True)
    organizations = DarkOrganizationShape(many=True)


class LentCredentialShape(Shape):
    """The credential that was chosen."""

    id = serializers.UUIDField()
    host = serializers.SlugField()
    provider = serializers.CharField()
    kind = serializers.ChoiceField(_KINDS)
    label = serializers.CharField()  # type: ignore[assignment]  # DRF keeps fields apart
    account = AccountShape(allow_null=True)


class CandidateShape(Shape):
    """One credential that was considered, and why it was kept or passed over."""

    credential = serializers.UUIDField()
    kept = serializers.BooleanField()
    reason = serializers.ChoiceField(REASONS)


class PreviewShape(Shape):
    """What would be lent, and why."""

    expires_at = serializers.DateTimeField(allow_null=True)
    credential = LentCredentialShape()
    repository_url = serializers.CharField(allow_blank=True)
    chosen_because = serializers.ChoiceField(REASONS)
    candidates = CandidateShape(many=True)


class LentShape(PreviewShape):
    """What was lent: user name and password for Git over HTTPS, until the lease or the token ends."""

    id = serializers.UUIDField()
    username = serializers.CharField()
    password = serializers.CharField()
    lease_expires_at = serializers.DateTimeField()


class LeaseShape(Shape):
    """A lease, without what was lent."""

    id = serializers.UUIDField()
    user = serializers.CharField()
    credential = serializers.UUIDField()
    host = serializers.SlugField()
    repository_url = serializers.CharField(allow_blank=True)
    purpose = serializers.CharField()
    reference = serializers.CharField(allow_blank=True)
    chosen_because = serializers.ChoiceField(REASONS)
    created_at = serializers.DateTimeField()
    lease_expires_at = serializers.DateTimeField()
    ended_at = serializers.DateTimeField(allow_null=True)
    outcome = serializers.ChoiceField(REPORTED, allow_null=True)
    outcome_detail = serializers.CharField(allow_blank=True)
    reported_at = serializers.DateTimeField(allow_null=True)


class CheckShape(Shape):
    """One thing that was looked at."""

    step = serializers.CharField()
    result = serializers.CharField(allow_blank=True)
    at = serializers.DateTimeField()


class StepShape(Shape):
    """One thing to do."""

    text = serializers.CharField()
    url = serializers.CharField(required=False)


class VerdictShape(Shape):
    """What was found, who can mend it, and the next step."""

    code = serializers.ChoiceField([code.value for code in VerdictCode])
    severity = serializers.ChoiceField([severity.value for severity in Severity])
    who_can_fix = serializers.ChoiceField([who.value for who in WhoCanFix])
    summary = serializers.CharField()
    checked = CheckShape(many=True)
    steps = StepShape(many=True)
    host = serializers.CharField(required=False)
    organization = serializers.CharField(required=False)
    credential = serializers.UUIDField(required=False)
    message_to_owner = serializers.CharField(required=False)
    offer_zip = serializers.BooleanField()


class DiagnosisShape(Shape):
    """The one answer of a diagnosis."""

    verdict = VerdictShape()


class ConnectedShape(CredentialShape):
    """A credential as it is after it was looked at, with what the look said."""

    verdict = VerdictShape()


class CreatedShape(CredentialShape):
    """A credential that was connected; an answer that is repeated tells it as it is then, without verdict."""

    verdict = VerdictShape(required=False)


class MistakeShape(Shape):
    """One field that is wrong; an empty name means the body as a whole."""

    field = serializers.CharField(allow_blank=True)
    detail = serializers.CharField()


class ProblemShape(Shape):
    """RFC 9457. ``type`` is the address of a help entry, ``code`` is stable."""

    type = serializers.CharField()
    title = serializers.CharField()
    status = serializers.IntegerField()
    detail = serializers.CharField()
    code = serializers.CharField()
    retryable = serializers.BooleanField()
    request_id = serializers.CharField()
    field = serializers.CharField(required=False)
    errors = MistakeShape(many=True, required=False)  # type: ignore[assignment]  # DRF keeps fields apart
    verdict = VerdictShape(required=False)
