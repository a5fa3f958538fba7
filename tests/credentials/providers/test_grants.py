"""Reading what token endpoints send."""

from __future__ import annotations

import pytest

from credentials.errors import ProviderAnswerUnexpected
from credentials.providers.grants import read_grant


@pytest.mark.parametrize(
    ("granted", "scopes"),
    [
        ({"scope": "read:org,repo"}, ("read:org", "repo")),
        ({"scope": "repo, read:org"}, ("repo", "read:org")),
        ({"scope": "read_repository read_user"}, ("read_repository", "read_user")),
        ({"scopes": "account repository"}, ("account", "repository")),
        ({"scopes": ["account", "repository"]}, ("account", "repository")),
        ({"scope": "repository", "scopes": "old"}, ("repository",)),
        ({"scope": ""}, ()),
        ({"scope": "repo repo"}, ("repo",)),
        ({"scope": 7}, None),
        ({}, None),
    ],
)
def test_scopes_are_read_in_every_spelling(
    granted: dict[str, object], scopes: tuple[str, ...] | None
) -> None:
    assert read_grant({"access_token": "abc", **granted}).scopes == scopes


def test_a_full_grant_is_read() -> None:
    grant = read_grant(
        {
            "access_token": "new-access",
            "refresh_token": "new-refresh",
            "token_type": "Bearer",
            "expires_in": 28800,
            "refresh_token_expires_in": "15811200",
        }
    )
    assert grant.access.reveal() == "new-access"
    assert grant.refresh is not None
    assert grant.refresh.reveal() == "new-refresh"
    assert (grant.expires_in, grant.refresh_expires_in) == (28800, 15811200)
    assert "new-" not in repr(grant)


@pytest.mark.parametrize("seconds", [None, 0, -1, True, "soon", 1.5, 1 << 40, [7200]])
def test_an_odd_lifetime_is_no_lifetime(seconds: object) -> None:
    assert read_grant({"access_token": "abc", "expires_in": seconds}).expires_in is None


@pytest.mark.parametrize("token", [None, "", 7, [], "a b", "a\nb", "a\r\nX: y", " abc", "tök", "x" * 5000])
def test_what_could_not_travel_in_a_header_is_no_token(token: object) -> None:
    with pytest.raises(ProviderAnswerUnexpected):
        read_grant({"access_token": token})
    assert read_grant({"access_token": "abc", "refresh_token": token}).refresh is None


def test_a_token_of_another_type_is_refused() -> None:
    with pytest.raises(ProviderAnswerUnexpected):
        read_grant({"access_token": "abc", "token_type": "mac"})


@pytest.mark.parametrize(
    ("error", "evidence"),
    [
        ("invalid_client", "oauth: invalid_client"),
        ("<b>x</b>", "oauth: unreadable"),
        (["x"], "oauth: unreadable"),
    ],
)
def test_the_evidence_names_the_error_code_and_nothing_else(error: object, evidence: str) -> None:
    answer = {"error": error, "error_description": "token abc-secret-text"}
    with pytest.raises(ProviderAnswerUnexpected) as caught:
        read_grant(answer)
    assert caught.value.evidence == evidence
    assert "abc-secret-text" not in repr(caught.value)
