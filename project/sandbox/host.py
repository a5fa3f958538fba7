"""What all emulated hosts have in common: the order of answering, git, archives, and making tokens."""

from __future__ import annotations

import secrets
import threading
from abc import ABC, abstractmethod
from collections import deque
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path
from typing import Any, ClassVar

from project.sandbox import control, git_http, oauth, repositories
from project.sandbox.journal import CallLog, Fault, Faults, wait
from project.sandbox.reasons import Reason
from project.sandbox.seed import App, Person, Repository
from project.sandbox.state import HostState
from project.sandbox.tokens import Token
from project.sandbox.wire import (
    Authorization,
    BadRequestError,
    Request,
    Response,
    Router,
    json_response,
    redirect,
    text_response,
)

BAN_WINDOW_SECONDS = 180
BAN_SECONDS = 3600
UNAUTHORIZED = 401


class Barrier(StrEnum):
    """What stands between a live token and a repository."""

    NOT_FOUND = "not_found"
    SCOPE = "scope"
    CONTENTS = "contents"
    NOT_APPROVED = "not_approved"
    SSO = "sso"
    CLASSIC_FORBIDDEN = "classic_forbidden"
    FINE_GRAINED_FORBIDDEN = "fine_grained_forbidden"
    LIFETIME = "lifetime"
    IP_BLOCKED = "ip_blocked"
    BLOCKED = "blocked"


@dataclass(frozen=True, kw_only=True, slots=True)
class TokenKind:
    """A kind of token: its shape, the user name git shows with it, and its life in seconds (None: no end).

    `limited_to` says what one token reaches: "" all its person can, "owner" one owner, "repository" one
    repository. A `dead` kind is made, but refused wherever it is shown.
    """

    make: Callable[[Person, float | None], str]
    username: str
    seconds: int | None = None
    make_refresh: Callable[[], str] | None = None
    refresh_seconds: int | None = None
    limited_to: str = ""
    dead: bool = False


class EmulatedHost(ABC):
    """One emulated host: a subclass adds its routes, its wordings and its rules.

    `home_path` is what the product's address of the host has beside the origin.
    """

    provider: ClassVar[str]
    title: ClassVar[str]
    server: ClassVar[str]
    realm: ClassVar[str]
    api_prefix: ClassVar[str]
    organization_switches: ClassVar[tuple[str, ...]]
    kinds: ClassVar[Mapping[str, TokenKind]]
    rules: ClassVar[oauth.Rules]
    usual_grant_type: ClassVar[str] = ""
    manage_paths: ClassVar[tuple[str, ...]] = ()
    home_path: ClassVar[str] = ""

    def __init__(self, *, state: HostState, port: int, repositories_root: Path) -> None:
        self.state = state
        self.slug = state.slug
        self.web_url = f"http://127.0.0.1:{port}"
        self.api_url = self.web_url + self.api_prefix
        self.neighbors: dict[str, str] = {}
        self.calls = CallLog()
        self.faults = Faults()
        self.router = Router()
        self.authorization_server = oauth.AuthorizationServer(self)
        self._repositories_root = repositories_root
        self._failures: deque[float] = deque()
        self._failures_lock = threading.Lock()
        self._banned_until = 0.0
        self.add_routes()
        for path in ("/", *self.manage_paths):
            self.router.add("GET", path, lambda request: redirect(f"{control.PREFIX}/"))

    # What each provider says for itself

    @abstractmethod
    def add_routes(self) -> None:
        """Fill the router with the REST resources and web pages."""

    @abstractmethod
    def not_found(self, request: Request) -> Response:
        """The answer to a path nobody knows."""

    @abstractmethod
    def finished(self, request: Request, response: Response) -> Response:
        """The answer with the headers that the provider puts on every one."""

    @abstractmethod
    def quota_spent(self, request: Request, quota: str) -> Response:
        """The answer when the primary or the secondary allowance is spent."""

    @abstractmethod
    def granted(self, app: App, asked: Sequence[str]) -> tuple[str, ...] | None:
        """The scopes a request for `asked` leads to; None if the provider refuses such a request."""

    @abstractmethod
    def barrier(self, token: Token, repository: Repository, *, contents: bool) -> Barrier | None:
        """What keeps a live token from a repository, or from the files in it; None if nothing does."""

    @abstractmethod
    def git_token(self, authorization: Authorization) -> Token | None:
        """The live token in a git client's user name and password, if the two go together here."""

    @abstractmethod
    def git_refusal(self, barrier: Barrier, token: Token | None, owner: str) -> Response:
        """What git is told."""

    @abstractmethod
    def git_challenge(self, *, failed: bool) -> Response:
        """401 with the realm; `failed`: credentials came, and were wrong."""

    @abstractmethod
    def push_refusal(self) -> Response:
        """What a push is told: nothing here can be written."""

    def oauth_answer(self, request: Request, data: Mapping[str, Any], *, status: int) -> Response:
        """An answer of the token endpoint."""
        headers = (("Cache-Control", "no-store"), ("Pragma", "no-cache"))
        return self.finished(request, json_response(data, status=status, headers=headers))

    @abstractmethod
    def token_facts(self, token: Token, access: str, refresh: str | None) -> dict[str, Any]:
        """The fields of a successful answer of the token endpoint."""

    def rule(self, name: str) -> bool:
        """A rule of the token endpoint, as the settings have it or else as the provider does."""
        said = getattr(self.state.settings, name)
        return said == "yes" if said else bool(getattr(self.rules, name))

    # The order of answering

    def handle(self, request: Request) -> Response:
        """Answer one request: the control page, a fault, git, or a route."""
        if control.is_control(request):
            return control.handle(self, request)
        fault = self.faults.take(request.path)
        if fault is not None:
            wait(fault)
        try:
            response = self._answer(request, fault)
        except BadRequestError as error:
            response = self.finished(request, json_response({"message": str(error)}, status=400))
        if fault is not None:
            response = fault.spoiled(response)
        response = response.with_headers((("Server", self.server),))
        self.calls.add(request, response, at=self.state.now())
        return response

    def _answer(self, request: Request, fault: Fault | None) -> Response:
        if fault is not None and fault.quota:
            return self.quota_spent(request, fault.quota)
        if fault is not None and fault.refuse:
            return self.authorization_server.refused(request, Reason(fault.refuse))
        if fault is not None and fault.answers:
            return fault.response()
        call = self.git_call(request)
        if call is not None:
            return self._git(request, call)
        found = self.router.find(request.method, request.path)
        if found is None:
            return self.not_found(request)
        handler, arguments = found
        return handler(request, **arguments)

    # Git

    def git_call(self, request: Request) -> git_http.GitCall | None:
        """The git call in a request, with the owner and the name of the seed; None if it is none."""
        return git_http.git_call(request)

    def _git(self, request: Request, call: git_http.GitCall) -> Response:
        if self.state.now() < self._banned_until:
            return text_response("Forbidden\n", status=403)
        repository = self.state.repository(call.owner, call.name)
        refusal = self._git_refusal(request, call, repository)
        if refusal is None and repository is not None:
            return git_http.serve(request, call, self.path_of(repository))
        response = refusal or self.git_refusal(Barrier.NOT_FOUND, request.token, call.owner)
        if response.status == UNAUTHORIZED and request.authorization.scheme != "none":
            self._count_failure()
        return response

    def _git_refusal(
        self, request: Request, call: git_http.GitCall, repository: Repository | None
    ) -> Response | None:
        shown = request.authorization
        if shown.scheme == "none":
            is_open = repository is not None and not repository.private and not call.is_push
            return None if is_open else self.git_challenge(failed=False)
        token = self.git_token(shown)
        if token is None:
            return self.git_challenge(failed=True)
        request.token = token
        if repository is None:
            return self.git_refusal(Barrier.NOT_FOUND, token, call.owner)
        barrier = self.barrier(token, repository, contents=True)
        if barrier is not None:
            return self.git_refusal(barrier, token, repository.owner)
        return self.push_refusal() if call.is_push else None

    def _count_failure(self) -> None:
        limit, now = self.state.settings.ban_after_failures, self.state.now()
        with self._failures_lock:
            self._failures.append(now)
            while self._failures and self._failures[0] < now - BAN_WINDOW_SECONDS:
                self._failures.popleft()
            if limit and len(self._failures) >= limit:
                self._banned_until = now + BAN_SECONDS
                self._failures.clear()

    def lift_ban(self) -> None:
        with self._failures_lock:
            self._failures.clear()
            self._banned_until = 0.0

    # Repositories

    def path_of(self, repository: Repository) -> Path:
        return repositories.path_of(repository, self._repositories_root)

    def clone_url(self, repository: Repository) -> str:
        return f"{self.web_url}/{repository.full_name}.git"

    def commit_of(self, repository: Repository, reference: str) -> str | None:
        return repositories.commit_of(reference or "main", self.path_of(repository))

    def archive(self, repository: Repository, reference: str, *, kind: str, prefix: str) -> Response | None:
        """A `zip` or `tar.gz` of a branch, tag or commit; None if there is no such thing.

        `{commit}` in the prefix becomes the full commit id, `{short}` its first seven digits.
        """
        commit = self.commit_of(repository, reference)
        if commit is None:
            return None
        folder = prefix.format(commit=commit, short=commit[:7])
        content = repositories.archive(self.path_of(repository), commit=commit, kind=kind, prefix=folder)
        headers = (
            ("Content-Type", "application/zip" if kind == "zip" else "application/x-gzip"),
            ("Content-Disposition", f"attachment; filename={folder}.{kind}"),
        )
        return Response(headers=headers, body=content)

    # Tokens

    def live(self, secret: str) -> Token | None:
        """The live token with this text, unless its kind is a dead one."""
        token = self.state.find(secret)
        if token is None or not token.is_live(self.state.now()):
            return None
        return None if self.kinds[token.kind].dead else token

    def within(self, token: Token, repository: Repository) -> bool:
        """Whether a repository is inside what the token is limited to."""
        return token.resource in (None, repository.owner, repository.full_name)

    def is_pending(self, account: str, resource: str | None) -> bool:
        """Whether a new token limited to `resource` has to wait for an owner's approval."""
        return False

    def make_token(
        self, account: str, kind: str, *, expires_in: float | None = None, **facts: Any
    ) -> tuple[Token, str, str | None]:
        """Make a token: its record, its text, and the text of its refresh token if its kind has one."""
        rules = self.kinds[kind]
        refresh = rules.make_refresh() if rules.make_refresh else None
        usual = (refresh and self.state.settings.access_seconds) or rules.seconds
        seconds = usual if expires_in is None else expires_in
        now = self.state.now()
        expires_at = None if seconds is None else now + seconds
        access = rules.make(self.state.people[account], expires_at)
        idle = self.state.settings.refresh_seconds or rules.refresh_seconds
        ends = now + idle if refresh and idle else None
        token = self.state.add_token(
            secret=access,
            refresh=refresh,
            account=account,
            kind=kind,
            expires_at=expires_at,
            refresh_expires_at=ends,
            **facts,
        )
        return token, access, refresh

    def mint(
        self,
        *,
        account: str,
        kind: str,
        scopes: Sequence[str],
        expires_in: float | None = None,
        organizations: Sequence[str] = (),
        resource: str | None = None,
    ) -> dict[str, Any]:
        """Make a token as its owner would by hand, and say how to use it.

        `resource` (an owner, or `owner/repository`) is for kinds that are limited to one; `organizations`
        are those whose single sign-on the token is authorized for. Raises ValueError.
        """
        if account not in self.state.people:
            raise ValueError(f"account: there are {', '.join(self.state.people)}")
        if kind not in self.kinds:
            raise ValueError(f"kind: {self.title} has {', '.join(self.kinds)}")
        rules, facts = self.kinds[kind], dict[str, Any]()
        if rules.limited_to:
            owner = next(iter(organizations), None) or self._own(account, rules.limited_to)
            facts["resource"] = resource or owner
            facts["pending"] = self.is_pending(account, facts["resource"])
        apps = [app for app in self.state.apps.values() if app.kind == kind]
        if apps:
            facts |= {"client_id": apps[0].client_id, "family": secrets.token_hex(6)}
        token, access, refresh = self.make_token(
            account, kind, expires_in=expires_in, scopes=tuple(scopes), sso=tuple(organizations), **facts
        )
        answer = {
            "id": token.id,
            "token": access,
            "username": rules.username or account,
            "email": self.state.people[account].email,
            "expires_at": token.expires_at,
        }
        return answer | ({"refresh_token": refresh} if refresh else {})

    def _own(self, account: str, limited_to: str) -> str:
        if limited_to == "owner":
            return account
        return next(item.full_name for item in self.state.repositories if item.owner == account)
