"""Tokens in fields that people read are noticed; ordinary words, and commits, are not."""

from __future__ import annotations

import pytest

from credentials.providers.free_text import has_token


@pytest.mark.parametrize(
    "text",
    [
        "ghp_" + "a" * 36,
        "import with glpat-" + "x" * 20,
        "fatal: could not read from 'https://x-access-token:gho_" + "a" * 36 + "@github.com/acme/cases'",
        "token=ATATT3" + "x" * 60,
        "fk_abcdefghijklmnop_" + "x" * 51,
        '{"token":"github_pat_' + "a" * 82 + '"}',
    ],
)
def test_a_token_is_noticed_wherever_it_stands(text: str) -> None:
    assert has_token(text)


@pytest.mark.parametrize(
    "text",
    [
        "",
        "import 42",
        "commit " + "0123456789abcdef" * 2 + "01234567",
        "HTTP 401 from https://github.com/acme/cases.git/info/refs?service=git-upload-pack",
        "build-3f1c9a52-6f0e-4f6b-9a57-0c7d8a1e2b34",
        "ssh-agent has no identities",
        "nächtlicher Import der Bibliothek",
    ],
)
def test_ordinary_words_are_let_through(text: str) -> None:
    assert not has_token(text)
