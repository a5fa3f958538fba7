"""What a library may be called, and who may do what with it."""

from __future__ import annotations

from pathlib import Path
from uuid import uuid4

import pytest
from django.contrib.auth.models import User
from django.utils import timezone

from credentials.errors import Conflict, InputInvalid, NotFound
from credentials.models import AuditEvent, Import, Library
from credentials.services.libraries import libraries
from tests import builders, storages

pytestmark = pytest.mark.django_db


def named(owner: User, text: str) -> Library:
    return libraries.named(actor=builders.SYSTEM, owner=owner, library=text, now=timezone.now())


def test_a_name_that_nobody_has_makes_a_library_and_the_same_again_means_it(alice: User, bob: User) -> None:
    made = named(alice, "  Use cases ")
    assert (made.name, named(alice, "USE CASES"), named(alice, str(made.pk))) == ("Use cases", made, made)
    assert named(bob, "Use cases") != made
    assert AuditEvent.objects.filter(action="library.created").count() == 2


def test_the_id_of_somebody_elses_library_is_nobodys(alice: User, bob: User) -> None:
    made = named(alice, "Cases")
    for identity in (made.pk, uuid4()):
        with pytest.raises(NotFound):
            named(bob, str(identity))
    assert Library.objects.count() == 1


def test_a_name_means_the_same_however_its_letters_are_composed(alice: User) -> None:
    assert named(alice, "Pru\u0308fung") == named(alice, "Pr\u00fcfung")
    assert Library.objects.get().name == "Pr\u00fcfung"


def test_nobody_who_left_gets_a_library(alice: User) -> None:
    User.objects.filter(pk=alice.pk).update(is_active=False)
    with pytest.raises(Conflict):
        named(alice, "Cases")
    assert not Library.objects.exists()


@pytest.mark.parametrize("text", ["", "   ", "a" * 101, "a\nb", "a\x00", "a\u202eb", f"my ghp_{'a' * 36}"])
def test_an_improper_name_is_refused_and_not_repeated(text: str, alice: User) -> None:
    with pytest.raises(InputInvalid) as refused:
        named(alice, text)
    assert refused.value.field == "library"
    assert "ghp_" not in str(refused.value)


def test_a_library_gets_another_name_unless_it_is_taken(alice: User) -> None:
    one, other = named(alice, "One"), named(alice, "Other")
    assert libraries.rename(actor=builders.SYSTEM, library=one, name="First").name == "First"
    with pytest.raises(Conflict):
        libraries.rename(actor=builders.SYSTEM, library=other, name="first")
    with pytest.raises(InputInvalid):
        libraries.rename(actor=builders.SYSTEM, library=other, name=str(uuid4()))
    assert list(Library.objects.order_by("name").values_list("name", flat=True)) == ["First", "Other"]


def test_a_library_is_removed_with_its_snapshots(alice: User, tmp_path: Path) -> None:
    library = storages.library(alice)
    storages.snapshot(library, tmp_path, {"a": "1"})
    libraries.remove(actor=builders.SYSTEM, library=library)
    assert not Library.objects.exists()
    assert AuditEvent.objects.get(action="library.removed").subject_name == "Cases"
    with pytest.raises(NotFound):
        libraries.remove(actor=builders.SYSTEM, library=library)


@pytest.mark.parametrize("state", ["queued", "running"])
def test_a_library_stays_while_an_import_of_it_is_under_way(state: str, alice: User) -> None:
    library, now = named(alice, "Cases"), timezone.now()
    Import.objects.create(
        library=library, source="zip", state=state, created_at=now, queued_at=now, actor_kind="user"
    )
    with pytest.raises(Conflict):
        libraries.remove(actor=builders.SYSTEM, library=library)
