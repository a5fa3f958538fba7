"""What organizations answer: one vocabulary, from the provider to the row."""

from __future__ import annotations

import pytest
from django.contrib.auth.models import User
from django.db import IntegrityError, transaction

from credentials.models import AccessState, OrganizationAccess
from credentials.providers.facts import OrganizationState
from tests import builders


def test_a_row_knows_exactly_the_states_that_a_provider_can_tell() -> None:
    assert set(AccessState.values) == {state.value for state in OrganizationState}
    assert set(AccessState.names) == {state.name for state in OrganizationState}


def test_every_state_fits_its_column_and_has_words() -> None:
    width = OrganizationAccess._meta.get_field("state").max_length or 0
    assert all(len(value) <= width for value in AccessState.values)
    assert all(label and "_" not in str(label) for label in AccessState.labels)


@pytest.mark.django_db
def test_a_credential_has_one_answer_per_organization(alice: User) -> None:
    credential = builders.credential(alice, builders.host())
    builders.access(credential, "acme")
    with pytest.raises(IntegrityError), transaction.atomic():
        builders.access(credential, "Acme")
    builders.access(credential, "sso-corp")
    assert credential.organizations.count() == 2
