"""System checks: a wrong installation is named, with a code and what to do, before it serves anyone."""

from __future__ import annotations

import difflib
import os
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

from django.conf import settings
from django.core.checks import CheckMessage, Error, Tags, Warning, register
from django.core.exceptions import ImproperlyConfigured
from django.core.files.storage import storages
from django.db import DEFAULT_DB_ALIAS, DatabaseError

from credentials.conf import NAMES, conf
from credentials.errors import ForgekeyError
from credentials.models import RingKey
from credentials.services import demo_people, sealed_rows, vault

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


def the_storage_can_be_used(**_: Any) -> list[CheckMessage]:
    """Imports need a place; that its package is missing would show only when somebody waits for one."""
    try:
        storages["default"]  # makes it, and asks no server
    except ImproperlyConfigured as error:
        return [
            Error(
                f"The storage of imported content cannot be used: {error}",
                hint='Correct STORAGE_URL. S3 needs a package: pip install "django-storages[s3]>=1.14"',
                id="credentials.E012",
            )
        ]
    return []


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


def every_needed_key_is_there(databases: Sequence[str] | None = None, **_: Any) -> list[CheckMessage]:
    """A row under a key that the ring lacks cannot be opened; restoring the key mends it."""
    if not databases:
        return []
    try:
        missing = sealed_rows.missing_keys()
    except DatabaseError:
        return []
    except ForgekeyError as error:
        # No error: whoever only migrates the database needs no key.
        return [Warning("The key ring does not load.", hint=str(error), id="credentials.W003")]
    if not missing:
        return []
    return [
        Error(
            f"Rows need keys that the key ring lacks: {', '.join(sorted(missing))}.",
            hint="Restore their entries. python manage.py doctor counts the rows; none of them is touched.",
            id="credentials.E011",
        )
    ]


def the_key_is_not_worn(databases: Sequence[str] | None = None, **_: Any) -> list[CheckMessage]:
    """Random nonces may repeat once a key has wrapped too much; half-way there is time to change it."""
    try:
        # Without a row that is worn the ring is not even asked for.
        worn = bool(databases) and RingKey.objects.filter(wraps__gte=vault.WRAP_WARNING).exists()
        wraps = vault.wraps_booked() if worn else 0
    except (DatabaseError, ForgekeyError):
        return []
    if wraps < vault.WRAP_WARNING:
        return []
    return [
        Warning(
            f"The first key has wrapped {wraps} secrets; at {vault.WRAP_LIMIT} it wraps no more.",
            hint="Change it: generate_key --help says how.",
            id="credentials.W002",
        )
    ]


def _in_deployment(check: Callable[..., list[CheckMessage]]) -> Callable[..., list[CheckMessage]]:
    """A check of the database for ``check --deploy``, which names no database. With one it runs anyway."""

    def look(databases: Sequence[str] | None = None, **_: Any) -> list[CheckMessage]:
        return [] if databases else check(databases=[DEFAULT_DB_ALIAS])

    return look


def register_all() -> None:
    """Register the checks with Django. Those of the database run with ``--database`` or ``--deploy``."""
    register(settings_are_well_formed, Tags.security)
    register(key_ring_is_not_a_setting, Tags.security)
    register(sessions_stay_on_the_server, Tags.security)
    register(sign_in_tokens_are_not_stored, Tags.security)
    register(environment_has_no_unknown_names, Tags.security)
    register(the_storage_can_be_used, Tags.security)
    register(key_source_is_not_the_environment, Tags.security, deploy=True)
    register(demo_people_are_gone, Tags.security, deploy=True)
    for check in (every_needed_key_is_there, the_key_is_not_worn):
        register(check, Tags.database)
        register(_in_deployment(check), Tags.security, deploy=True)
