"""GitHub's sentences: every barrier that REST can meet has one, and it fills in."""

from __future__ import annotations

from project.sandbox.host import Barrier
from project.sandbox.hosts.github.words import EXPLANATIONS


def test_every_barrier_that_github_explains_has_a_sentence_without_gaps() -> None:
    hidden = {Barrier.NOT_FOUND, Barrier.SCOPE, Barrier.BLOCKED}
    assert set(EXPLANATIONS) == set(Barrier) - hidden
    for text in EXPLANATIONS.values():
        filled = text.format(
            owner="acme", kind="OAuth token", resource="integration", days=7, url="http://h/"
        )
        assert "{" not in filled
