"""The control page and JSON at /_sandbox/: switches, tokens, faults, calls and live grants of one host."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from project.sandbox import control_page
from project.sandbox.journal import Fault
from project.sandbox.pages import is_own_origin
from project.sandbox.switches import changed
from project.sandbox.tokens import Token
from project.sandbox.wire import BadRequestError, Request, Response, json_response, redirect

if TYPE_CHECKING:
    from project.sandbox.host import EmulatedHost

PREFIX = "/_sandbox"
TOKEN_SWITCHES = ("scopes", "sso", "pending", "resource")
FAULT_FIELDS = tuple(item.name for item in dataclasses.fields(Fault))


def is_control(request: Request) -> bool:
    return request.path == PREFIX or request.path.startswith(f"{PREFIX}/")


def handle(host: EmulatedHost, request: Request) -> Response:
    """Answer a control request. What changes something is refused to other sites' pages."""
    if request.method not in {"GET", "HEAD"} and not is_own_origin(request):
        return _problem("Another site's page may not flip switches.", 403)
    parts = [part for part in request.path.removeprefix(PREFIX).split("/") if part]
    try:
        answer = _read if request.method in {"GET", "HEAD"} else _write
        data = answer(host, request, parts)
    except LookupError:
        return _problem("There is no such thing here.", 404)
    except (ValueError, TypeError, BadRequestError) as error:
        return _problem(str(error), 422)
    if isinstance(data, Response):
        return data
    is_form = "form" in request.header("Content-Type")
    return redirect(f"{PREFIX}/", status=303) if is_form else json_response(data)


def _problem(text: str, status: int) -> Response:
    return json_response({"error": text}, status=status)


def _read(host: EmulatedHost, request: Request, parts: list[str]) -> object:
    match parts:
        case []:
            return control_page.show(host)
        case ["state.json"]:
            return _state(host)
        case ["calls"]:
            return {"calls": host.calls.since(int(request.query.get("since", "0")))}
        case ["grants"]:
            return _grants(host, request.query)
        case ["oauth"]:
            return dataclasses.asdict(host.authorization_server.tally)
        case _:
            raise LookupError


def _write(host: EmulatedHost, request: Request, parts: list[str]) -> object:
    fields = request.fields()
    match request.method, parts:
        case "POST", ["tokens"]:
            return _mint(host, request, fields)
        case "POST", ["tokens", token_id]:
            return _set_token(host, _token(host, token_id), fields)
        case "DELETE", ["tokens", token_id]:
            host.state.forget(_token(host, token_id))
        case "POST", ["organizations", name]:
            return dataclasses.asdict(
                host.state.set_organization(name, fields, (*host.organization_switches, "members"))
            )
        case "POST", ["settings"]:
            return dataclasses.asdict(host.state.set_settings(fields))
        case "POST", ["faults"]:
            host.faults.add(changed(Fault(), fields, FAULT_FIELDS))
        case ("DELETE", ["faults"]) | ("POST", ["faults", "clear"]):
            host.faults.clear()
        case ("DELETE", ["calls"]) | ("POST", ["calls", "clear"]):
            host.calls.clear()
        case "POST", ["reset"]:
            _reset(host)
        case _:
            raise LookupError
    return {"ok": True}


def _reset(host: EmulatedHost) -> None:
    host.state.reset()
    host.faults.clear()
    host.calls.clear()
    host.lift_ban()
    host.authorization_server.reset()


def _token(host: EmulatedHost, token_id: str) -> Token:
    token = host.state.token(token_id)
    if token is None:
        raise LookupError(token_id)
    return token


def token_facts(host: EmulatedHost, token: Token) -> dict[str, Any]:
    """What may be told about a token: everything but what would let one recognize its text."""
    facts = dataclasses.asdict(token)
    for name in ("digest", "refresh_digest"):
        del facts[name]
    now = host.state.now()
    return facts | {"live": token.is_live(now), "can_refresh": token.can_refresh(now)}


def _state(host: EmulatedHost) -> dict[str, Any]:
    state = host.state
    return {
        "host": host.slug,
        "provider": host.provider,
        "hosts": host.neighbors,
        "now": state.now(),
        "kinds": list(host.kinds),
        "people": {login: dataclasses.asdict(person) for login, person in state.people.items()},
        "organizations": {name: dataclasses.asdict(item) for name, item in state.organizations.items()},
        "organization_switches": list(host.organization_switches),
        "repositories": [dataclasses.asdict(item) for item in state.repositories],
        "settings": dataclasses.asdict(state.settings),
        "faults": host.faults.all(),
        "tokens": [token_facts(host, token) for token in state.tokens()],
    }


def _grants(host: EmulatedHost, query: Mapping[str, str]) -> dict[str, Any]:
    grants = [
        token_facts(host, token)
        for token in host.state.live_tokens()
        if all(query.get(name, getattr(token, name)) == getattr(token, name) for name in ("kind", "account"))
    ]
    families = {token["family"] or token["id"] for token in grants}
    return {"count": len(grants), "families": len(families), "grants": grants}


def _as_list(value: object) -> list[str]:
    if isinstance(value, str):
        return value.split()
    if value is None or isinstance(value, list):
        return [str(item) for item in value or ()]
    raise ValueError("a list is expected")


def _mint(host: EmulatedHost, request: Request, fields: dict[str, Any]) -> object:
    expires_in = fields.get("expires_in")
    minted = host.mint(
        account=str(fields.get("account", "")),
        kind=str(fields.get("kind", "")),
        scopes=_as_list(fields.get("scopes")),
        expires_in=None if expires_in in (None, "") else float(expires_in),
        organizations=_as_list(fields.get("organizations")),
        resource=fields.get("resource") or None,
    )
    return control_page.show_token(host, minted) if "form" in request.header("Content-Type") else minted


def _set_token(host: EmulatedHost, token: Token, fields: Mapping[str, Any]) -> object:
    """Revoke (`revoked`), let expire (`expires_in` seconds from now), or change what the token may do."""
    changes = dict(fields)
    times: dict[str, Any] = {}
    if "expires_in" in changes:
        times["expires_at"] = host.state.now() + float(changes.pop("expires_in"))
    revoked = changes.pop("revoked", None)
    new = changed(token, changes, TOKEN_SWITCHES)
    facts = {name: getattr(new, name) for name in TOKEN_SWITCHES}
    token = host.state.change_token(token, **facts, **times)
    if revoked in (True, "true"):
        host.state.revoke(token)
    return token_facts(host, _token(host, token.id))
