"""The type that carries a plaintext and keeps quiet about it."""

from __future__ import annotations

import copy
import json
import logging
import pickle
import pprint
import traceback
from collections.abc import Callable
from dataclasses import asdict, dataclass
from typing import Any

import pytest
from django.template import Context, Engine
from hypothesis import given, settings
from hypothesis import strategies as st

from credentials.crypto.secret import Secret
from tests.credentials.crypto.tracebacks import shown_by

TOKEN = "ghp_wJalrXUtnFEMIK7MDENGbPxRfiCYzEXAMPLE"


@dataclass(frozen=True, kw_only=True, slots=True)
class Holder:
    user: str
    token: Secret


def test_a_secret_reveals_what_it_was_made_of() -> None:
    assert Secret(TOKEN).reveal() == TOKEN
    assert Secret(TOKEN).reveal_bytes() == TOKEN.encode()
    assert Secret(b"\x00\xff").reveal_bytes() == b"\x00\xff"


@settings(deadline=None, max_examples=100)
@given(st.text(st.characters(codec="utf-8")))
def test_any_text_comes_back_unchanged(text: str) -> None:
    assert Secret(text).reveal() == text


@pytest.mark.parametrize(
    "show",
    [
        repr,
        str,
        ascii,
        pprint.pformat,
        lambda secret: f"{secret}",
        lambda secret: f"{secret!r:>40}",
        lambda secret: f"{secret:>60}",
        lambda secret: "%s and %r" % (secret, secret),  # noqa: UP031 - the old spelling is what is tried
        "{0} {0!r}".format,
        lambda secret: repr([secret, {"token": secret}, (secret,)]),
        lambda secret: repr(Holder(user="alice", token=secret)),
        lambda secret: pprint.pformat(Holder(user="alice", token=secret)),
        lambda secret: json.dumps({"token": secret}, default=str),
        lambda secret: repr(dir(secret)),
        lambda secret: logging.makeLogRecord({"msg": "token %s", "args": (secret,)}).getMessage(),
        lambda secret: Engine().from_string("{{ secret }}").render(Context({"secret": secret})),
        lambda secret: Engine().from_string("{{ secret.reveal }}").render(Context({"secret": secret})),
        lambda secret: Engine().from_string("{{ secret.reveal_bytes }}").render(Context({"secret": secret})),
    ],
)
def test_no_way_of_printing_shows_the_plaintext(show: Callable[[Secret], str]) -> None:
    shown = show(Secret(TOKEN))

    assert TOKEN not in shown
    assert TOKEN[4:12] not in shown


def test_a_printed_secret_is_recognized_as_one() -> None:
    assert (repr(Secret(TOKEN)), str(Secret(TOKEN)), f"{Secret(TOKEN):>60}") == ("Secret(****)",) * 3


@pytest.mark.parametrize(
    "take",
    [
        *(lambda secret, number=number: pickle.dumps(secret, number) for number in range(6)),
        lambda secret: pickle.dumps(Holder(user="alice", token=secret)),
        copy.copy,
        copy.deepcopy,
        lambda secret: asdict(Holder(user="alice", token=secret)),
        lambda secret: secret.__getstate__(),
        lambda secret: secret.__reduce__(),
        json.dumps,
        iter,
        list,
        len,
        bytes,
        hash,
        vars,
        lambda secret: {secret},
        lambda secret: "g" in secret,
        lambda secret: secret[0],
        lambda secret: secret + "",
        memoryview,
        lambda secret: "".join([secret]),
    ],
)
def test_every_way_of_taking_it_apart_or_away_is_refused(take: Callable[[Any], object]) -> None:
    with pytest.raises(TypeError) as refusal:
        take(Secret(TOKEN))
    assert TOKEN not in str(refusal.value)


def test_equality_is_refused_and_names_the_way_to_compare() -> None:
    with pytest.raises(TypeError, match=r"matches\(\)"):
        bool(Secret(TOKEN) == Secret(TOKEN))
    with pytest.raises(TypeError, match=r"matches\(\)"):
        bool(Secret(TOKEN) != TOKEN)


def test_two_secrets_match_only_where_all_bytes_are_equal() -> None:
    assert Secret(TOKEN).matches(Secret(TOKEN.encode()))
    assert not Secret(TOKEN).matches(Secret(TOKEN[:-1]))
    assert not Secret(TOKEN).matches(Secret(TOKEN[:-1] + "x"))
    assert not Secret(TOKEN).matches(Secret(""))
    with pytest.raises(TypeError):
        Secret(TOKEN).matches(TOKEN)  # type: ignore[arg-type] # the mistake is what is tried


def test_only_an_empty_secret_is_false() -> None:
    assert Secret(TOKEN)
    assert Secret(b"\x00")
    assert not Secret("")


def test_leaving_the_context_overwrites_the_bytes() -> None:
    buffer = bytearray(TOKEN, "ascii")

    with Secret.from_buffer(buffer) as secret:
        assert secret.reveal() == TOKEN

    assert buffer == bytes(len(TOKEN))
    assert not secret
    for use in (secret.reveal, secret.reveal_bytes, lambda: secret.matches(Secret(""))):
        with pytest.raises(ValueError, match="wiped"):
            use()


def test_an_error_inside_the_context_overwrites_the_bytes_too() -> None:
    buffer = bytearray(TOKEN, "ascii")

    with pytest.raises(ZeroDivisionError), Secret.from_buffer(buffer):
        raise ZeroDivisionError

    assert buffer == bytes(len(TOKEN))


def test_a_wiped_secret_can_be_wiped_again() -> None:
    secret = Secret(TOKEN)
    secret.wipe()
    secret.wipe()
    assert repr(secret) == "Secret(****)"


def test_bytes_that_are_no_text_are_refused_without_showing_them() -> None:
    secret = Secret(TOKEN.encode() + b"\xff")

    with pytest.raises(ValueError, match="not text") as refusal:
        secret.reveal()

    assert TOKEN not in shown_by(refusal.value)


def test_text_without_a_utf8_form_is_refused_without_showing_it() -> None:
    with pytest.raises(ValueError, match="UTF-8") as refusal:
        Secret(TOKEN + "\ud800")

    assert TOKEN not in shown_by(refusal.value)


@pytest.mark.parametrize("value", [None, 7, bytearray(b"x"), Secret(TOKEN), ["x"]])
def test_a_secret_is_made_from_text_or_bytes_only(value: Any) -> None:
    with pytest.raises(TypeError):
        Secret(value)


def test_a_secret_has_no_room_for_stray_attributes() -> None:
    with pytest.raises(AttributeError):
        Secret(TOKEN).note = TOKEN  # type: ignore[attr-defined] # the mistake is what is tried


def test_a_traceback_with_local_variables_shows_no_plaintext() -> None:
    def fails(token: Secret) -> None:
        raise RuntimeError(f"cannot use {token}")

    with pytest.raises(RuntimeError) as failure:
        fails(Secret(TOKEN))

    report = traceback.TracebackException.from_exception(failure.value, capture_locals=True)
    assert TOKEN not in "".join(list(report.format())[-3:])
