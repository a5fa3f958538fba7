"""What is quarantined is not missing: leases and diagnoses say who can put it back."""

from __future__ import annotations

from typing import Any

import pytest
from django.contrib.auth.models import User
from django.utils import timezone

from credentials.errors import NoUsableCredential
from credentials.models import Host, QuarantineReason
from credentials.services import clients, diagnose, lend, quarantine
from credentials.services.lend import LeaseRequest
from credentials.verdicts import Verdict, VerdictCode, WhoCanFix
from tests import builders
from tests.credentials.providers.loopback import Server, json_reply
from tests.credentials.services.stored import host_at

pytestmark = pytest.mark.django_db


def test_what_is_quarantined_is_said_to_be_so_and_not_to_be_missing(alice: User) -> None:
    with Server(lambda seen: json_reply({"message": "Not Found"}, 404)) as server:
        told = _told_of_a_quarantined_one(alice, host_at(server.url))
    for one in told:
        assert (one.code, one.who_can_fix) == (VerdictCode.NO_CREDENTIAL, WhoCanFix.ADMINISTRATOR)
        assert "quarantined" in str(one.title)
        assert len(one.steps) == 1


def _told_of_a_quarantined_one(alice: User, host: Host) -> list[Verdict]:
    credential = builders.credential(alice, host)
    quarantine.quarantine(
        actor=builders.SYSTEM,
        credential=credential,
        reason=QuarantineReason.ADMINISTRATOR,
        now=timezone.now(),
    )
    address = f"{credential.host.web_url}/acme/cases"
    _, key = builders.client()
    told = [diagnose.diagnose(actor=builders.SYSTEM, user=alice, repository_url=address).verdict]
    asked_for: tuple[dict[str, Any], ...] = (
        {"repository_url": address},
        {"host": "github"},
        {"credential": credential.pk},
    )
    for asked in asked_for:
        with pytest.raises(NoUsableCredential) as refused:
            lend.lend(
                key=clients.parse_key(key.reveal()),
                request=LeaseRequest(user="alice", purpose="import", **asked),
                address="127.0.0.1",
            )
        told.append(refused.value.verdict)
    return told
