"""GitHub's pages that the product links to: ask for approval, approve, install, sign in by SSO, make a token."""

from __future__ import annotations

from typing import TYPE_CHECKING

from project.sandbox.pages import button, foreign_origin, form, hidden, is_own_origin, page, paragraph
from project.sandbox.seed import Organization
from project.sandbox.token_page import TokenPage
from project.sandbox.tokens import Token
from project.sandbox.wire import Request, Response, redirect

if TYPE_CHECKING:
    from project.sandbox.hosts.github import GitHub

APPROVALS = {
    "approve": {"approved": True, "request": "none"},
    "deny": {"approved": False, "request": "denied"},
    "remove": {"approved": False, "request": "none"},
}


class Pages:
    """The routes and handlers of these pages."""

    def __init__(self, host: GitHub) -> None:
        self._host = host
        self._state = host.state
        add = host.router.add
        add("GET", "/settings/connections/applications/{client_id}", self.connection)
        add("POST", "/settings/connections/applications/{client_id}", self.request_access)
        add("GET", "/organizations/{name}/settings/oauth_application_policy", self.policy)
        add("POST", "/organizations/{name}/settings/oauth_application_policy", self.decide)
        add("GET", "/organizations/{name}/settings/personal-access-token-requests", self.requests)
        add("POST", "/organizations/{name}/settings/personal-access-token-requests", self.approve_token)
        add("GET", "/apps/{slug}/installations/new", self.installation)
        add("POST", "/apps/{slug}/installations/new", self.install)
        add("GET", "/orgs/{name}/sso", self.single_sign_on)
        add("POST", "/orgs/{name}/sso", self.authorize_token)
        TokenPage(host, "/settings/tokens/new", kind="personal_token", separator=",")
        TokenPage(host, "/settings/personal-access-tokens/new", kind="fine_grained_token", separator=",")

    def connection(self, request: Request, *, client_id: str) -> Response:
        """What a person sees of an application they authorized: each organization, and the request button."""
        app = self._state.apps.get(client_id)
        if app is None:
            return page("Not found", status=404)
        rows = [self._access(request, item) for item in self._state.organizations.values()]
        return page(f"{app.name}: organization access", *rows)

    def _access(self, request: Request, item: Organization) -> str:
        if item.approved:
            return paragraph(f"{item.name}: granted \N{CHECK MARK}")
        if item.request != "none":
            return paragraph(f"{item.name}: {item.request}")
        return form(request.path, hidden("organization", item.name), button(f"Request access to {item.name}"))

    def request_access(self, request: Request, *, client_id: str) -> Response:
        if not is_own_origin(request):
            return foreign_origin()
        organization = self._state.organization(str(request.fields().get("organization", "")))
        if organization is not None and not organization.approved:
            self._state.set_organization(organization.name, {"request": "requested"}, ("request",))
        return redirect(request.path, status=303)

    def policy(self, request: Request, *, name: str) -> Response:
        """Where an owner approves or denies the application."""
        organization = self._state.organization(name)
        if organization is None:
            return page("Not found", status=404)
        state = "approved" if organization.approved else organization.request
        buttons = [
            button(f"{action.capitalize()} access", name="action", value=action) for action in APPROVALS
        ]
        return page(
            f"{organization.name}: third-party application access policy",
            paragraph(f"The application is: {state if state != 'none' else 'not approved'}."),
            form(request.path, *buttons),
        )

    def decide(self, request: Request, *, name: str) -> Response:
        if not is_own_origin(request):
            return foreign_origin()
        changes = APPROVALS.get(str(request.fields().get("action")))
        organization = self._state.organization(name)
        if organization is None or changes is None:
            return page("Not found", status=404)
        self._state.set_organization(organization.name, changes, ("approved", "request"))
        return redirect(request.path, status=303)

    def _waiting(self, name: str) -> list[Token]:
        tokens = self._state.tokens()
        return [item for item in tokens if item.pending and (item.resource or "").lower() == name.lower()]

    def requests(self, request: Request, *, name: str) -> Response:
        """Where an owner approves fine-grained tokens."""
        if self._state.organization(name) is None:
            return page("Not found", status=404)
        rows = [
            form(request.path, button(f"Approve a token of {item.account}", name="token", value=item.id))
            for item in self._waiting(name)
        ]
        return page(f"{name}: pending requests", *(rows or [paragraph("No token waits for approval.")]))

    def approve_token(self, request: Request, *, name: str) -> Response:
        if not is_own_origin(request):
            return foreign_origin()
        chosen = str(request.fields().get("token", ""))
        for token in self._waiting(name):
            if token.id == chosen:
                self._state.change_token(token, pending=False)
        return redirect(request.path, status=303)

    def installation(self, request: Request, *, slug: str) -> Response:
        """Where a GitHub App is installed into an organization."""
        without = [item.name for item in self._state.organizations.values() if not item.approved]
        buttons = [button(f"Install into {name}", name="organization", value=name) for name in without]
        rows = [form(request.path, *buttons)] if buttons else [paragraph("It is installed everywhere.")]
        return page(f"Install {slug}", *rows)

    def install(self, request: Request, *, slug: str) -> Response:
        if not is_own_origin(request):
            return foreign_origin()
        organization = self._state.organization(str(request.fields().get("organization", "")))
        if organization is not None:
            self._state.set_organization(organization.name, APPROVALS["approve"], ("approved", "request"))
        return redirect(request.path, status=303)

    def single_sign_on(self, request: Request, *, name: str) -> Response:
        """The page that X-GitHub-SSO points to: authorize one token for the organization."""
        token = self._state.token(request.query.get("authorization_request", ""))
        organization = self._state.organization(name)
        if organization is None:
            return page("Not found", status=404)
        if token is None:
            text = "You are signed in. A token is authorized on the page that its refusal names."
            return page(f"Single sign-on to {organization.name}", paragraph(text))
        if organization.name in token.sso:
            return page(f"Single sign-on to {organization.name}", paragraph("The token is authorized."))
        target = f"{request.path}?{request.query_string}"
        return page(
            f"Single sign-on to {organization.name}",
            paragraph(f"A token of {token.account} asks for access to {organization.name}."),
            form(target, button("Sign in and authorize the token", main=True)),
        )

    def authorize_token(self, request: Request, *, name: str) -> Response:
        if not is_own_origin(request):
            return foreign_origin()
        token = self._state.token(request.query.get("authorization_request", ""))
        organization = self._state.organization(name)
        if token is not None and organization is not None and organization.name not in token.sso:
            self._state.change_token(token, sso=(*token.sso, organization.name))
        return redirect(f"{request.path}?{request.query_string}", status=303)
