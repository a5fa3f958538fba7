"""The silent ends each provider documents: which tokens, how long, and where it says so."""

from __future__ import annotations

from datetime import timedelta

import pytest

from credentials.providers import registry
from credentials.providers.lifetimes import Rule
from credentials.providers.tokens import Kind

EVERY = registry.names()


def test_what_providers_document_is_what_is_known_here() -> None:
    known = {
        (name, one.rule, kind): one.life
        for name in EVERY
        for one in registry.get(name).lifetimes
        for kind in one.kinds
    }
    year = timedelta(days=365)
    assert known == {
        ("github", Rule.UNUSED, Kind.PERSONAL_TOKEN): year,
        ("github", Rule.UNUSED, Kind.FINE_GRAINED_TOKEN): year,
        ("github", Rule.UNUSED, Kind.OAUTH): year,
        ("gitlab", Rule.LONGEST, Kind.PERSONAL_TOKEN): year,
        ("gitlab", Rule.LONGEST, Kind.ACCESS_TOKEN): year,
        ("bitbucket", Rule.UNRENEWED, Kind.OAUTH): timedelta(days=90),
        ("bitbucket", Rule.LONGEST, Kind.API_TOKEN): year,
        ("gitea", Rule.UNRENEWED, Kind.OAUTH): timedelta(hours=730),
    }
    assert {name for name in EVERY if registry.get(name).tells_expiry} == {"github", "gitlab"}
    limits = {name: registry.get(name).most_authorizations for name in EVERY}
    assert {name: most for name, most in limits.items() if most} == {"github": 10}


@pytest.mark.parametrize("name", EVERY)
def test_a_rule_is_about_kinds_the_provider_has_and_names_its_source(name: str) -> None:
    provider = registry.get(name)
    for lifetime in provider.lifetimes:
        assert set(lifetime.kinds) <= provider.kinds
        assert lifetime.source.startswith("https://")
        assert str(lifetime.words)
        assert timedelta(days=1) < lifetime.life <= timedelta(days=400)
