"""Finding a provider by its name."""

from __future__ import annotations

from functools import cache

from django.utils.module_loading import import_string

from credentials.errors import ConfigurationError
from credentials.providers import REGISTERED
from credentials.providers.base import Provider


@cache
def _by_name() -> dict[str, type[Provider]]:
    classes: list[type[Provider]] = [import_string(path) for path in REGISTERED]
    return {provider.name: provider for provider in classes}


def get(name: str) -> type[Provider]:
    """The provider class of this name; raises ConfigurationError where none is registered."""
    try:
        return _by_name()[name]
    except KeyError:
        known = ", ".join(names())
        raise ConfigurationError(f"no such provider; registered are: {known}") from None


def names() -> tuple[str, ...]:
    """The names of all registered providers, in the order of registration."""
    return tuple(_by_name())


def choices() -> list[tuple[str, str]]:
    """Name and title of each, as Django's ``choices`` want them."""
    return [(name, provider.title) for name, provider in _by_name().items()]
