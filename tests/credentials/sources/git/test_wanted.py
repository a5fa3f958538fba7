"""Which names may be asked for: git's own rules, judged before git is started."""

from __future__ import annotations

import subprocess

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from credentials.errors import RefNotFound
from credentials.sources.git import wanted
from credentials.sources.git.invocation import Journey
from tests.credentials.sources.git_server import COMMIT, remote_at

NOWHERE = Journey(remote=remote_at("http://127.0.0.1:1/a/b"), login=None)


@pytest.mark.parametrize("ref", [COMMIT, COMMIT.upper(), "ab" * 32])
def test_a_whole_commit_id_is_not_asked_for(ref: str) -> None:
    found = wanted.find(NOWHERE, ref, timeout_seconds=1)
    assert (found.ref, found.commit, found.source) == ("", ref.lower(), ref.lower())


@pytest.mark.parametrize(
    "ref", ["a..b", "-x", "@", "a b", "refs/heads/", "a.lock", "x" * 1001, "\u202e", "\ud800"]
)
def test_what_is_no_name_says_so(ref: str) -> None:
    with pytest.raises(RefNotFound, match="nor a whole commit id"):
        wanted.find(NOWHERE, ref, timeout_seconds=1)


@settings(max_examples=150, deadline=None)
@given(st.text(st.sampled_from("a./@{-~^:?*[\\ \x7f\n\u00e9lock"), max_size=8))
def test_every_name_that_is_asked_for_is_one_to_git(ref: str) -> None:
    try:
        names = wanted.full_names(ref)
    except RefNotFound:
        return
    for name in names:
        done = subprocess.run(["git", "check-ref-format", name], check=False)
        assert done.returncode == 0, name


@pytest.mark.parametrize(
    "ref",
    [
        "main",
        "feature/x",
        "v1.0",
        "a@b",
        "release-1",
        "\u00fcber",
        "a{b",
        "x.locked",
        "HEAD",
        "refs/pull/1/head",
    ],
)
def test_usual_names_are_names(ref: str) -> None:
    assert wanted.full_names(ref) == (f"refs/heads/{ref}", f"refs/tags/{ref}")
    assert wanted.full_names(f"refs/tags/{ref}") == (f"refs/tags/{ref}",)
