"""Signatures as Standard Webhooks has them, and secrets that are long and never the same."""

from __future__ import annotations

import base64

from credentials.crypto.secret import Secret
from credentials.crypto.webhook_signature import new_secret, sign


def test_the_example_of_the_specification_comes_out() -> None:
    """From https://github.com/standard-webhooks/standard-webhooks, the test vectors of its libraries."""
    secret = Secret("whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw")
    signature = sign(
        secret,
        message_id="msg_p5jXN8AQM9LWM0D4loKWxJek",
        timestamp=1614265330,
        body=b'{"test": 2432232314}',
    )
    assert signature == "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE="


def test_id_time_and_body_are_all_signed() -> None:
    secret = new_secret()
    usual = {"message_id": "a", "timestamp": 1, "body": b"{}"}
    others = [{**usual, "message_id": "b"}, {**usual, "timestamp": 2}, {**usual, "body": b"{ }"}]
    made = {sign(secret, **given) for given in [usual, *others]}  # type: ignore[arg-type]  # as named
    assert len(made) == 4


def test_a_secret_holds_32_random_bytes() -> None:
    made = [new_secret().reveal() for _number in range(50)]
    assert len(set(made)) == 50
    for text in made:
        assert text.startswith("whsec_")
        assert len(base64.b64decode(text.removeprefix("whsec_"), validate=True)) == 32
