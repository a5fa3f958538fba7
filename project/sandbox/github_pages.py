"""GitHub's pages that the product links to: ask for approval, approve, sign in by SSO, make a token."""

from __future__ import annotations

from typing import TYPE_CHECKING

from project.sandbox.pages import button, foreign_origin, form, hidden, is_own_origin, page, paragraph
from project.sandbox.seed import Organization
from project.sandbox.token_page import TokenPage
from project.sandbox.wire import Request, Response, redirect

if TYPE_CHECKING:
    from project.sandbox.github import GitHub

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

    def single_sign_on(self, request: Request, *, name: str) -> Response:
        """The page that X-GitHub-SSO points to: authorize one token for the organization."""
        token = self._state.token(request.query.get("authorization_request", ""))
        organization = self._state.organization(name)
        if token is None or organization is None:
            return page("Not found", status=404)
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
