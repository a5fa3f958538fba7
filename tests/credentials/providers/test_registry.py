"""Finding providers by name."""

from __future__ import annotations

import pytest

from credentials.errors import ConfigurationError
from credentials.providers import REGISTERED, registry
from credentials.providers.base import Provider


def test_every_registered_line_is_a_provider_of_its_own_name() -> None:
    assert len(registry.names()) == len(REGISTERED)
    for name in registry.names():
        assert issubclass(registry.get(name), Provider)
        assert registry.get(name).name == name


def test_the_choices_are_names_and_titles() -> None:
    assert registry.choices()[0] == ("github", "GitHub")
    assert [name for name, _title in registry.choices()] == list(registry.names())


def test_an_unknown_name_is_a_configuration_error_that_names_the_known() -> None:
    with pytest.raises(ConfigurationError, match="gitea, bitbucket_server, azure_devops"):
        registry.get("gopher")
