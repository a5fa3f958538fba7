"""The OAuth 2.0 authorization code flow all hosts share; what differs is in each host's `Rules` and wordings.

RFC 6749 sections 4.1 and 6, PKCE by RFC 7636 with S256 only.
"""

from __future__ import annotations

import base64
import hashlib
import hmac
import re
import secrets
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from project.sandbox import consent
from project.sandbox.pages import foreign_origin, is_own_origin
from project.sandbox.reasons import Reason, RefusedError
from project.sandbox.seed import App
from project.sandbox.tokens import Token, digest, opaque
from project.sandbox.wire import Request, Response, redirect, with_query

if TYPE_CHECKING:
    from project.sandbox.host import EmulatedHost

CODE_SECONDS = 600


@dataclass(frozen=True, kw_only=True, slots=True)
class Rules:
    """How one provider does OAuth.

    `scopes` are the known ones with a few words for the consent page; `errors` gives for each reason the
    status, the error and its description. `single_use_refresh`: a refresh token dies on use;
    `old_access_dies`: so does the access token that came with it; `reuse_ends_family`: a second use ends all
    tokens of the authorization. `live_limit`: so many tokens for one person, application and set of scopes.
    An empty `authorize_path`: there is no OAuth.
    """

    authorize_path: str
    token_path: str
    scopes: Mapping[str, str]
    errors: Mapping[Reason, tuple[int, str, str]]
    single_use_refresh: bool = True
    old_access_dies: bool = False
    reuse_ends_family: bool = False
    live_limit: int | None = None
    scopes_can_be_narrowed: bool = False


@dataclass(kw_only=True, slots=True)
class Tally:
    """What the token endpoint did: codes exchanged, tokens refreshed, requests refused; `reuses` are those of a
    refresh token that was spent before.
    """

    exchanges: int = 0
    refreshes: int = 0
    refusals: int = 0
    reuses: int = 0


@dataclass(frozen=True, kw_only=True, slots=True)
class Asked:
    """A valid authorization request. `scopes` is None where the scopes asked for cannot be given."""

    app: App
    redirect_uri: str
    state: str
    scopes: tuple[str, ...] | None
    challenge: str | None
    challenge_is_refused: bool


@dataclass(frozen=True, kw_only=True, slots=True)
class Code:
    app: App
    account: str
    redirect_uri: str
    scopes: tuple[str, ...]
    challenge: str | None = field(repr=False)
    sso: tuple[str, ...]
    made_at: float


class AuthorizationServer:
    """The authorize page and the token endpoint of one host."""

    def __init__(self, host: EmulatedHost) -> None:
        self._host = host
        self._state = host.state
        self._codes: dict[str, Code] = {}
        self.tally = Tally()
        # Browsers send a cookie to every port of a name: each host needs a name of its own.
        self._cookie = f"sandbox_person_{host.slug}"
        if not host.rules.authorize_path:
            return
        host.router.add("GET", host.rules.authorize_path, self.show)
        host.router.add("POST", host.rules.authorize_path, self.decide)
        host.router.add("POST", host.rules.token_path, self.token)

    # The page

    def _asked(self, query: Mapping[str, str]) -> Asked | Response:
        """The request, or the page that says what is wrong with the client: never a redirect for these."""
        app = self._state.apps.get(query.get("client_id", ""))
        if app is None:
            return consent.refused("The application is not known", "No application has this client id.", 404)
        redirect_uri = query.get("redirect_uri", "")
        if not app.allows(redirect_uri, self._state.redirect_bases):
            text = "The redirect URI included is not valid: it is not one that the application registered."
            return consent.refused("The redirect URI is not valid", text, 400)
        challenge = query.get("code_challenge")
        return Asked(
            app=app,
            redirect_uri=redirect_uri,
            state=query.get("state", ""),
            scopes=self._host.granted(app, re.findall(r"[^\s,]+", query.get("scope", ""))),
            challenge=challenge,
            challenge_is_refused=challenge is not None and query.get("code_challenge_method") != "S256",
        )

    def _back(self, asked: Asked, **values: str) -> Response:
        state = {"state": asked.state} if asked.state else {}
        return redirect(with_query(asked.redirect_uri, **values, **state))

    def _fault_of(self, asked: Asked, query: Mapping[str, str]) -> Response | None:
        if query.get("response_type", "code") != "code":
            return self._back(asked, error="unsupported_response_type")
        if asked.challenge_is_refused:
            text = "The code challenge method has to be S256."
            return self._back(asked, error="invalid_request", error_description=text)
        if asked.scopes is None:
            text = "The requested scope is invalid, unknown, or malformed."
            return self._back(asked, error="invalid_scope", error_description=text)
        return None

    def show(self, request: Request) -> Response:
        """The page where a person is chosen, and then allows or denies."""
        asked = self._asked(request.query)
        if isinstance(asked, Response):
            return asked
        fault = self._fault_of(asked, request.query)
        if fault is not None:
            return fault
        person = self._state.people.get(request.cookie(self._cookie))
        if person is None or request.query.get("prompt") == "select_account":
            return consent.choose_person(self._host, _target(request))
        return consent.ask(self._host, person, asked.app, asked.scopes or (), _target(request))

    def decide(self, request: Request) -> Response:
        """What the person pressed: another person, a request to an organization, deny, or allow."""
        if not is_own_origin(request):
            return foreign_origin()
        asked = self._asked(request.query)
        if isinstance(asked, Response):
            return asked
        fields = request.fields()
        return self._fault_of(asked, request.query) or self._pressed(request, asked, fields)

    def _pressed(self, request: Request, asked: Asked, fields: Mapping[str, Any]) -> Response:
        if "choose" in fields or fields.get("organization"):
            return self._stay(request, fields)
        if fields.get("decision") != "allow":
            text = "The user has denied your application access."
            return self._back(asked, error="access_denied", error_description=text)
        account = fields.get("person") or request.cookie(self._cookie)
        if account not in self._state.people:
            return consent.choose_person(self._host, _target(request))
        return self._back(asked, code=self._code(asked, str(account), fields))

    def _stay(self, request: Request, fields: Mapping[str, Any]) -> Response:
        if fields.get("organization") in self._state.organizations:
            self._state.set_organization(fields["organization"], {"request": "requested"}, ("request",))
        headers = []
        if "choose" in fields:
            chosen = fields["choose"] if fields["choose"] in self._state.people else ""
            headers.append(("Set-Cookie", f"{self._cookie}={chosen}; Path=/; HttpOnly; SameSite=Lax"))
        return redirect(_target(request), status=303, headers=headers)

    def _code(self, asked: Asked, account: str, fields: Mapping[str, Any]) -> str:
        scopes = asked.scopes or ()
        if self._host.rules.scopes_can_be_narrowed and "scopes" in fields:
            scopes = tuple(scope for scope in scopes if scope in fields["scopes"])
        code = opaque(40)
        with self._state.lock:
            self._codes[digest(code)] = Code(
                app=asked.app,
                account=account,
                redirect_uri=asked.redirect_uri,
                scopes=scopes,
                challenge=asked.challenge,
                sso=tuple(fields.get("sso", ())),
                made_at=self._state.now(),
            )
        return code

    def reset(self) -> None:
        """Forget the codes, and start counting anew."""
        with self._state.lock:
            self._codes.clear()
            self.tally = Tally()

    # The token endpoint

    def client(self, request: Request, fields: Mapping[str, Any]) -> App:
        """The application that shows its own id and secret. Raises RefusedError."""
        shown = request.authorization
        basic = shown.scheme == "basic"
        client_id = shown.username if basic else str(fields.get("client_id", ""))
        secret = shown.secret if basic else str(fields.get("client_secret", ""))
        app = self._state.apps.get(client_id)
        if app is None or self._state.settings.refuses_clients:
            raise RefusedError(Reason.CLIENT)
        if not hmac.compare_digest(secret.encode(), app.client_secret.encode()):
            raise RefusedError(Reason.CLIENT)
        return app

    def token(self, request: Request) -> Response:
        fields = request.fields()
        try:
            app = self.client(request, fields)
            with self._state.lock:
                match fields.get("grant_type") or self._host.usual_grant_type:
                    case "authorization_code":
                        token, access, refresh = self._exchange(app, fields)
                    case "refresh_token":
                        token, access, refresh = self._refresh(app, fields)
                    case _:
                        raise RefusedError(Reason.GRANT_TYPE)
        except RefusedError as refusal:
            return self.refused(request, refusal.reason)
        return self._host.oauth_answer(request, self._host.token_facts(token, access, refresh), status=200)

    def refused(self, request: Request, reason: Reason) -> Response:
        """The provider's words for a refusal."""
        with self._state.lock:
            self.tally.refusals += 1
        status, error, description = self._host.rules.errors[reason]
        return self._host.oauth_answer(
            request, {"error": error, "error_description": description}, status=status
        )

    def _exchange(self, app: App, fields: Mapping[str, Any]) -> tuple[Token, str, str | None]:
        key = digest(str(fields.get("code", "")))
        code = self._codes.get(key)
        if code is None or code.app != app or self._state.now() > code.made_at + CODE_SECONDS:
            raise RefusedError(Reason.CODE)
        if fields.get("redirect_uri", code.redirect_uri) != code.redirect_uri:
            raise RefusedError(Reason.REDIRECT)
        if code.challenge is not None and not _proves(str(fields.get("code_verifier", "")), code.challenge):
            raise RefusedError(Reason.VERIFIER)
        del self._codes[key]
        self.tally.exchanges += 1
        return self._issue(
            app, account=code.account, scopes=code.scopes, sso=code.sso, family=secrets.token_hex(6)
        )

    def _refresh(self, app: App, fields: Mapping[str, Any]) -> tuple[Token, str, str | None]:
        old = self._state.find_refresh(str(fields.get("refresh_token", "")))
        if old is None or old.client_id != app.client_id:
            raise RefusedError(Reason.REFRESH)
        if old.refresh_spent:
            self.tally.reuses += 1
            if self._host.rule("reuse_ends_family"):
                self.end_family(old)
        if not old.can_refresh(self._state.now()):
            raise RefusedError(Reason.REFRESH)
        self.tally.refreshes += 1
        if self._host.rule("single_use_refresh"):
            dead = self._state.now() if self._host.rule("old_access_dies") else old.revoked_at
            self._state.change_token(old, refresh_spent=True, revoked_at=dead)
        family = old.family or old.id
        return self._issue(app, account=old.account, scopes=old.scopes, sso=old.sso, family=family)

    def end_family(self, token: Token) -> None:
        """End every token of the authorization that a token came from."""
        for other in self._state.tokens():
            if other.family == token.family and other.revoked_at is None:
                self._state.revoke(other)

    def _issue(
        self, app: App, *, account: str, scopes: tuple[str, ...], sso: tuple[str, ...], family: str
    ) -> tuple[Token, str, str | None]:
        token, access, refresh = self._host.make_token(
            account, app.kind, scopes=scopes, sso=sso, family=family, client_id=app.client_id
        )
        limit = self._host.rules.live_limit
        if limit is not None:
            wanted = (account, app.client_id, set(scopes))
            alike = [
                other
                for other in self._state.live_tokens()
                if (other.account, other.client_id, set(other.scopes)) == wanted
            ]
            for other in alike[:-limit]:
                self._state.revoke(other)
        return token, access, refresh


def _target(request: Request) -> str:
    query = "&".join(part for part in request.query_string.split("&") if not part.startswith("prompt="))
    return f"{request.path}?{query}"


def _proves(verifier: str, challenge: str) -> bool:
    hashed = hashlib.sha256(verifier.encode()).digest()
    expected = base64.urlsafe_b64encode(hashed).rstrip(b"=")
    return hmac.compare_digest(expected, challenge.encode())
