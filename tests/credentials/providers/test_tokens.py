"""Shapes of tokens. Checksum-valid ones are built here, so that no scanner takes them for real."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from credentials.providers.tokens import (
    MAXIMUM_LENGTH,
    SHAPES,
    UNKNOWN,
    Kind,
    atlassian_checksum,
    clean,
    github_checksum,
    gitlab_checksum,
    recognize,
)

GITHUB_VECTORS = (
    ("zQWBuTSOoRi4A9spHcVY5ncnsDkxkJ", "0mLq17"),
    ("aB7cD8eF9gH0jK1mN2pQ3rS4tU5vW6", "2M5jQM"),
    ("abcdefgh12345678903ZZZZZZZZZZZ", "0p5S0Y"),
)
GITLAB_ROUTABLE = "glpat-" + "AAAAAAAAAAAAAAAAAAAAAGM6MQpvOjEKdTphaQw" + ".01.13" + "19pi7um"
ATLASSIAN = "ATATT3" + "xFfGF0" + "a" * 40 + "="


def crc_atlassian(body: str) -> str:
    """The rule once more, bit by bit, as a second opinion."""
    crc = 0xFFFFFFFF
    for byte in body.encode():
        crc ^= byte
        for _ in range(8):
            crc = (crc >> 1) ^ (0xEDB88320 if crc & 1 else 0)
    return f"{crc ^ 0xFFFFFFFF:08X}"


@pytest.mark.parametrize("prefix", ["ghp_", "gho_", "ghu_", "ghs_", "ghr_"])
@pytest.mark.parametrize(("body", "checksum"), GITHUB_VECTORS)
def test_the_known_github_checksums_pass_whatever_the_prefix(prefix: str, body: str, checksum: str) -> None:
    assert github_checksum(prefix + body + checksum) is True


@pytest.mark.parametrize("position", range(4, 40))
def test_one_changed_character_breaks_a_github_checksum(position: int) -> None:
    body, checksum = GITHUB_VECTORS[0]
    text = "ghp_" + body + checksum
    changed = text[:position] + ("a" if text[position] != "a" else "b") + text[position + 1 :]
    assert github_checksum(changed) is False


@pytest.mark.parametrize(
    "text", ["ghp_short", "github_pat_" + "a" * 82, "ghs_1_eyJ.x.y", "glpat-" + "a" * 20]
)
def test_the_github_checksum_says_nothing_about_other_shapes(text: str) -> None:
    assert github_checksum(text) is None


def test_the_known_gitlab_checksum_passes_and_a_changed_last_character_fails() -> None:
    assert gitlab_checksum(GITLAB_ROUTABLE) is True
    assert gitlab_checksum(GITLAB_ROUTABLE[:-1] + "n") is False


def test_the_older_gitlab_shape_has_no_checksum() -> None:
    assert gitlab_checksum("glpat-" + "a" * 20) is None


def test_the_atlassian_checksum_agrees_with_a_second_computation() -> None:
    assert atlassian_checksum(ATLASSIAN + crc_atlassian(ATLASSIAN)) is True
    assert atlassian_checksum(ATLASSIAN + "00000000") is False
    assert atlassian_checksum("ATCTT3" + "a" * 40 + "=00000000") is None


RECOGNIZED = (
    ("ghp_" + "".join(GITHUB_VECTORS[0]), "github", Kind.PERSONAL_TOKEN, True, False),
    ("gho_" + "".join(GITHUB_VECTORS[1]), "github", Kind.OAUTH, True, False),
    ("ghu_" + "".join(GITHUB_VECTORS[2]), "github", Kind.APP_TOKEN, True, False),
    ("github_pat_" + "A" * 22 + "_" + "b" * 59, "github", Kind.FINE_GRAINED_TOKEN, True, False),
    ("ghs_" + "a" * 36, "github", None, False, False),
    ("ghs_12345_" + "eyJ.x-y.z", "github", None, False, False),
    ("ghr_" + "a" * 76, "github", None, False, False),
    ("glpat-" + "a" * 20, "gitlab", Kind.PERSONAL_TOKEN, True, False),
    (GITLAB_ROUTABLE, "gitlab", Kind.PERSONAL_TOKEN, True, False),
    ("gloas-" + "a" * 64, "gitlab", None, False, False),
    ("gldt-" + "a" * 20, "gitlab", None, False, False),
    ("glrt-" + "a" * 20, "gitlab", None, False, False),
    ("glrtr-" + "a" * 20, "gitlab", None, False, False),
    ("glcbt-64_" + "a" * 20, "gitlab", None, False, False),
    ("glptt-" + "a" * 40, "gitlab", None, False, False),
    ("glft-" + "a" * 20, "gitlab", None, False, False),
    ("glimt-" + "a" * 25, "gitlab", None, False, False),
    ("glagent-" + "a" * 50, "gitlab", None, False, False),
    ("glwt-" + "a" * 20, "gitlab", None, False, False),
    ("glsoat-" + "a" * 20, "gitlab", None, False, False),
    ("glffct-" + "a" * 20, "gitlab", None, False, False),
    (ATLASSIAN + "00000000", "bitbucket", Kind.API_TOKEN, True, False),
    ("ATCTT3" + "xFf" * 20 + "=00000000", "bitbucket", Kind.ACCESS_TOKEN, True, False),
    ("ATBB" + "a" * 32, "bitbucket", None, False, True),
    ("BBDC-" + "M" * 44, "bitbucket_server", Kind.PERSONAL_TOKEN, True, False),
    ("a" * 76 + "AZDO" + "abcd", "azure_devops", Kind.PERSONAL_TOKEN, True, False),
    ("fk_" + "AbCd1234" + "_" + "x" * 43, None, None, False, False),
    ("-----BEGIN OPENSSH PRIVATE KEY-----\nabc", None, None, False, False),
    ("ssh-ed25519 AAAAC3 me@here", None, None, False, False),
    ("ecdsa-sha2-nistp256 AAAA", None, None, False, False),
    ("sk-ssh-ed25519@openssh.com AAAA", None, None, False, False),
    ("https://github.com/settings/tokens", None, None, False, False),
    ("0123456789abcdef" * 2 + "01234567", None, Kind.PERSONAL_TOKEN, True, False),
    ("0123456789abc" * 4, None, Kind.PERSONAL_TOKEN, True, False),
    ("0123456789abcdef" * 4, None, Kind.OAUTH, True, False),
    ("eyJhbGciOiJSUzI1NiJ9.eyJnbnQiOjF9.c2ln", None, Kind.OAUTH, True, False),
)


@pytest.mark.parametrize(("text", "provider", "kind", "usable", "retired"), RECOGNIZED)
def test_every_shape_of_the_fact_sheet_is_recognized(
    text: str, provider: str | None, kind: Kind | None, usable: bool, retired: bool
) -> None:
    found = recognize(f"  {text}\n")
    assert (found.provider, found.kind, found.usable, found.retired) == (provider, kind, usable, retired)
    assert str(found.title)
    assert found is not UNKNOWN


def test_every_row_of_the_table_is_covered_by_an_example() -> None:
    titles = {str(recognize(text).title) for text, *_rest in RECOGNIZED}
    assert {str(shape.title) for shape in SHAPES} <= titles


@pytest.mark.parametrize("text", ["mycompany-abc123", "x" * 51, "A" * 52, "A" * 40, "", "glpat", "gh_"])
def test_an_unknown_shape_is_accepted_because_prefixes_are_configurable(text: str) -> None:
    assert recognize(text) is UNKNOWN
    assert UNKNOWN.usable
    assert not UNKNOWN.looks_mistyped


def test_a_truncated_token_looks_mistyped_and_stays_usable() -> None:
    found = recognize("ghp_" + "".join(GITHUB_VECTORS[0])[:-1])
    assert found.looks_mistyped
    assert found.usable


def test_a_wrong_checksum_is_only_a_warning() -> None:
    found = recognize("gho_16C7e42F292c6912E7710c838347Ae178B4a")
    assert found.checksum_ok is False
    assert found.complete is True
    assert found.looks_mistyped
    assert found.usable


@pytest.mark.parametrize("around", [" {} ", "\n{}\r\n", "\ufeff{}", "\u200b{}\u200b", "\t{}\u00a0"])
def test_what_copying_adds_around_a_token_is_stripped(around: str) -> None:
    assert clean(around.format("ghp_abc")) == "ghp_abc"
    assert recognize(around.format("ghp_abc")).provider == "github"


@pytest.mark.parametrize(
    "text",
    [
        "",
        "   ",
        "a b",
        "a\nb",
        "a\r\nb",
        "a\x00b",
        "a\x7fb",
        "tökén",
        "a\u200bb",
        "\u0430bc",
        "x" * (MAXIMUM_LENGTH + 1),
    ],
)
def test_what_can_be_no_token_is_not_cleaned_into_one(text: str) -> None:
    assert clean(text) is None


@settings(deadline=None, max_examples=300)
@given(st.text())
def test_no_text_breaks_the_recognition(text: str) -> None:
    assert recognize(text).title
    cleaned = clean(text)
    assert cleaned is None or all("!" <= character <= "~" for character in cleaned)


def test_the_kinds_are_those_of_the_contract_and_each_has_a_title() -> None:
    assert {kind.value for kind in Kind} == {
        "oauth",
        "personal_token",
        "fine_grained_token",
        "app_token",
        "access_token",
        "api_token",
    }
    assert all(str(kind.title) for kind in Kind)
