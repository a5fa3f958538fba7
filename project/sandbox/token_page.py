"""The page where a person makes a token by hand, filled in by the link that led there."""

from __future__ import annotations

from typing import TYPE_CHECKING

from project.sandbox.control_page import show_token
from project.sandbox.pages import (
    button,
    choice,
    foreign_origin,
    form,
    is_own_origin,
    page,
    paragraph,
    text_field,
)
from project.sandbox.wire import Request, Response

if TYPE_CHECKING:
    from project.sandbox.host import EmulatedHost


class TokenPage:
    """One such page. `separator` stands between the scopes in the query's `scopes`."""

    def __init__(self, host: EmulatedHost, path: str, *, kind: str, separator: str) -> None:
        self._host = host
        self._kind = kind
        self._separator = separator
        host.router.add("GET", path, self.show)
        host.router.add("POST", path, self.make)

    def _scopes(self, request: Request) -> str:
        if self._kind == "fine_grained_token":
            return " ".join(f"{name}:read" for name in ("contents",) if request.query.get(name) == "read")
        return " ".join(request.query.get("scopes", "").replace(self._separator, " ").split())

    def show(self, request: Request) -> Response:
        is_limited = bool(self._host.kinds[self._kind].limited_to)
        name = request.query.get("name") or request.query.get("description", "")
        owner = text_field("Limited to", name="resource", value=request.query.get("target_name", ""))
        return page(
            f"{self._host.title}: new token",
            paragraph(f"A {self._kind.replace('_', ' ')}."),
            form(
                request.path,
                choice("Account", name="account", options=self._host.state.people),
                text_field("Name", name="name", value=name),
                text_field("Scopes (separated by spaces)", name="scopes", value=self._scopes(request)),
                text_field("Expires in (seconds, empty for the usual)", name="expires_in"),
                owner if is_limited else "",
                button("Make the token", main=True),
            ),
        )

    def make(self, request: Request) -> Response:
        if not is_own_origin(request):
            return foreign_origin()
        fields = request.fields()
        expires_in = str(fields.get("expires_in", ""))
        try:
            minted = self._host.mint(
                account=str(fields.get("account", "")),
                kind=self._kind,
                scopes=str(fields.get("scopes", "")).split(),
                expires_in=float(expires_in) if expires_in else None,
                resource=str(fields.get("resource", "")) or None,
            )
        except ValueError as error:
            return page("That did not work", paragraph(str(error)), status=422)
        return show_token(self._host, minted)
