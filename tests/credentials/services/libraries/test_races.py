"""Bringing the same content, removing libraries and tidying up at the same moment: no row is left without its
file, and no file without a row.

Each seed is one order in which statements follow one another; ``RACES=1000`` tries so many, ``RACES_FROM`` says
where to begin.
"""

from __future__ import annotations

import os
import random
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from pathlib import Path

import pytest
from django.contrib.auth.models import User
from django.db import connection
from django.utils import timezone

from credentials.errors import Conflict, NotFound
from credentials.models import Library, StoredTree
from credentials.services.libraries import libraries, trees
from credentials.services.libraries.snapshots import Added
from tests import builders, storages
from tests.interleaving import Interleaving, threads

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.timeout(0)]

RACES = int(os.environ.get("RACES", "15" if connection.vendor == "postgresql" else "3"))
FROM = int(os.environ.get("RACES_FROM", "0"))
FILES = {"a.md": "the same everywhere"}
_CAST = 4
Actor = tuple[str, Callable[[], object]]


@pytest.fixture
def pool() -> Iterator[ThreadPoolExecutor]:
    with threads(_CAST) as started:
        yield started


def bring(library: Library, tmp_path: Path) -> Added:
    """What an import does at its end (services/imports/running.py)."""
    for _turn in range(5):
        brought = storages.put(tmp_path, FILES)
        try:
            return storages.add(library, brought)
        except Conflict:
            continue
        finally:
            if brought.is_new:
                trees.discard(brought.archive)
    raise AssertionError("the content was removed again and again")


def cast_of(dice: random.Random, owners: tuple[User, User], tmp_path: Path) -> list[Actor]:
    now = timezone.now()
    old, first, second = (
        storages.library(owner, name)
        for owner, name in ((owners[0], "Old"), (owners[0], "First"), (owners[1], "Second"))
    )
    if dice.random() < 0.7:
        storages.snapshot(old, tmp_path, FILES)
    if dice.random() < 0.3:
        old.snapshots.all().delete()
    remover = partial(libraries.remove, actor=builders.SYSTEM, library=old)
    return [
        ("first", partial(bring, first, tmp_path)),
        ("second", partial(bring, second, tmp_path)),
        ("remover", remover if dice.random() < 0.7 else partial(trees.drop_unused, now=now)),
        ("duty", partial(trees.drop_unused, now=now)),
    ]


def test_rows_and_files_stay_together_whatever_the_order(
    alice: User, bob: User, pool: ThreadPoolExecutor, tmp_path: Path, storage: Path
) -> None:
    assert RACES > 0
    for seed in range(FROM, FROM + RACES):
        race(seed, (alice, bob), pool, tmp_path, storage)


def race(
    seed: int, owners: tuple[User, User], pool: ThreadPoolExecutor, tmp_path: Path, storage: Path
) -> None:
    dice, schedule = random.Random(seed), Interleaving(seed=seed)
    actors = cast_of(dice, owners, tmp_path)
    outcomes = schedule.run(pool, actors)
    told = f"seed {seed}: {dict(zip([name for name, _ in actors], outcomes, strict=True))}\n"
    told += "\n".join(schedule.steps)
    assert [one for one in outcomes if isinstance(one, BaseException)] == [], told
    tree = StoredTree.objects.get()
    assert tree.snapshots.filter(library__name__in=("First", "Second")).count() == 2, told
    assert storages.stored(storage) == [tree.archive], told
    Library.objects.all().delete()
    assert trees.drop_unused(now=timezone.now()) == 1, told
    assert storages.stored(storage) == [], told


def test_of_two_who_make_the_same_library_at_once_the_second_takes_the_firsts(
    alice: User, pool: ThreadPoolExecutor
) -> None:
    for seed in range(5):
        made = Interleaving(seed=seed).run(
            pool, [(who, partial(storages.library, alice, f"Cases {seed}")) for who in ("one", "other")]
        )
        assert made[0] == made[1] == Library.objects.get(name=f"Cases {seed}")


def test_of_two_who_remove_a_library_at_once_one_is_told_that_it_is_gone(
    alice: User, pool: ThreadPoolExecutor
) -> None:
    for seed in range(5):
        library = storages.library(alice)
        remove = partial(libraries.remove, actor=builders.SYSTEM, library=library)
        outcomes = Interleaving(seed=seed).run(pool, [("one", remove), ("other", remove)])
        assert [type(outcome) for outcome in outcomes if outcome is not None] == [NotFound]
