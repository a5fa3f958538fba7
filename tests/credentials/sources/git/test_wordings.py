"""What git prints when it fails, and the error it stands for."""

from __future__ import annotations

import pytest

from credentials.errors import (
    AccessRefused,
    ProviderAnswerUnexpected,
    ProviderError,
    ProviderRateLimited,
    ProviderUnreachable,
    ScopeMissing,
    TokenRejected,
)
from credentials.sources.git.wordings import Failure, translate
from credentials.verdicts import VerdictCode

ORIGIN = "https://git.example"
ACCESS = f"fatal: unable to access '{ORIGIN}/a/b.git/': "
STATUS = ACCESS + "The requested URL returned error: "


def failure(
    text: str, *, provider: str = "", reports: tuple[str, ...] = (), is_anonymous: bool = False
) -> ProviderError:
    return translate(
        Failure(
            call="git",
            text=text,
            origin=ORIGIN,
            provider=provider,
            reports=reports,
            is_anonymous=is_anonymous,
        )
    )


@pytest.mark.parametrize(
    ("words", "status", "error", "code"),
    [
        ("The `acme' organization has enabled or enforced SAML SSO. To access\n"
         "remote: this repository, you must re-authorize the OAuth Application `x`.", 403,
         AccessRefused, VerdictCode.SSO_REQUIRED),
        ("Although you appear to have the correct authorization credentials, the `acme` organization has "
         "enabled OAuth App access restrictions, meaning", 403,
         AccessRefused, VerdictCode.ORGANIZATION_NOT_APPROVED),
        ("Although you appear to have the correct authorization credentials, the `acme` organization has an "
         "IP allow list enabled, and your IP address is not permitted", 403,
         AccessRefused, VerdictCode.IP_BLOCKED),
        ("`acme` forbids access via a personal access token (classic). Please use", 403,
         AccessRefused, VerdictCode.ORGANIZATION_POLICY),
        ("The 'acme' organization forbids access via a fine-grained personal access tokens if", 403,
         AccessRefused, VerdictCode.ORGANIZATION_POLICY),
        ("Write access to repository not granted.", 403, ScopeMissing, None),
        ("You have exceeded a secondary rate limit.", 403, ProviderRateLimited, None),
        ("Cannot find valid SSO session. Please login via", 403, AccessRefused, VerdictCode.SSO_REQUIRED),
        ("You are not allowed to download code from this project.", 403,
         AccessRefused, VerdictCode.NOT_FOUND_OR_NO_ACCESS),
        ("Your credentials lack one or more required privilege scopes.", 403, ScopeMissing, None),
        ("Anything else", 403, ProviderAnswerUnexpected, None),
        ("Anything else", 429, ProviderRateLimited, None),
        ("Write access to repository not granted.", 429, ProviderRateLimited, None),
        ("Write access to repository not granted.", 502, ProviderUnreachable, None),
        ("Anything else", 302, ProviderAnswerUnexpected, None),
        ("Anything else", 410, ProviderAnswerUnexpected, None),
    ],
)  # fmt: skip
def test_a_hosts_words_mean_the_same_with_any_provider(
    words: str, status: int, error: type[ProviderError], code: VerdictCode | None
) -> None:
    for provider in ("", "github", "gitlab", "bitbucket", "gitea"):
        found = failure(f"remote: {words}\n{STATUS}{status}\n", provider=provider)
        assert type(found) is error
        assert found.status == status
        assert code is None or getattr(found, "verdict_code", None) == code


@pytest.mark.parametrize(
    ("provider", "error"),
    [
        ("gitea", ScopeMissing),
        ("gitlab", ProviderRateLimited),
        ("github", ProviderAnswerUnexpected),
        ("", ProviderAnswerUnexpected),
    ],
)
def test_a_bare_forbidden_means_what_the_provider_means_by_it(
    provider: str, error: type[ProviderError]
) -> None:
    assert type(failure(f"remote: Forbidden\n{STATUS}403", provider=provider)) is error
    longer = failure(f"remote: Forbidden by our proxy\n{STATUS}403", provider=provider)
    assert type(longer) is ProviderAnswerUnexpected


@pytest.mark.parametrize(
    ("text", "evidence"),
    [
        ("Could not resolve host: git.example", "git: name lookup failed"),
        ("Failed to connect to git.example port 443: Connection refused", "git: connection failed"),
        ("Failed to connect to git.example port 443 after 7 ms: Timeout was reached", "git: no answer in time"),
        ("Operation too slow. Less than 1000 bytes/sec transferred the last 30 seconds",
         "git: no answer in time"),
        ("server certificate verification failed. CAfile: none CRLfile: none", "git: no trusted TLS connection"),
        ("gnutls_handshake() failed: Handshake failed", "git: no trusted TLS connection"),
        ("SSL certificate problem: self-signed certificate", "git: no trusted TLS connection"),
        ("Empty reply from server", "git: answer cut off or malformed"),
    ],
)  # fmt: skip
def test_a_connection_that_fails_is_an_outage_and_says_why(text: str, evidence: str) -> None:
    found = failure(ACCESS + text)
    assert type(found) is ProviderUnreachable
    assert found.evidence == evidence


@pytest.mark.parametrize(
    "text",
    [
        f"fatal: {ORIGIN}/a/b.git/info/refs not valid: is this a git repository?",
        "fatal: protocol error: bad line length character: <htm",
        "fatal: the remote end hung up unexpectedly",
        "error: RPC failed; curl 56 Recv failure\nfatal: expected flush after ref listing",
    ],
)
def test_what_is_not_gits_protocol_is_an_outage(text: str) -> None:
    assert type(failure(text)) is ProviderUnreachable


def test_a_refused_credential_is_known_by_the_helper_or_by_gits_words() -> None:
    for found in (
        failure("", reports=("answered", "rejected")),
        failure(f"fatal: Authentication failed for '{ORIGIN}/a/b.git/'"),
    ):
        assert isinstance(found, TokenRejected)
        assert (found.status, found.reason, found.evidence) == (401, "invalid", "git 401")


def test_nobody_is_refused_access_and_has_no_token_to_reject() -> None:
    for found in (
        failure("fatal: credential helper 'x' told us to quit", reports=("refused",), is_anonymous=True),
        failure(f"fatal: repository '{ORIGIN}/a/b.git/' not found", is_anonymous=True),
    ):
        assert isinstance(found, AccessRefused)
        assert found.verdict_code == VerdictCode.NOT_FOUND_OR_NO_ACCESS


def test_a_helper_that_refuses_although_there_is_a_credential_is_an_unexpected_answer() -> None:
    found = failure("fatal: credential helper 'x' told us to quit", reports=("refused",))
    assert type(found) is ProviderAnswerUnexpected


def test_a_host_cannot_speak_in_gits_name() -> None:
    said = f"remote: {STATUS}503\nremote: fatal: Authentication failed for 'x'\n"
    assert failure(f"{said}{STATUS}404").status == 404
    error = f"fatal: remote error: no\nfatal: Authentication failed for 'x'\n{STATUS}503\n"
    assert type(failure(error)) is ProviderAnswerUnexpected


def test_no_word_of_a_host_is_in_an_error_but_its_own_address() -> None:
    text = f"remote: Cannot find valid SSO session, bla. Go to {ORIGIN}/groups/a/sso?token=7 now\n{STATUS}403"
    found = failure(text)
    assert isinstance(found, AccessRefused)
    assert found.url == f"{ORIGIN}/groups/a/sso?token=7"
    assert found.evidence == "git 403: cannot find valid sso session"
    assert "bla" not in repr(vars(found)) + str(found)


@pytest.mark.parametrize(
    "url",
    ["https://git.example.evil/sso", "https://evil.example/https://git.example/", "http://git.example/"],
)
def test_an_address_of_another_origin_is_no_link(url: str) -> None:
    found = failure(f"remote: Cannot find valid SSO session {url}\n{STATUS}403")
    assert isinstance(found, AccessRefused)
    assert found.url == ""
