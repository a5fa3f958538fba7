"""People's second factors: the database holds nothing with which a code could be made."""

from __future__ import annotations

import pytest
from allauth.mfa.models import Authenticator
from allauth.mfa.recovery_codes.internal.auth import RecoveryCodes
from allauth.mfa.totp.internal.auth import (
    TOTP,
    generate_totp_secret,
    hotp_value,
    yield_hotp_counters_from_time,
)
from django.contrib.auth.models import User

from credentials.adapter import SECOND_FACTOR
from credentials.errors import EnvelopeInvalid
from credentials.services import vault

pytestmark = pytest.mark.django_db


def test_an_authenticator_app_works_and_its_secret_is_not_in_the_database(alice: User) -> None:
    secret = generate_totp_secret()
    TOTP.activate(alice, secret)
    stored = Authenticator.objects.get(user=alice, type=Authenticator.Type.TOTP)
    code = f"{hotp_value(secret, next(yield_hotp_counters_from_time())):06}"

    assert secret not in str(stored.data)
    assert TOTP(stored).validate_code(code)


def test_recovery_codes_work_and_their_seed_is_not_in_the_database(alice: User) -> None:
    codes = RecoveryCodes.activate(alice)
    shown = codes.get_unused_codes()
    stored = Authenticator.objects.get(user=alice, type=Authenticator.Type.RECOVERY_CODES)

    assert stored.data["seed"].startswith("forgekey-1:")
    assert not any(code in str(stored.data) for code in shown)
    assert codes.validate_code(shown[0])
    assert not codes.validate_code(shown[0])


@pytest.mark.parametrize("wrong", ["", "JBSWY3DPEHPK3PXP", "forgekey-1:", "forgekey-1:!!", "forgekey-1:AAAA"])
def test_a_text_that_was_not_sealed_here_opens_nothing(wrong: str) -> None:
    with pytest.raises(EnvelopeInvalid):
        vault.open_text(SECOND_FACTOR, wrong)


def test_a_sealed_text_opens_only_for_its_own_purpose_and_unaltered() -> None:
    sealed = vault.seal_text(SECOND_FACTOR, "JBSWY3DPEHPK3PXP")

    assert vault.open_text(SECOND_FACTOR, sealed) == "JBSWY3DPEHPK3PXP"
    with pytest.raises(EnvelopeInvalid):
        vault.open_text("another", sealed)
    with pytest.raises(EnvelopeInvalid):
        vault.open_text(SECOND_FACTOR, sealed[:-4] + ("AAA=" if sealed[-4:] != "AAA=" else "BBB="))
