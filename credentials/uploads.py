"""How a file comes in by HTTP: one ZIP, from somebody who is known, at an address that wants it.

Django reads a body as soon as somebody asks for a form field, and its CSRF check does so before any view has a say.
So whether a file is taken is decided here, by the only upload handler there is: nothing of a stranger's reaches the
disk, nor does anything at an address that is not marked with :func:`takes_upload`.

What is taken lies in ``FILE_UPLOAD_TEMP_DIR`` without a name: the kernel removes it with its last descriptor,
whatever becomes of the view, the client or the process (O_TMPFILE, open(2)).
"""

from __future__ import annotations

import hashlib
import re
import tempfile
import threading
import time
import unicodedata
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from datetime import timedelta
from typing import Any, NoReturn, Protocol, TypeVar

from django.conf import settings
from django.core.files.uploadedfile import UploadedFile
from django.core.files.uploadhandler import FileUploadHandler, StopUpload
from django.http import HttpRequest, UnreadablePostError
from django.http.multipartparser import MultiPartParser
from django.template.defaultfilters import filesizeformat
from django.utils import timezone
from django.utils.datastructures import MultiValueDict
from django.utils.translation import gettext as _

from credentials.conf import conf
from credentials.errors import (
    ForgekeyError,
    InputInvalid,
    NotAuthenticated,
    PermissionRefused,
    StorageUnavailable,
    TooManyRequests,
    UploadTooLarge,
)
from credentials.models import Scope
from credentials.providers.free_text import has_token
from credentials.services import clients
from credentials.services.circumstances import address_of

FIELD = "file"
"""The name of the one field that may hold a file."""
FIELDS_BYTES = 1024 * 1024
"""Bytes of a form beside its file: fields, names, boundaries."""
AT_ONCE = 2
"""How many uploads one process takes at the same time. Its threads wait for slow clients, and must not all do so."""
NAME_LENGTH = 255
NAMELESS = "upload.zip"
"""What a file is called whose own name says nothing, or too much."""

_BLOCK = 256 * 1024
_LONGEST_SUFFIX = 10
# Where a token may begin inside a name.
_BEGINNINGS = re.compile(r"(?:^|(?<=[\W_]))\w")

_RETRY_AFTER = timedelta(seconds=30)
_places = threading.BoundedSemaphore(AT_ONCE)

View = TypeVar("View", bound=Callable[..., Any])


class _Readable(Protocol):
    def read(self, size: int = ..., /) -> bytes: ...


class Upload(UploadedFile):  # type: ignore[type-arg]  # no generic class at run time
    """A file that came in complete. ``sha256`` is of its bytes, in hexadecimal; ``name`` is for people only."""

    sha256: str = ""


def takes_upload(view: View) -> View:
    """Marks a view to which a file may be sent; every other one is sent none."""
    view.takes_upload = True  # type: ignore[attr-defined]  # what a wrapped function carries along
    return view


def received(request: HttpRequest) -> Upload:
    """The file that came with this request; it is gone when the request is answered.

    Raises UploadTooLarge, StorageUnavailable (no room on the disk), TooManyRequests (others upload just now), and
    InputInvalid where there is none, or more than one.
    """
    found = request.FILES.get(FIELD)
    for handler in request.upload_handlers:
        if isinstance(handler, UploadHandler) and handler.problem is not None:
            raise handler.problem
    if not isinstance(found, Upload):
        raise InputInvalid(_("Choose a ZIP file."), field=FIELD)
    return found


def cleaned_name(given: str) -> str:
    """A name for people out of what a client calls its file: no folders, nothing that cannot be printed, at most
    255 characters. One that holds a token is replaced."""
    base = given.replace("\\", "/").rpartition("/")[2]
    printable = "".join(letter for letter in base if letter.isprintable())
    name = unicodedata.normalize("NFC", printable).strip().rstrip(". ")
    if not name.strip(".") or _holds_token(name):
        return NAMELESS
    stem, dot, suffix = name.rpartition(".")
    if len(name) > NAME_LENGTH and dot and len(suffix) <= _LONGEST_SUFFIX:
        return f"{stem[: NAME_LENGTH - len(suffix) - 1]}.{suffix}"
    return name[:NAME_LENGTH]


def _holds_token(name: str) -> bool:
    return any(has_token(name[found.start() :]) for found in _BEGINNINGS.finditer(name))


class UploadHandler(FileUploadHandler):
    """Reads a form with a file, and lets no more of it in than may come.

    ``problem`` says why there is no file, where one was sent.
    """

    chunk_size = _BLOCK

    def __init__(
        self, request: HttpRequest | None = None, *, monotonic: Callable[[], float] = time.monotonic
    ) -> None:
        super().__init__(request)
        self.problem: ForgekeyError | None = None
        self._monotonic = monotonic

    def handle_raw_input(
        self,
        input_data: Any,
        META: Mapping[str, Any],  # noqa: N803  # Django's own name
        content_length: int,
        boundary: Any,
        encoding: str | None = None,
    ) -> Any:
        """The form's fields and files. Raises UnreadablePostError where the body ends before it should."""
        is_wanted = _is_wanted(self.request)
        with _place(is_wanted) as has_place:
            taking = _Taking(self.request, is_wanted=is_wanted, has_place=has_place)
            return self._read(taking, input_data, META, content_length, encoding)

    def _read(
        self, taking: _Taking, stream: Any, meta: Mapping[str, Any], length: int, encoding: str | None
    ) -> Any:
        most = conf.import_upload_bytes
        # What is too large is read to its end all the same, within reason: otherwise a browser shows its own error.
        body: Any = _Body(stream, most=2 * most + FIELDS_BYTES, clock=self._monotonic)
        taking.is_too_large = length > most + FIELDS_BYTES
        try:
            form, files = MultiPartParser(dict(meta), body, [taking], encoding).parse()
        except BaseException:
            taking.upload_interrupted()
            raise
        self.problem = taking.problem
        if taking.problem is not None:
            return form, MultiValueDict()
        if body.ended_early(length) and not taking.is_over:
            taking.upload_interrupted()
            raise UnreadablePostError("The body ended before it should.")
        return form, files

    def receive_data_chunk(self, raw_data: bytes, start: int) -> None:
        """Never called: :meth:`handle_raw_input` has read everything."""

    def file_complete(self, file_size: int) -> None:
        """Never called, as above."""


class _Body:
    """Counts what is read of a request's body, and ends it where it is too much or takes too long."""

    def __init__(self, stream: _Readable, *, most: int, clock: Callable[[], float]) -> None:
        self._stream, self._most, self._clock = stream, most, clock
        self._until = clock() + conf.import_duration.total_seconds()
        self._read = 0

    def read(self, size: int = _BLOCK) -> bytes:
        if self._read > self._most or self._clock() > self._until:
            return b""
        block = self._stream.read(size)
        self._read += len(block)
        return block

    def ended_early(self, announced: int) -> bool:
        return self._read < announced


class _Taking(FileUploadHandler):
    """Takes the first file of a form onto the disk, if it may come at all.

    ``is_over`` says that the rest of the body is of no interest, because of ``problem`` or of who sends it.
    """

    chunk_size = _BLOCK

    def __init__(self, request: HttpRequest | None, *, is_wanted: bool, has_place: bool) -> None:
        super().__init__(request)
        self.problem: ForgekeyError | None = None
        self.is_over = False
        self.taken: Upload | None = None
        self.is_too_large = False
        self._is_wanted, self._has_place = is_wanted, has_place
        self._size, self._digest = 0, hashlib.sha256()

    def new_file(self, field_name: str, file_name: str, *args: Any, **kwargs: Any) -> None:
        super().new_file(field_name, file_name, *args, **kwargs)
        if not self._is_wanted:
            # Nothing is said: whoever is not known here is answered by the view, or by what stands before it.
            self._stop(None, drain=False)
        if self.taken is not None or field_name != FIELD:
            self._stop(InputInvalid(_("Send one file, in the field “file”."), field=FIELD))
        if self.is_too_large:
            self._stop(_too_large())
        if not self._has_place:
            self._stop(_others(), drain=False)
        try:
            place = tempfile.TemporaryFile(dir=settings.FILE_UPLOAD_TEMP_DIR)  # noqa: SIM115  # outlives this call
        except OSError:
            self._stop(_no_room())
        self.taken = Upload(place, name=cleaned_name(file_name), size=0)

    def receive_data_chunk(self, raw_data: bytes, start: int) -> None:
        file = self._file
        self._size += len(raw_data)
        if self._size > conf.import_upload_bytes:
            self._stop(_too_large())
        try:
            file.write(raw_data)
        except OSError:
            self._stop(_no_room())
        self._digest.update(raw_data)

    def file_complete(self, file_size: int) -> Upload | None:
        file = self._file
        try:
            file.seek(0)  # writes what is still buffered
        except OSError:
            self._stop(_no_room())
        file.size, file.sha256 = self._size, self._digest.hexdigest()
        return file

    def upload_interrupted(self) -> None:
        if self.taken is not None:
            self.taken.close()

    @property
    def _file(self) -> Upload:
        assert self.taken is not None, "Django announces a file before its bytes"
        return self.taken

    def _stop(self, problem: ForgekeyError | None, *, drain: bool = True) -> NoReturn:
        """Ends the reading. Raises StopUpload."""
        self.problem, self.is_over = problem, True
        self.upload_interrupted()
        raise StopUpload(connection_reset=not drain)


def _is_wanted(request: HttpRequest | None) -> bool:
    """Whether this request may bring a file: by where it goes, and who sends it."""
    match = request.resolver_match if request is not None else None
    if request is None or match is None or not getattr(match.func, "takes_upload", False):
        return False
    if "HTTP_AUTHORIZATION" in request.META:
        return _has_key(request)
    user = getattr(request, "user", None)
    return user is not None and user.is_authenticated


def _has_key(request: HttpRequest) -> bool:
    """Whether a service key came along that may import; the API asks the same, by itself."""
    try:
        presented = clients.presented_in(request.META)
        if presented is None:
            return False
        client = clients.authenticate(presented, address=address_of(request.META), now=timezone.now())
        clients.require_scope(client, Scope.IMPORTS_WRITE)
    except (NotAuthenticated, PermissionRefused):
        return False
    return True


@contextmanager
def _place(is_wanted: bool) -> Iterator[bool]:
    """Whether there is a place for one upload more; it is taken until the block ends."""
    taken = is_wanted and _places.acquire(blocking=False)
    try:
        yield taken
    finally:
        if taken:
            _places.release()


def _others() -> TooManyRequests:
    text = _("Others upload just now. Try again in half a minute.")
    return TooManyRequests(text, retry_after=_RETRY_AFTER)


def _too_large() -> UploadTooLarge:
    most = conf.import_upload_bytes
    text = _("The file is larger than the %(size)s that may be uploaded here.") % {
        "size": filesizeformat(most)
    }
    return UploadTooLarge(text, limit=most)


def _no_room() -> StorageUnavailable:
    return StorageUnavailable(_("There is no room for the file at present. Try again later."))
