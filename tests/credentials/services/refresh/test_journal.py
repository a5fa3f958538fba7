"""The journal: room first, then the answer, and never a plain token."""

from __future__ import annotations

from pathlib import Path
from uuid import uuid4

import pytest
from django.utils import timezone

from credentials.services.refresh import journal
from credentials.services.refresh.journal import Pair


def made(**changed: object) -> Pair:
    values: dict[str, object] = {
        "credential": uuid4(),
        "owner_id": "7",
        "owner_name": "alice",
        "host": uuid4(),
        "kind": "oauth",
        "account_name": "octo-alice",
        "oauth_redirect_uri": "http://testserver/back/",
        "generation": 3,
        "by": "place:1:2#abc",
        "key_id": "0" * 16,
        "access_envelope": bytes(range(256)),
        "refresh_envelope": b"r" * 200,
        "fingerprint": b"f" * 32,
        "received_at": timezone.now(),
        "expires_at": timezone.now(),
        "refresh_ends_at": None,
        "scopes": ("read_user",),
    }
    return Pair(**{**values, **changed})  # type: ignore[arg-type]  # as declared there


@pytest.mark.parametrize("scopes", [None, (), ("a", "b")])
def test_what_is_written_is_read_again(scopes: tuple[str, ...] | None) -> None:
    pair = made(scopes=scopes)
    entry = journal.prepare("one")
    assert list(journal.entries()) == []
    entry.write(pair)
    ((again, read),) = journal.entries()
    assert read == pair
    again.remove()
    assert list(journal.folder().iterdir()) == []


def test_the_folder_and_its_files_are_for_their_owner_only() -> None:
    entry = journal.prepare("one")
    assert journal.folder().stat().st_mode & 0o777 == 0o700
    assert entry.path.stat().st_mode & 0o777 == 0o600
    entry.write(made())
    assert entry.path.stat().st_mode & 0o777 == 0o600


def test_the_room_is_taken_before_anything_is_asked() -> None:
    assert journal.prepare("one").path.stat().st_size >= 16_384


def test_the_same_refresh_is_not_written_down_twice_at_once() -> None:
    journal.prepare("one")
    with pytest.raises(FileExistsError):
        journal.prepare("one")


def test_a_link_is_not_followed(tmp_path: Path) -> None:
    target = tmp_path / "precious"
    target.write_text("precious")
    journal.folder().mkdir(mode=0o700)
    (journal.folder() / "one.open").symlink_to(target)
    with pytest.raises(OSError, match=r"one\.open"):
        journal.prepare("one")
    assert target.read_text() == "precious"


def test_a_file_that_cannot_be_read_stays_and_is_named_and_the_others_are_read() -> None:
    journal.prepare("good").write(made())
    (journal.folder() / "bad.json").write_text('{"credential": 7}')
    assert [entry.path.name for entry, _pair in journal.entries()] == ["good.json"]
    assert journal.unreadable() == ["bad.json"]


def test_without_a_folder_there_is_nothing_in_it() -> None:
    assert list(journal.entries()) == []
    assert journal.unreadable() == []
