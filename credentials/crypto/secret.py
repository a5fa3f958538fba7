"""The type that carries a plaintext and keeps quiet about it."""

from __future__ import annotations

import hmac
from types import TracebackType
from typing import ClassVar, NoReturn, Self, final


class NotSerializable:
    """Base of everything that holds a secret or a key: refuses pickle, copy and deepcopy with TypeError.

    A copy in a cache, a queue or a session is a copy nobody counts, wipes or audits.
    """

    __slots__ = ()

    def __reduce__(self) -> NoReturn:
        raise TypeError(f"{type(self).__name__} objects are never copied or serialized")

    def __getstate__(self) -> NoReturn:
        raise TypeError(f"{type(self).__name__} objects are never copied or serialized")


@final
class Secret(NotSerializable):
    """One plaintext in memory: a token, a refresh token, a client secret or a raw key.

    Every way of printing gives ``Secret(****)``. ``==``, hashing, iterating, pickling and copying raise
    TypeError, so that no log, session, cache or test report receives it by accident. As a context manager
    it overwrites its bytes at the end; a ``str`` or ``bytes`` once revealed cannot be overwritten, so
    reveal late and keep the result short.
    """

    __slots__ = ("_buffer",)

    # Without this, Python would fall back to __getitem__ or say less clearly what went wrong.
    __iter__: ClassVar[None] = None

    def __init__(self, value: str | bytes) -> None:
        """Hold ``value``; text is kept as UTF-8.

        Raises TypeError for any other type, ValueError for text that has no UTF-8 form.
        """
        if isinstance(value, str):
            encoded = _encoded(value)
        elif isinstance(value, bytes):
            encoded = bytearray(value)
        else:
            raise TypeError("a Secret is made from str or bytes")
        if encoded is None:
            del value
            raise ValueError("this text has no UTF-8 form")
        self._buffer: bytearray | None = encoded

    @classmethod
    def from_buffer(cls, buffer: bytearray) -> Self:
        """Take over ``buffer`` without a copy; the caller must not use it again."""
        secret = cls(b"")
        secret._buffer = buffer
        return secret

    def reveal(self) -> str:
        """The plaintext as text. Raises ValueError where it is not UTF-8, or was wiped."""
        text = _decoded(self._held())
        if text is None:
            raise ValueError("this secret is not text")
        return text

    def reveal_bytes(self) -> bytes:
        """The plaintext as bytes. Raises ValueError where it was wiped."""
        return bytes(self._held())

    # Django's template engine calls any callable it meets, so {{ secret.reveal }} would print the
    # plaintext; it leaves alone what carries this mark.
    reveal.__dict__["alters_data"] = True
    reveal_bytes.__dict__["alters_data"] = True

    def matches(self, other: Secret) -> bool:
        """Whether both hold the same bytes, in a time that depends on the length only."""
        if not isinstance(other, Secret):
            raise TypeError("a Secret is compared with another Secret only")
        return hmac.compare_digest(self._held(), other._held())

    def wipe(self) -> None:
        """Overwrite the bytes held here; every later reveal raises ValueError."""
        if self._buffer is not None:
            self._buffer[:] = bytes(len(self._buffer))
            self._buffer = None

    def _held(self) -> bytearray:
        if self._buffer is None:
            raise ValueError("this secret was wiped")
        return self._buffer

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.wipe()

    def __bool__(self) -> bool:
        return bool(self._buffer)

    def __eq__(self, other: object) -> NoReturn:
        raise TypeError("compare secrets with matches(): == takes a time that tells how much is equal")

    def __ne__(self, other: object) -> NoReturn:
        raise TypeError("compare secrets with matches(): != takes a time that tells how much is equal")

    def __hash__(self) -> NoReturn:
        raise TypeError("a Secret is not hashable: a hash of a short secret tells what it is")

    def __repr__(self) -> str:
        return "Secret(****)"

    def __str__(self) -> str:
        return "Secret(****)"

    def __format__(self, spec: str) -> str:
        return "Secret(****)"


def _encoded(text: str) -> bytearray | None:
    # A UnicodeEncodeError carries the whole text in its ``object``; it must not travel on.
    try:
        return bytearray(text, "utf-8")
    except UnicodeEncodeError:
        return None


def _decoded(data: bytearray) -> str | None:
    try:
        return data.decode("utf-8")
    except UnicodeDecodeError:
        return None
