"""One file, of somebody known, where one is wanted; it has no name on the disk and never outlives its request."""

from __future__ import annotations

import hashlib
import io
import os
import shutil
from collections.abc import Callable, Iterator
from contextlib import nullcontext
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from uuid import uuid4

import pytest
from django.contrib.auth.decorators import login_not_required
from django.contrib.auth.models import User
from django.http import HttpRequest, HttpResponse, JsonResponse, UnreadablePostError
from django.test import Client, RequestFactory
from django.urls import include, path, resolve
from django.utils import timezone
from django.views.decorators.csrf import csrf_exempt

from credentials import uploads
from credentials.errors import ForgekeyError, InputInvalid, StorageUnavailable, UploadTooLarge
from credentials.models import Scope
from credentials.services import clients
from tests import builders
from tests.disks import small_disk

MOST = 100_000
BOUNDARY = "-----------------------------168072824752491622650073"
MULTIPART = f"multipart/form-data; boundary={BOUNDARY}"
BYTES = os.urandom(MOST)


def _answer(request: HttpRequest) -> HttpResponse:
    try:
        upload = uploads.received(request)
    except ForgekeyError as error:
        return JsonResponse({"code": error.code, "detail": str(error)}, status=400)
    SEEN.append(upload)
    facts = os.fstat(upload.fileno())
    return JsonResponse(
        {
            "name": upload.name,
            "size": upload.size,
            "sha256": upload.sha256,
            "read": hashlib.sha256(upload.read()).hexdigest(),
            "mode": oct(facts.st_mode & 0o777),
            "names": facts.st_nlink,
            "library": request.POST.get("library"),
        }
    )


SEEN: list[uploads.Upload] = []


@uploads.takes_upload
def page(request: HttpRequest) -> HttpResponse:
    return _answer(request)


@csrf_exempt
@login_not_required
@uploads.takes_upload
def machine(request: HttpRequest) -> HttpResponse:
    return _answer(request)


@csrf_exempt
@login_not_required
def elsewhere(request: HttpRequest) -> HttpResponse:
    return _answer(request)


@csrf_exempt
@uploads.takes_upload
def failing(request: HttpRequest) -> HttpResponse:
    SEEN.append(uploads.received(request))
    raise RuntimeError


urlpatterns = [
    path("page/", page),
    path("machine/", machine),
    path("elsewhere/", elsewhere),
    path("failing/", failing),
    path("", include("project.urls")),
]

pytestmark = [pytest.mark.django_db, pytest.mark.urls(__name__)]


@pytest.fixture(autouse=True)
def folder(settings: Any, tmp_path: Path) -> Path:
    settings.CREDENTIALS_IMPORT_UPLOAD_BYTES = MOST
    settings.FILE_UPLOAD_TEMP_DIR = tmp_path / "uploads"
    settings.FILE_UPLOAD_TEMP_DIR.mkdir()
    SEEN.clear()
    return Path(settings.FILE_UPLOAD_TEMP_DIR)


def part(name: str, body: bytes, *, file_name: str | None = None, more: str = "") -> bytes:
    said = f'; filename="{file_name}"' if file_name is not None else ""
    head = f'--{BOUNDARY}\r\nContent-Disposition: form-data; name="{name}"{said}\r\n{more}\r\n'
    return head.encode() + body + b"\r\n"


def form(*parts: bytes) -> bytes:
    return b"".join(parts) + f"--{BOUNDARY}--\r\n".encode()


def zip_form(content: bytes = BYTES, file_name: str = "cases.zip") -> bytes:
    return form(part("library", b"cases"), part("file", content, file_name=file_name))


@dataclass
class Watched:
    """A body that looks, whenever more of it is read, what lies in the folder of uploads, with and without name."""

    body: io.BytesIO
    folder: Path
    open_files: int = 0
    names: set[str] = field(default_factory=set)

    def read(self, size: int = -1) -> bytes:
        self.names |= {entry.name for entry in self.folder.iterdir()}
        self.open_files = max(self.open_files, sum(1 for _found in _open_below(self.folder)))
        return self.body.read(size)

    readline = read


def _open_below(folder: Path) -> Iterator[str]:
    for descriptor in Path("/proc/self/fd").iterdir():
        try:
            target = str(descriptor.readlink())
        except FileNotFoundError:
            continue
        if target.startswith(f"{folder}/"):
            yield target


Send = Callable[..., Any]


@pytest.fixture
def send(folder: Path) -> Send:
    """``send("/machine/", body, key=…)`` or ``user=…``; the answer, and what was seen meanwhile."""

    def sending(
        address: str, body: bytes, *, key: str = "", user: User | None = None, announced: int | None = None
    ) -> tuple[Any, Watched]:
        browser = Client(raise_request_exception=False)
        if user is not None:
            browser.force_login(user)
        stream = Watched(io.BytesIO(body), folder)
        more: dict[str, Any] = {"wsgi.input": stream, "CONTENT_TYPE": MULTIPART}
        if key:
            more["headers"] = {"Authorization": key}
        answer = browser.generic(
            "POST",
            address,
            **more,
            CONTENT_LENGTH=str(len(body) if announced is None else announced),
        )
        return answer, stream

    return sending


def bearer(**limits: Any) -> str:
    return f"Bearer {builders.client(f'client {uuid4()}', **limits)[1].reveal()}"


def test_a_file_comes_in_whole_and_lies_on_the_disk_without_a_name(
    send: Send, alice: User, folder: Path
) -> None:
    answer, seen = send("/machine/", zip_form(), key=bearer())
    digest = hashlib.sha256(BYTES).hexdigest()
    assert answer.json() == {
        **{"name": "cases.zip", "size": MOST, "sha256": digest, "read": digest},
        **{"mode": "0o600", "names": 0, "library": "cases"},
    }
    assert seen.names == set()
    assert SEEN[0].closed
    assert list(_open_below(folder)) == []


def test_a_person_who_is_signed_in_uploads_from_a_page(folder: Path, alice: User) -> None:
    browser = Client(enforce_csrf_checks=True)
    browser.force_login(alice)
    browser.cookies["csrftoken"] = "a" * 32
    sent = {"library": "cases", "file": io.BytesIO(BYTES), "csrfmiddlewaretoken": "a" * 32}
    assert browser.post("/page/", sent).json()["size"] == MOST

    assert browser.post("/page/", {"file": io.BytesIO(BYTES)}).status_code == 403
    assert list(_open_below(folder)) == []


@pytest.mark.parametrize(
    "who", ["nobody", "no key", "mistyped", "unknown", "revoked", "without the scope", "elsewhere", "basic"]
)
def test_nothing_of_a_stranger_reaches_the_disk(send: Send, who: str) -> None:
    revoked, key = builders.client("revoked")
    clients.revoke(actor=builders.SYSTEM, client=revoked, now=timezone.now())
    unknown, unknown_key = builders.client("unknown")
    unknown.delete()
    keys = {
        "nobody": "",
        "no key": "Bearer",
        "mistyped": bearer()[:-1],
        "unknown": f"Bearer {unknown_key.reveal()}",
        "revoked": f"Bearer {key.reveal()}",
        "without the scope": bearer(scopes=[Scope.IMPORTS_READ]),
        "elsewhere": bearer(allowed_networks=["10.1.0.0/16"]),
        "basic": "Basic YWxpY2U6YWxpY2UtZGVtbw==",
    }
    for address in ("/machine/", "/page/"):
        _answer, seen = send(address, zip_form(), key=keys[who])
        assert SEEN == []
        assert seen.open_files == 0
        assert seen.body.tell() < 1000 + 2 * 256 * 1024


def test_a_session_of_somebody_who_was_made_inactive_is_a_strangers(send: Send, alice: User) -> None:
    assert send("/page/", zip_form(), user=alice)[0].json()["size"] == MOST
    SEEN.clear()
    User.objects.filter(pk=alice.pk).update(is_active=False)
    _answer, seen = send("/page/", zip_form(), user=alice)
    assert SEEN == []
    assert seen.open_files == 0


def test_an_address_that_wants_no_file_is_sent_none(send: Send, alice: User) -> None:
    answer, seen = send("/elsewhere/", zip_form(), user=alice)
    assert answer.json()["code"] == "input_invalid"
    assert seen.open_files == 0


def test_a_view_that_fails_leaves_nothing(send: Send, alice: User, folder: Path) -> None:
    answer, _seen = send("/failing/", zip_form(), user=alice)
    assert answer.status_code == 500
    assert SEEN[0].closed
    assert list(_open_below(folder)) == []


# --- How much may come --------------------------------------------------------------------------------


def test_as_many_bytes_as_allowed_may_come_and_not_one_more(send: Send) -> None:
    assert send("/machine/", zip_form(BYTES), key=bearer())[0].json()["size"] == MOST

    answer, _seen = send("/machine/", zip_form(BYTES + b"1"), key=bearer())
    assert answer.json() == {
        "code": "upload_too_large",
        "detail": "The file is larger than the 97.7\xa0KB that may be uploaded here.",
    }


def test_a_file_that_announces_itself_too_large_is_not_even_begun(send: Send) -> None:
    answer, seen = send("/machine/", zip_form(bytes(2 * uploads.FIELDS_BYTES)), key=bearer())
    assert answer.json()["code"] == "upload_too_large"
    assert seen.open_files == 0


def test_bytes_that_are_counted_differently_on_the_way_are_counted_where_they_arrive(send: Send) -> None:
    encoded = part(
        "file", b"QUJD" * MOST, file_name="cases.zip", more="Content-Transfer-Encoding: base64\r\n"
    )
    assert send("/machine/", form(encoded), key=bearer())[0].json()["code"] == "upload_too_large"


def test_the_rest_of_a_file_that_is_too_large_is_not_read_for_ever(send: Send) -> None:
    body = zip_form(bytes(6 * uploads.FIELDS_BYTES))
    answer, seen = send("/machine/", body, key=bearer())
    assert answer.json()["code"] == "upload_too_large"
    assert seen.body.tell() < 2 * MOST + 2 * uploads.FIELDS_BYTES < len(body)


def test_two_files_are_refused_and_neither_stays(send: Send, folder: Path) -> None:
    two = form(part("file", BYTES, file_name="a.zip"), part("file", BYTES, file_name="b.zip"))
    assert send("/machine/", two, key=bearer())[0].json()["code"] == "input_invalid"
    assert list(_open_below(folder)) == []


def test_a_file_in_another_field_is_refused(send: Send) -> None:
    answer, seen = send("/machine/", form(part("avatar", BYTES, file_name="a.zip")), key=bearer())
    assert answer.json()["code"] == "input_invalid"
    assert seen.open_files == 0


@pytest.mark.parametrize(
    "body", [form(part("library", b"cases")), form(part("file", b"", file_name="")), b""], ids=len
)
def test_a_form_without_a_file_says_so(send: Send, body: bytes) -> None:
    assert send("/machine/", body, key=bearer())[0].json()["detail"] == "Choose a ZIP file."


# --- What may go wrong on the way ---------------------------------------------------------------------


def read(body: bytes, *, user: User, announced: int | None = None, clock: Any = None) -> HttpRequest:
    """A request whose form was read by the handler, as Django reads it."""
    length = str(len(body) if announced is None else announced)
    more: dict[str, Any] = {"wsgi.input": io.BytesIO(body)}
    request = RequestFactory().post("/machine/", CONTENT_TYPE=MULTIPART, CONTENT_LENGTH=length, **more)
    request.resolver_match, request.user = resolve("/machine/", __name__), user
    request.upload_handlers = [uploads.UploadHandler(request, **({"monotonic": clock} if clock else {}))]
    assert request.POST is not None  # which reads it
    return request


@pytest.mark.parametrize("kept", [0.1, 0.5, 0.99])
def test_a_client_that_goes_away_leaves_nothing_and_half_a_file_is_no_file(
    alice: User, folder: Path, kept: float
) -> None:
    body = zip_form()
    with pytest.raises(UnreadablePostError):
        read(body[: int(len(body) * kept)], user=alice, announced=len(body))
    assert list(_open_below(folder)) == []


def test_an_upload_may_not_take_longer_than_an_import(alice: User, folder: Path) -> None:
    for late, ends in ((899.0, False), (901.0, True)):
        moments = iter([0.0])
        with pytest.raises(UnreadablePostError) if ends else nullcontext():
            read(zip_form(), user=alice, clock=lambda: next(moments, late)).close()  # noqa: B023  # read at once
    assert list(_open_below(folder)) == []


def test_no_room_on_the_disk_is_said(alice: User, folder: Path) -> None:
    folder.rmdir()
    with pytest.raises(StorageUnavailable):
        uploads.received(read(zip_form(), user=alice))


def test_a_disk_that_fills_up_meanwhile_is_said_and_nothing_stays(alice: User, settings: Any) -> None:
    settings.CREDENTIALS_IMPORT_UPLOAD_BYTES = 4 * 1024 * 1024
    with small_disk(megabytes=1) as place:
        settings.FILE_UPLOAD_TEMP_DIR = place
        with pytest.raises(StorageUnavailable):
            uploads.received(read(zip_form(os.urandom(3 * 1024 * 1024)), user=alice))
        assert list(_open_below(place)) == []
        assert shutil.disk_usage(place).used < 64 * 1024


def test_the_handler_says_the_same_to_whoever_asks_twice(alice: User) -> None:
    request = read(zip_form(BYTES + b"1"), user=alice)
    for _time in range(2):
        with pytest.raises(UploadTooLarge) as refused:
            uploads.received(request)
        assert refused.value.limit == MOST
    with pytest.raises(InputInvalid):
        uploads.received(read(form(), user=alice))


# --- What it is called --------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("given", "kept"),
    [
        ("cases.zip", "cases.zip"),
        ("../../etc/passwd", "passwd"),
        (r"C:\Users\alice\cases.zip", "cases.zip"),
        ("Testfälle 第一版.zip", "Testfälle 第一版.zip"),
        ("Testfa\u0308lle.zip", "Testfälle.zip"),
        ("cases\u202epiz.exe", "casespiz.exe"),
        ("a\x00b\r\nc\x1b[31m.zip", "abc[31m.zip"),
        ("  cases.zip. ", "cases.zip"),
        ("", uploads.NAMELESS),
        ("..", uploads.NAMELESS),
        ("folder/", uploads.NAMELESS),
        ("x" * 300 + ".zip", "x" * 251 + ".zip"),
        ("x" * 300, "x" * 255),
        ("ghp_" + "a" * 36 + ".zip", uploads.NAMELESS),
        ("cases-ghp_" + "a" * 36 + ".zip", uploads.NAMELESS),
        ("cases glpat-" + "a" * 20 + ".zip", uploads.NAMELESS),
        ("github_pat_" + "a" * 22 + "_" + "b" * 59, uploads.NAMELESS),
        ("acme-cases-4f6fe0d6ab1c6a2d0e17bb2e4c6ccaf9e2d6b1aa.zip",) * 2,
    ],
)
def test_a_file_name_is_harmless_and_tells_no_token(given: str, kept: str) -> None:
    assert uploads.cleaned_name(given) == kept
