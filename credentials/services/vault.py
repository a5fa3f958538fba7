"""The key ring of this process, the purpose keys, and the only door to a stored secret.

A secret is opened only after the audit event that says why is durable: :func:`open_credential` and
:func:`open_client_secret` make it themselves, by ``record``. Whoever has made it already (lending,
disconnecting, confirming a connection) calls :func:`unseal_after_audit`.
"""

from __future__ import annotations

import base64
import binascii
import os
import secrets
import threading
import uuid
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path

from django.db import IntegrityError, connection, transaction
from django.db.models import F

from credentials.conf import conf
from credentials.crypto import purpose as purposes
from credentials.crypto.envelope import Binding, rewrap, seal, unseal
from credentials.crypto.keyring import KeyRing
from credentials.crypto.primitives import NONCE_LENGTH, Aead, length_prefixed
from credentials.crypto.secret import Secret
from credentials.crypto.sources import FileSource, create_key_file, source_from
from credentials.errors import ConfigurationError, CryptoError, EnvelopeInvalid, KeyUnavailable
from credentials.models import Credential, Host, PurposeKey, RingKey
from credentials.models.credential import EnvelopeName

# 2^31 wraps under one key keep the chance of a repeated random nonce below 2^-34. Half-way the checks warn.
WRAP_LIMIT = 2**31
WRAP_WARNING = 2**30

AUDIT = "audit"
FINGERPRINT = "fingerprint"
API_KEY_PEPPER = "api-key-pepper"


@dataclass(slots=True)
class _Loaded:
    ring: KeyRing | None = None
    purpose_keys: dict[str, Secret] | None = None
    # Made by this process in a transaction that may still be rolled back.
    unsettled: set[str] = field(default_factory=set)


_loaded = _Loaded()
_lock = threading.Lock()


def ring() -> KeyRing:
    """The key ring, loaded once per process.

    Raises CryptoError (with what to do) where the source is missing, unsafe or wrong; rows stay untouched.
    """
    if _loaded.ring is None:
        with _lock:
            if _loaded.ring is None:
                _loaded.ring = _load_ring()
    return _loaded.ring


def forget() -> None:
    """Drop what this process holds, so that the next use reads the key source again."""
    with _lock:
        _loaded.ring = None
        _loaded.purpose_keys = None
        _loaded.unsettled.clear()


def _load_ring() -> KeyRing:
    text = conf.key_source
    source = source_from(text, os.environ)
    if isinstance(source, FileSource) and not Path(source.path).exists():
        return _first_run_ring(Path(source.path))
    return source.load()


def awaits_first_run() -> bool:
    """Whether nothing was ever sealed here and the first use will make the embedded key file."""
    source = source_from(conf.key_source, os.environ)
    if not isinstance(source, FileSource) or source.path.exists() or source.path.parent != conf.data_dir:
        return False
    return not RingKey.objects.exists() and not PurposeKey.objects.exists()


def wraps_booked() -> int:
    """How much of the first key's nonce budget is used."""
    return RingKey.objects.filter(key_id=primary_key_id()).values_list("wraps", flat=True).first() or 0


def _first_run_ring(path: Path) -> KeyRing:
    """Create the embedded key file, unless a key was ever used: a lost key is never papered over."""
    if RingKey.objects.exists() or PurposeKey.objects.exists():
        raise KeyUnavailable(
            f"The key file {path.name} is gone, but this database holds secrets wrapped by its key. "
            "Restore the file from your backup; nothing was changed."
        )
    if path.parent != conf.data_dir:
        raise KeyUnavailable(
            f"There is no key file {path.name}. Make one with: python manage.py generate_key --file PATH"
        )
    try:
        return create_key_file(path)
    except CryptoError:
        # Another process was first; what it wrote is the ring.
        return FileSource(path).load()


def book_wraps(count: int) -> None:
    """Book uses of the primary key's nonce budget, inside the caller's transaction.

    Raises ConfigurationError where the budget does not hold them.
    """
    key = ring().primary
    if _booked(key.id, count):
        return
    # The first use of this key, perhaps by several processes at once: one makes the row, all book on it.
    RingKey.objects.get_or_create(key_id=key.id, defaults={"check_value": key.kcv})
    if not _booked(key.id, count):
        raise ConfigurationError(
            f"Key {key.id} has wrapped {WRAP_LIMIT} secrets. Add a new first key: "
            "python manage.py generate_key --prepend --file PATH"
        )


def _booked(key_id: str, count: int) -> bool:
    room = RingKey.objects.filter(key_id=key_id, wraps__lte=WRAP_LIMIT - count)
    return bool(room.update(wraps=F("wraps") + count))


def seal_secret(secret: Secret, binding: Binding) -> bytes:
    """Seal ``secret`` under the primary key, inside the caller's transaction."""
    book_wraps(1)
    return seal(ring(), secret, binding)


def seal_booked(secret: Secret, binding: Binding) -> bytes:
    """Seal ``secret`` under the primary key; the caller booked it with :func:`book_wraps` and committed that."""
    return seal(ring(), secret, binding)


def prove_sealing() -> None:
    """Seal and open a canary: what is about to be received could be stored. Raises CryptoError."""
    canary = Binding(model="canary", row=uuid.uuid4(), field="secret", owner="system", host="", generation=1)
    secret = purposes.new_purpose_key()
    if not unseal(ring(), seal(ring(), secret, canary), canary).matches(secret):
        raise CryptoError("The key ring does not open what it sealed.")


def rewrap_envelope(blob: bytes, binding: Binding) -> bytes:
    """The same envelope under the primary key; the secret itself is not opened.

    The caller books it with :func:`book_wraps` in the transaction that stores it.
    """
    return rewrap(ring(), bytes(blob), binding)


def primary_key_id() -> str:
    """The id of the key that seals now."""
    return ring().primary.id


def purpose_key(purpose: str) -> bytes:
    """The raw purpose key, made and wrapped at its first use, then held by this process."""
    held = _loaded.purpose_keys
    if held is not None and purpose in held:
        return held[purpose].reveal_bytes()
    key = _read_or_make_purpose_key(purpose)
    # One that this very transaction made is gone if it is rolled back: to hold it would mean to write
    # digests that nobody can check. Until then it is read again.
    if purpose not in _loaded.unsettled or _is_settled():
        with _lock:
            _loaded.unsettled.discard(purpose)
            _loaded.purpose_keys = {**(_loaded.purpose_keys or {}), purpose: key}
    return key.reveal_bytes()


def _is_settled() -> bool:
    """Whether no transaction is open, but the one that Django's TestCase puts around a test."""
    blocks = connection.atomic_blocks
    return not connection.in_atomic_block or (
        len(blocks) == 1 and getattr(blocks[0], "_from_testcase", False)
    )


def _read_or_make_purpose_key(purpose: str) -> Secret:
    row = PurposeKey.objects.filter(purpose=purpose).first() or _make_purpose_key(purpose)
    return unseal(ring(), bytes(row.envelope), row.binding)


def _make_purpose_key(purpose: str) -> PurposeKey:
    row = PurposeKey(purpose=purpose, key_id=primary_key_id())
    try:
        with transaction.atomic():
            row.envelope = seal_secret(purposes.new_purpose_key(), row.binding)
            row.save(force_insert=True)
    except IntegrityError:
        # Another process was first; its key is the one.
        return PurposeKey.objects.get(purpose=purpose)
    _loaded.unsettled.add(purpose)
    transaction.on_commit(lambda: _loaded.unsettled.discard(purpose))
    return row


def fingerprint(secret: Secret) -> bytes:
    """A keyed digest by which equal tokens are found without opening any."""
    return purposes.fingerprint(purpose_key(FINGERPRINT), secret)


def unseal_after_audit(blob: bytes, binding: Binding) -> Secret:
    """Open an envelope whose audit event is already durable. Only ``services`` may call this."""
    return unseal(ring(), blob, binding)


def open_credential(
    credential: Credential, *, field: EnvelopeName = "access", record: Callable[[], object]
) -> Secret:
    """Open one envelope of a credential, after ``record`` has made the audit event durable.

    Raises AuditUnavailable where the event cannot be written, KeyUnavailable, EnvelopeInvalid.
    """
    blob = credential.access_envelope if field == "access" else credential.refresh_envelope
    if blob is None:
        raise CryptoError("This credential holds no secret any more.")
    record()
    return unseal_after_audit(bytes(blob), credential.binding(field))


def open_client_secret(host: Host, *, record: Callable[[], object]) -> Secret:
    """The OAuth client secret of a host, after ``record`` has made the audit event durable.

    Raises ConfigurationError where there is none, AuditUnavailable, KeyUnavailable, EnvelopeInvalid.
    """
    if host.client_secret_envelope is None:
        raise ConfigurationError(f"{host} has no OAuth client secret; set one with add_host.")
    binding = host.client_secret_binding(host.client_secret_generation)
    record()
    return unseal_after_audit(bytes(host.client_secret_envelope), binding)


def is_unlocked() -> bool:
    """Whether the ring can be loaded; never raises."""
    try:
        ring()
    except (CryptoError, ConfigurationError):
        return False
    return True


def envelope_mac(credential: Credential) -> str:
    """A keyed digest of what the row stores now, for the trail: an old blob put back is found by it."""
    key = purpose_key(AUDIT)
    access, refresh = credential.access_envelope or b"", credential.refresh_envelope or b""
    return purposes.mac(key, b"forgekey/envelope/v1", bytes(access), bytes(refresh)).hex()


def seal_text(purpose: str, text: str) -> str:
    """``text`` encrypted under the purpose key of ``purpose``, for a column that is not ours."""
    nonce = secrets.token_bytes(NONCE_LENGTH)
    sealed = Aead(purpose_key(purpose)).seal(
        nonce=nonce, plaintext=text.encode(), associated=_text_label(purpose)
    )
    return _TEXT_VERSION + base64.b64encode(nonce + sealed).decode("ascii")


def open_text(purpose: str, stored: str) -> str:
    """What :func:`seal_text` sealed; raises EnvelopeInvalid for anything else, plain text included."""
    blob = b""
    if stored.startswith(_TEXT_VERSION):
        with suppress(binascii.Error, ValueError):
            blob = base64.b64decode(stored.removeprefix(_TEXT_VERSION), validate=True)
    opened = (
        Aead(purpose_key(purpose)).open(
            nonce=blob[:NONCE_LENGTH], sealed=blob[NONCE_LENGTH:], associated=_text_label(purpose)
        )
        if len(blob) > NONCE_LENGTH
        else None
    )
    if opened is None:
        raise EnvelopeInvalid("this text was not sealed here, or it was altered")
    return opened.decode()


_TEXT_VERSION = "forgekey-1:"


def _text_label(purpose: str) -> bytes:
    return length_prefixed(b"forgekey/text/v1", purpose.encode())
