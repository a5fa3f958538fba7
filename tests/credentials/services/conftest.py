"""What several services are tried against: a provider that spends refresh tokens, played by a server."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.credentials.providers.loopback import Server
from tests.credentials.services.refresh.grants import Rotating


@pytest.fixture
def provider() -> Rotating:
    return Rotating()


@pytest.fixture
def server(provider: Rotating) -> Iterator[Server]:
    with Server(provider) as running:
        yield running
