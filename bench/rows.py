"""Fills an empty installation with people, hosts, clients and credentials.

Credentials are sealed as the product seals them and inserted in bulk: a million of them through the
connect service would take hours.
"""

from __future__ import annotations

import random
from collections.abc import Iterator
from itertools import islice

from django.contrib.auth.models import User
from django.utils import timezone

from bench.load import Exchange
from credentials.crypto.envelope import seal
from credentials.crypto.secret import Secret
from credentials.models import Credential, Host, Organization, OrganizationAccess, Scope, Status
from credentials.models.organization import AccessState
from credentials.providers.tokens import Kind
from credentials.services import clients, hosts, vault
from credentials.services.audit import Actor

_ACTOR = Actor.system("bench")
_PROVIDERS = ("github", "gitlab", "bitbucket", "gitea")
_CLIENTS = 20
_BATCH = 2_000
_DIGITS = "0123456789abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ"


def fill(count: int, *, sample: int) -> list[Exchange]:
    """Store ``count`` credentials, two for each person, at two hosts; returns requests for ``sample`` of them."""
    dice = random.Random(1)
    # The first key also makes the purpose keys, and with them the ring's entry in the database.
    keys = [_key(number) for number in range(_CLIENTS)]
    places = [_host(provider) for provider in _PROVIDERS]
    boards = {place.pk: _organization(place) for place in places}
    owners = [User(username=f"person-{number}", password="!") for number in range((count + 1) // 2)]
    User.objects.bulk_create(owners, _BATCH)
    wanted = frozenset(dice.sample(range(count), min(count, sample)))
    asked = []
    rows = enumerate(_credentials(owners, places, dice))
    for start in range(0, count, _BATCH):
        batch = list(islice(rows, min(_BATCH, count - start)))
        Credential.objects.bulk_create([row for _number, (row, _token) in batch])
        OrganizationAccess.objects.bulk_create(
            [_access(row, boards[row.host_id]) for _number, (row, _token) in batch]
        )
        asked += [
            _exchange(row, token, key=dice.choice(keys)) for number, (row, token) in batch if number in wanted
        ]
    dice.shuffle(asked)
    return asked


def _key(number: int) -> str:
    _client, key = clients.create(
        actor=_ACTOR, name=f"backend-{number}", scopes=[Scope.CREDENTIALS_LEND, Scope.CREDENTIALS_READ]
    )
    return key.reveal()


def _host(provider: str) -> Host:
    return hosts.add_host(
        actor=_ACTOR,
        slug=provider,
        provider=provider,
        web_url=f"https://{provider}.example.org",
        api_url=f"https://api.{provider}.example.org",
    )


def _credentials(
    owners: list[User], places: list[Host], dice: random.Random
) -> Iterator[tuple[Credential, str]]:
    ring, key_id, now = vault.ring(), vault.primary_key_id(), timezone.now()
    for number, owner in enumerate(owners):
        for at in (places[number % len(places)], places[(number + 1) % len(places)]):
            token = "".join(dice.choices(_DIGITS, k=40))
            made = Credential(
                owner=owner,
                host=at,
                kind=Kind.PERSONAL_TOKEN.value,
                status=Status.VALID,
                account_id=str(number),
                account_name=f"octo-{number}",
                username=f"octo-{number}",
                email=f"octo-{number}@example.org",
                last_verified_at=now,
                key_id=key_id,
                fingerprint=vault.fingerprint(Secret(token)),
            )
            made.access_envelope = seal(ring, Secret(token), made.binding("access"))
            yield made, token


def _organization(place: Host) -> Organization:
    return Organization.objects.create(host=place, key="acme", name="Acme", first_seen_at=timezone.now())


def _access(row: Credential, organization: Organization) -> OrganizationAccess:
    now = timezone.now()
    return OrganizationAccess(
        credential=row,
        organization=organization,
        state=AccessState.ACCESSIBLE,
        checked_at=now,
        since=now,
    )


def _exchange(row: Credential, token: str, *, key: str) -> Exchange:
    body = {
        "user": row.owner.get_username(),
        "repository_url": f"{row.host.web_url}/acme/cases.git",
        "purpose": "import cases",
        "reference": "job 4711",
    }
    return Exchange.post("/api/v1/leases/", body, bearer=key, expected=token)
