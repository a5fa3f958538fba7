"""System checks: a wrong installation is named, with a code and what to do, before it serves anyone."""

from __future__ import annotations

import difflib
import os
from collections.abc import Iterator, Mapping
from typing import Any

from django.conf import settings
from django.core.checks import CheckMessage, Error, Tags, Warning, register
from django.db import DatabaseError

from credentials.conf import NAMES, conf
from credentials.services import demo_people

_PREFIX = "CREDENTIALS_"
# systemd's own: where a unit finds the credentials it was given.
_FOREIGN = frozenset({"CREDENTIALS_DIRECTORY"})


def settings_are_well_formed(**_: Any) -> list[CheckMessage]:
    """Every Forgekey setting has a usable value."""
    return [
        Error(text, hint="See docs/configure.md.", id="credentials.E001") for _name, text in conf.problems()
    ]


def key_ring_is_not_a_setting(**_: Any) -> list[CheckMessage]:
    """Django prints settings in tracebacks and error mails; a key must not be among them."""
    if hasattr(settings, "CREDENTIALS_KEY_RING"):
        return [
            Error(
                "CREDENTIALS_KEY_RING must not be a Django setting.",
                hint="Set CREDENTIALS_KEY_SOURCE and keep the key in a file or the environment.",
                id="credentials.E002",
            )
        ]
    return []


def sessions_stay_on_the_server(**_: Any) -> list[CheckMessage]:
    """A cookie session would carry the state of OAuth flows to the browser."""
    if settings.SESSION_ENGINE.endswith("signed_cookies"):
        return [
            Error(
                "Sessions must not be kept in cookies.",
                hint="Use django.contrib.sessions.backends.db.",
                id="credentials.E003",
            )
        ]
    return []


def sign_in_tokens_are_not_stored(**_: Any) -> list[CheckMessage]:
    """allauth would keep tokens of people's sign-ins in clear."""
    if getattr(settings, "SOCIALACCOUNT_STORE_TOKENS", False):
        return [
            Error(
                "SOCIALACCOUNT_STORE_TOKENS must be off.",
                hint="Remove the setting; Forgekey keeps import credentials in its own envelope.",
                id="credentials.E004",
            )
        ]
    return []


def environment_has_no_unknown_names(environ: Mapping[str, str] = os.environ, **_: Any) -> list[CheckMessage]:
    """A misspelled name would leave its default in force without a word."""
    return [
        Error(
            f"{name} is set in the environment, but there is no such setting.",
            hint=f"{_nearest(name)} docs/configure.md lists every name.".lstrip(),
            id="credentials.E005",
        )
        for name in sorted(_unknown(environ))
    ]


def _unknown(environ: Mapping[str, str]) -> Iterator[str]:
    source = str(getattr(settings, "CREDENTIALS_KEY_SOURCE", ""))
    known = {*(_PREFIX + name for name in NAMES), *_FOREIGN, source.removeprefix("env:")}
    for name in environ:
        if name.startswith(_PREFIX) and name not in known and name.removesuffix("_FILE") not in known:
            yield name


def _nearest(name: str) -> str:
    found = difflib.get_close_matches(name.removeprefix(_PREFIX).removesuffix("_FILE"), NAMES, n=1)
    return f"Did you mean {_PREFIX}{found[0]}?" if found else ""


def key_source_is_not_the_environment(**_: Any) -> list[CheckMessage]:
    """The environment is inherited by children and seen by whoever may inspect the process."""
    if str(getattr(settings, "CREDENTIALS_KEY_SOURCE", "")).startswith("env:"):
        return [
            Warning(
                "The key ring comes from the environment.",
                hint="Prefer CREDENTIALS_KEY_SOURCE=file:… or credential:….",
                id="credentials.W001",
            )
        ]
    return []


def demo_people_are_gone(**_: Any) -> list[CheckMessage]:
    """The demo's passwords are printed in its documentation."""
    try:
        found = demo_people.present()
    except DatabaseError:
        return []
    if found:
        return [
            Error(
                f"The demo's people are here with their demo passwords: {', '.join(found)}.",
                hint="Start a deployment on an empty database, or deactivate them.",
                id="credentials.E010",
            )
        ]
    return []


def register_all() -> None:
    """Register the checks with Django."""
    register(settings_are_well_formed, Tags.security)
    register(key_ring_is_not_a_setting, Tags.security)
    register(sessions_stay_on_the_server, Tags.security)
    register(sign_in_tokens_are_not_stored, Tags.security)
    register(environment_has_no_unknown_names, Tags.security)
    register(key_source_is_not_the_environment, Tags.security, deploy=True)
    register(demo_people_are_gone, Tags.security, deploy=True)
