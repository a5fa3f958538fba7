"""What hosts have in common where no application can be authorized: tokens are made by hand only."""

from __future__ import annotations

from abc import ABC
from collections.abc import Mapping, Sequence
from typing import Any

from project.sandbox.host import EmulatedHost
from project.sandbox.oauth import Rules
from project.sandbox.reasons import Reason
from project.sandbox.seed import App
from project.sandbox.tokens import Token

UNUSED: Mapping[Reason, tuple[int, str, str]] = dict.fromkeys(
    Reason, (404, "unsupported", "There is no token endpoint.")
)


class TokensOnlyHost(EmulatedHost, ABC):
    """An emulated host without an authorization server."""

    rules = Rules(authorize_path="", token_path="", scopes={}, errors=UNUSED)

    def granted(self, app: App, asked: Sequence[str]) -> tuple[str, ...] | None:
        return None

    def token_facts(self, token: Token, access: str, refresh: str | None) -> dict[str, Any]:
        return {}
