"""The frozen facts that providers answer with, and what they are asked about."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum

from credentials.crypto.secret import Secret
from credentials.providers.tokens import Kind
from credentials.verdicts import Text


@dataclass(frozen=True, kw_only=True, slots=True)
class HostFacts:
    """The part of a Host row that providers read. URLs carry no trailing slash."""

    slug: str
    name: str
    web_url: str
    api_url: str
    client_id: str = ""


@dataclass(frozen=True, kw_only=True, slots=True)
class Login:
    """What a person gave to prove an account: the token, and what some providers want beside it."""

    token: Secret
    kind: Kind
    email: str = ""
    username: str = ""


@dataclass(frozen=True, kw_only=True, slots=True)
class Identity:
    """Who the provider says a token belongs to: the immutable id, and the name as of now.

    ``account_name`` is empty where the token's scopes show the id only (GitLab's ``read_repository``).
    """

    account_id: str
    account_name: str = ""

    @property
    def label(self) -> str:
        """The name, or the id where there is none."""
        return self.account_name or f"#{self.account_id}"


class OrganizationState(StrEnum):
    """What one organization answers through one credential (contract, section 4)."""

    ACCESSIBLE = "accessible"
    NOT_APPROVED = "not_approved"
    REQUESTED = "requested"
    DENIED = "denied"
    SSO_REQUIRED = "sso_required"
    POLICY_BLOCKED = "policy_blocked"
    TOKEN_PENDING = "token_pending"  # noqa: S105  # a state, not a password
    IP_BLOCKED = "ip_blocked"
    NO_MEMBERSHIP = "no_membership"
    UNKNOWN = "unknown"


@dataclass(frozen=True, kw_only=True, slots=True)
class OrganizationFact:
    """One organization's answer: ``key`` as in repository addresses, ``evidence`` which call said so."""

    key: str
    name: str
    state: OrganizationState
    evidence: str
    url: str = ""


@dataclass(frozen=True, kw_only=True, slots=True)
class Verification:
    """What one look at the provider proved about a token.

    The token is authentic. ``identity`` is None where its scopes do not let anyone ask; ``scopes`` is
    None where the provider does not tell; ``missing_scopes`` names what reading a repository would need
    and the token is known to lack. ``evidence`` lists the calls and their statuses.
    """

    kind: Kind
    identity: Identity | None
    scopes: tuple[str, ...] | None
    missing_scopes: tuple[str, ...] = ()
    expires_at: datetime | None = None
    oauth_client_id: str = ""
    evidence: tuple[str, ...] = ()


@dataclass(frozen=True, kw_only=True, slots=True)
class GitLogin:
    """User name and password for Git over HTTPS (Basic authentication)."""

    username: str
    password: Secret


@dataclass(frozen=True, kw_only=True, slots=True)
class OAuthEndpoints:
    """Where and how the authorization code flow runs (RFC 6749 section 4.1, RFC 7636)."""

    authorize_url: str
    token_url: str
    scopes: tuple[str, ...]
    scope_delimiter: str = " "
    client_in_basic_auth: bool = False


@dataclass(frozen=True, kw_only=True, slots=True)
class ScopeNeed:
    """One scope a person is asked for, and why. ``required`` is False where it only adds comfort."""

    scope: str
    reason: Text
    required: bool


@dataclass(frozen=True, kw_only=True, slots=True)
class TokenGuide:
    """How to make a token by hand at this host, in the wording of the provider's present screens.

    ``checked_on`` is the day on which its words were compared with those screens. ``fields`` are the form's
    fields in order, out of ``token``, ``email``, ``username``.
    """

    create_url: str
    manage_url: str
    kind_title: Text
    steps: tuple[Text, ...]
    scopes: tuple[ScopeNeed, ...]
    checked_on: str
    fields: tuple[str, ...] = ("token",)


class Revocation(StrEnum):
    """What became of a token that the provider was asked to kill (contract, section 3)."""

    REVOKED = "revoked"
    ALREADY_INVALID = "already_invalid"
    MANUAL = "manual"
    PENDING = "pending"


@dataclass(frozen=True, kw_only=True, slots=True)
class RevocationResult:
    """The outcome, and the page where a person finishes it when it is ``MANUAL``."""

    outcome: Revocation
    manual_url: str = ""


@dataclass(frozen=True, kw_only=True, slots=True)
class RepositoryPlace:
    """A repository as its host names it, read out of an address and not yet asked for.

    ``owner`` is the account, organization, group or workspace it belongs to, ``path`` the whole name that
    the host knows it by (``acme/cases``; ``group/sub/cases``), and ``organizations`` every organization
    whose rules could apply, the nearest first. All in the case they were typed in.
    """

    owner: str
    path: str
    organizations: tuple[str, ...]

    @property
    def nearest_and_topmost(self) -> tuple[str, ...]:
        """The organizations with rules of their own; a group of groups may have many between them."""
        return tuple(dict.fromkeys((*self.organizations[:1], *self.organizations[-1:])))

    @property
    def key(self) -> str:
        """The one spelling by which what is known of the repository is found again."""
        return self.path.lower()


@dataclass(frozen=True, kw_only=True, slots=True)
class RepositoryFact:
    """A repository that a credential, or anybody, was shown.

    ``private`` is None where the host does not tell. ``reads_contents`` is True where the answer also proves
    that Git may read the files, and None where only Git itself can tell. ``clone_url`` is the host's
    address for Git over HTTPS, without a user name; ``default_branch`` is empty where it is not told.
    """

    path: str
    clone_url: str
    private: bool | None
    default_branch: str
    evidence: str
    reads_contents: bool | None = True


@dataclass(frozen=True, kw_only=True, slots=True)
class RepositoryPage:
    """One page of the repositories a credential can list; ``next_cursor`` is empty on the last one."""

    repositories: tuple[RepositoryFact, ...]
    next_cursor: str = ""


@dataclass(frozen=True, kw_only=True, slots=True)
class OrganizationLinks:
    """The host's pages that mend an organization's answer; each is empty where there is none.

    ``request``: a member asks for approval. ``approve``: an owner grants it. ``sso``: single sign-on.
    ``token``: a form for a token of the kind that the organization lets in.
    """

    request: str = ""
    approve: str = ""
    sso: str = ""
    token: str = ""
