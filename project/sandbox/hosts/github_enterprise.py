"""The emulated GitHub Enterprise Server: a GitHub without restrictions for OAuth apps."""

from __future__ import annotations

import dataclasses

from project.sandbox.host import Barrier
from project.sandbox.hosts.github import GitHub
from project.sandbox.pages import page, paragraph
from project.sandbox.seed import Organization
from project.sandbox.tokens import Token
from project.sandbox.wire import Request, Response

VERSION = "3.19.2"


class GitHubEnterprise(GitHub):
    """Whatever the seed says, every organization lets every application in.

    Its people have no user tokens of GitHub Apps here.
    """

    title = "GitHub Enterprise Server"
    organization_switches = tuple(
        name for name in GitHub.organization_switches if name not in {"approved", "request"}
    )
    kinds = {name: kind for name, kind in GitHub.kinds.items() if name != "app_user_token"}

    def add_routes(self) -> None:
        # The first route that fits answers: these two take the place of pages about approval.
        add = self.router.add
        add("GET POST", "/organizations/{name}/settings/oauth_application_policy", self.no_policy)
        add("GET", "/settings/connections/applications/{client_id}", self.authorized)
        super().add_routes()

    def organization_barrier(self, token: Token, organization: Organization) -> Barrier | None:
        return super().organization_barrier(token, dataclasses.replace(organization, approved=True))

    def no_policy(self, request: Request, *, name: str) -> Response:
        return page("Not found", status=404)

    def authorized(self, request: Request, *, client_id: str) -> Response:
        app = self.state.apps.get(client_id)
        if app is None:
            return page("Not found", status=404)
        return page(app.name, paragraph("No organization has to approve an application here."))

    def finished(self, request: Request, response: Response) -> Response:
        return super().finished(request, response).with_headers((("X-GitHub-Enterprise-Version", VERSION),))
