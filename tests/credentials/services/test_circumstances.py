"""Who asks from where: the part of ``X-Forwarded-For`` that callers write is never believed."""

from __future__ import annotations

from typing import Any

import pytest
from django.contrib.auth.models import User

from credentials.services.circumstances import actor_of_user, address_of, request_id_of


@pytest.mark.parametrize(
    ("proxies", "forwarded", "address"),
    [
        (0, "", "192.0.2.9"),
        (0, "10.0.0.1", "192.0.2.9"),
        (1, "203.0.113.7", "203.0.113.7"),
        (1, "10.0.0.1, 203.0.113.7", "203.0.113.7"),
        (1, "10.0.0.1,, 203.0.113.7 ,", "203.0.113.7"),
        (2, "10.0.0.1, 203.0.113.7, 10.9.9.9", "203.0.113.7"),
        (2, "203.0.113.7", "192.0.2.9"),
        (1, "", "192.0.2.9"),
    ],
)
def test_the_address_is_what_the_outermost_own_proxy_saw(
    settings: Any, proxies: int, forwarded: str, address: str
) -> None:
    settings.CREDENTIALS_TRUSTED_PROXY_COUNT = proxies
    meta = {"REMOTE_ADDR": "192.0.2.9", "HTTP_X_FORWARDED_FOR": forwarded}

    assert address_of(meta) == address


def test_an_endless_address_fits_the_trail(settings: Any) -> None:
    settings.CREDENTIALS_TRUSTED_PROXY_COUNT = 1
    assert len(address_of({"HTTP_X_FORWARDED_FOR": "1" * 500})) == 45


@pytest.mark.django_db
def test_a_person_acts_with_the_circumstances_of_the_request(alice: User) -> None:
    meta = {"REMOTE_ADDR": "192.0.2.9", "forgekey.request_id": "r-1"}

    actor = actor_of_user(meta, alice)

    assert (actor.kind, actor.id, actor.name) == ("user", str(alice.pk), "alice")
    assert (actor.request_id, actor.address) == ("r-1", "192.0.2.9")
    assert request_id_of({}) == ""
