"""GitHub's resources for applications: checking and ending tokens, installations, GraphQL."""

from __future__ import annotations

import hashlib
import time
from typing import TYPE_CHECKING, Any

from project.sandbox.host import Barrier
from project.sandbox.hosts.github import words
from project.sandbox.hosts.github.rest import ORGANIZATION_READERS, known
from project.sandbox.seed import App, Organization, number
from project.sandbox.tokens import Token
from project.sandbox.wire import Handler, Request, Response, empty, json_response

if TYPE_CHECKING:
    from project.sandbox.hosts.github import GitHub

PREFIX = "/api/v3"
MOST_REVOKED = 1000


class Apps:
    """The routes and handlers of what an application, or anybody holding a token, may ask about tokens."""

    def __init__(self, host: GitHub) -> None:
        self._host = host
        self._state = host.state
        add, path = host.router.add, f"{PREFIX}/applications/{{client_id}}"
        add("POST", f"{path}/token", self._for_app(self.check))
        add("PATCH", f"{path}/token", self._for_app(self.reset))
        add("DELETE", f"{path}/token", self._for_app(self.revoke))
        add("DELETE", f"{path}/grant", self._for_app(self.end_grant))
        add("POST", f"{PREFIX}/credentials/revoke", self.revoke_leaked)
        add("GET", f"{PREFIX}/user/installations", host.rest.guarded(self.installations))
        add("POST", "/api/graphql", host.rest.guarded(self.graphql))

    def _for_app(self, handler: Handler) -> Handler:
        """Ask for the application's id and secret as Basic, and for one of its live tokens."""

        def admit(request: Request, *, client_id: str) -> Response:
            shown, app = request.authorization, self._state.apps.get(client_id)
            is_known = app is not None and (shown.username, shown.secret) == (
                app.client_id,
                app.client_secret,
            )
            if app is None or not is_known or self._state.settings.refuses_clients:
                return self._host.problem(request, 401, "Bad credentials")
            secret = request.fields().get("access_token")
            if not isinstance(secret, str):
                return self._host.problem(request, 422, "Validation Failed")
            token = self._host.live(secret)
            if token is None or token.client_id != client_id:
                return self._host.not_found(request)
            return self._host.finished(request, handler(token=token, secret=secret, app=app))

        return admit

    def _facts(self, token: Token, secret: str, app: App) -> dict[str, Any]:
        made = _when(token.created_at)
        return {
            "id": number(token.id),
            "url": f"{self._host.api_url}/authorizations/{number(token.id)}",
            "scopes": list(token.scopes),
            "token": secret,
            "token_last_eight": secret[-8:],
            "hashed_token": hashlib.sha256(secret.encode()).hexdigest(),
            "app": {"name": app.name, "url": self._host.web_url, "client_id": app.client_id},
            "note": None,
            "note_url": None,
            "updated_at": made,
            "created_at": made,
            "fingerprint": None,
            "expires_at": _when(token.expires_at) if token.expires_at else None,
            "user": self._host.rest.person_facts(self._state.people[token.account]),
            "installation": None,
        }

    def check(self, *, token: Token, secret: str, app: App) -> Response:
        return json_response(self._facts(token, secret, app))

    def reset(self, *, token: Token, secret: str, app: App) -> Response:
        self._state.revoke(token)
        new, text, _ = self._host.make_token(
            token.account,
            token.kind,
            scopes=token.scopes,
            sso=token.sso,
            family=token.family,
            client_id=app.client_id,
        )
        return json_response(self._facts(new, text, app))

    def revoke(self, *, token: Token, secret: str, app: App) -> Response:
        self._state.revoke_on_request(token)
        return empty()

    def end_grant(self, *, token: Token, secret: str, app: App) -> Response:
        for other in self._state.live_tokens():
            if (other.account, other.client_id) == (token.account, app.client_id):
                self._state.revoke(other)
        return empty()

    def revoke_leaked(self, request: Request) -> Response:
        """Anybody may report found tokens; who shows a credential with it is refused."""
        if request.authorization.scheme != "none":
            return self._host.problem(request, 403, "This endpoint does not accept authentication.")
        found = request.fields().get("credentials")
        if not isinstance(found, list) or not 0 < len(found) <= MOST_REVOKED:
            return self._host.problem(request, 422, "Validation Failed")
        for secret in found:
            token = self._host.live(str(secret)) or self._state.find_refresh(str(secret))
            if token is not None:
                self._state.revoke_on_request(token)
        return self._host.finished(request, json_response({}, status=202))

    def installations(self, request: Request) -> Response:
        token = known(request)
        if token.kind != "app_user_token":
            return self._host.problem(request, 403, words.NO_INSTALLATIONS)
        accounts = [self._host.rest.person_facts(self._state.people[token.account])]
        accounts += [
            self._host.rest.organization_facts(item) | {"type": "Organization"}
            for item in self._state.organizations_of(token.account)
            if item.approved
        ]
        listed = [
            {
                "id": number("installation", str(account["login"])),
                "account": account,
                "repository_selection": "all",
                "app_id": number(token.client_id or ""),
                "app_slug": self._slug(token),
                "html_url": f"{self._host.web_url}/organizations/{account['login']}/settings/installations",
                "target_type": account["type"],
                "permissions": {"contents": "read", "metadata": "read"},
                "suspended_at": None,
            }
            for account in accounts
        ]
        return json_response({"total_count": len(listed), "installations": listed})

    def _slug(self, token: Token) -> str:
        """The name in addresses of the application that a token belongs to."""
        apps = [item for item in self._state.apps.values() if item.kind == token.kind]
        mine = [item for item in apps if item.client_id == token.client_id] or apps
        return mine[0].name.lower().replace(" ", "-") if mine else ""

    # GraphQL: one query, `viewer { login organizations { nodes { login } } }`, whatever fields it names

    def graphql(self, request: Request) -> Response:
        token = known(request)
        query = str(request.fields().get("query", ""))
        viewer: dict[str, Any] = self._host.rest.person_facts(self._state.people[token.account])
        viewer |= {"databaseId": viewer["id"], "id": viewer["node_id"]}
        if "viewer" not in query:
            return json_response({"errors": [{"message": "The sandbox answers about the viewer only."}]})
        if "organizations" not in query:
            return json_response({"data": {"viewer": viewer}})
        if token.kind in {"oauth", "personal_token"} and not set(ORGANIZATION_READERS) & set(token.scopes):
            return json_response({"errors": [_insufficient(token)]})
        mine = self._state.organizations_of(token.account)
        if token.kind == "fine_grained_token":
            mine = [item for item in mine if item.name == token.resource]
        nodes, errors = [], []
        for position, item in enumerate(mine):
            barrier = self._host.organization_barrier(token, item)
            nodes.append(self._node(item) if barrier is None else None)
            if barrier is not None:
                errors.append(self._error(barrier, token, item, position))
        page = {"hasNextPage": False, "hasPreviousPage": False, "startCursor": None, "endCursor": None}
        viewer["organizations"] = {"totalCount": len(nodes), "pageInfo": page, "nodes": nodes}
        answer: dict[str, Any] = {"data": {"viewer": viewer}}
        return json_response(answer | ({"errors": errors} if errors else {}))

    def _node(self, item: Organization) -> dict[str, Any]:
        facts = self._host.rest.organization_facts(item)
        return {
            "login": item.name,
            "name": item.title,
            "databaseId": facts["id"],
            "id": facts["node_id"],
            "url": f"{self._host.web_url}/{item.name}",
        }

    def _error(self, barrier: Barrier, token: Token, item: Organization, position: int) -> dict[str, Any]:
        return {
            "type": "FORBIDDEN",
            "path": ["viewer", "organizations", "nodes", position],
            "extensions": {"saml_failure": barrier is Barrier.SSO},
            "locations": [{"line": 1, "column": 1}],
            "message": self._host.explanation(barrier, token, item.name),
        }


def _when(seconds: float) -> str:
    return time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(seconds))


def _insufficient(token: Token) -> dict[str, Any]:
    granted = ", ".join(f"'{scope}'" for scope in token.scopes)
    return {
        "type": "INSUFFICIENT_SCOPES",
        "locations": [{"line": 1, "column": 1}],
        "message": words.INSUFFICIENT_SCOPES.format(granted=granted),
    }
