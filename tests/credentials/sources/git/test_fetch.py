"""A commit fetched from real hosts: by branch, tag, id and folder; told of, stopped, and unseen by others."""

from __future__ import annotations

import hashlib
import threading
import time
from collections.abc import Iterator
from dataclasses import replace
from itertools import pairwise
from pathlib import Path

import pytest

from credentials.errors import (
    AccessRefused,
    ImportCanceled,
    ProviderUnreachable,
    RefNotFound,
    SubdirectoryNotFound,
    TimeExceeded,
)
from credentials.providers.tokens import Kind
from credentials.sources.git import GitContent, Remote
from credentials.sources.git.fetch import fetch
from credentials.sources.git.repository import FETCHED
from credentials.verdicts import VerdictCode
from tests.credentials.build_machine import ProcessWatch
from tests.credentials.providers.asking import login_in, provider_in
from tests.credentials.providers.loopback import Reply, Seen, Server
from tests.credentials.sources.git.hosts import LIMITS, NO_PROGRESS, Workshop, fetched, texts
from tests.credentials.sources.git.test_remote_refs import HOSTS, READERS, remote
from tests.credentials.sources.git_server import (
    BASIC,
    RESULT,
    TOKEN,
    credentials_in,
    is_signed_in,
    login,
    private,
    processes_with,
    remote_at,
)
from tests.sandbox import RunningSandbox


def from_sandbox(
    sandbox: RunningSandbox, host: str, repository: str, folder: Path, kind: Kind | None = None,
    scopes: tuple[str, ...] = (), *, ref: str = "", subdirectory: str = "",
) -> GitContent:  # fmt: skip
    shown = None
    if kind is not None:
        minted = login_in(sandbox, host, kind, scopes, minted_as="oauth" if kind is Kind.OAUTH else "")
        shown = provider_in(sandbox, host).git_login(minted)
    return fetch(
        remote(sandbox, host, repository),
        login=shown,
        ref=ref,
        subdirectory=subdirectory,
        folder=folder,
        limits=LIMITS,
        timeout_seconds=20,
        progress=lambda done, total: None,
    )


# --- The emulated hosts -------------------------------------------------------------------------------


@pytest.mark.parametrize(("host", "kind", "scopes"), READERS)
def test_a_private_repository_comes_with_a_token(
    sandbox: RunningSandbox, tmp_path: Path, host: str, kind: Kind, scopes: tuple[str, ...]
) -> None:
    content = from_sandbox(sandbox, host, "octo-alice/private-cases", tmp_path, kind, scopes)
    found = texts(content)
    assert content.ref == "refs/heads/main"
    assert {"README.md", "library.yaml"} < found.keys()
    assert len(found) == 2 + 2 * 6
    assert content.remarks == []
    # Asked as anybody first, each time; then with the token.
    assert [call["status"] for call in sandbox.calls(host)] == [401, 200, 200, 401, 200, 200, 200]


@pytest.mark.parametrize("host", HOSTS)
def test_a_public_repository_comes_to_anybody(sandbox: RunningSandbox, tmp_path: Path, host: str) -> None:
    content = from_sandbox(sandbox, host, "acme/public-cases", tmp_path)
    assert texts(content)["README.md"].startswith(b"# acme/public-cases\n")


@pytest.mark.parametrize(
    ("host", "kind", "scopes"),
    [
        ("github-enterprise", Kind.PERSONAL_TOKEN, ("repo",)),
        ("bitbucket-server", Kind.PERSONAL_TOKEN, ("REPO_READ",)),
        ("azure", Kind.PERSONAL_TOKEN, ("vso.code",)),
    ],
)
def test_hosts_in_ones_own_house_give_the_address_that_git_finds_them_at(
    sandbox: RunningSandbox, tmp_path: Path, host: str, kind: Kind, scopes: tuple[str, ...]
) -> None:
    provider = provider_in(sandbox, host)
    minted = replace(login_in(sandbox, host, kind, scopes), username="octo-alice")
    page = provider.repositories(minted)
    assert page is not None
    for name, is_private in (("public-cases", False), ("cases", True)):
        url = next(
            fact.clone_url
            for fact in page.repositories
            if fact.clone_url.removesuffix(".git").endswith(f"/{name}")
        )
        for ref in ("dev", "v1"):
            folder = tmp_path / name / ref
            folder.mkdir(parents=True)
            content = fetch(
                Remote(url=url, allow_private=True, provider=provider.name),
                login=provider.git_login(minted) if is_private else None,
                ref=ref, subdirectory="cases", folder=folder, limits=LIMITS, timeout_seconds=20, progress=NO_PROGRESS,
            )  # fmt: skip
            assert all(data.startswith(b"id: ") for data in texts(content).values())


def test_branch_tag_commit_and_folder(sandbox: RunningSandbox, tmp_path: Path) -> None:
    def came(ref: str, subdirectory: str = "") -> GitContent:
        folder = tmp_path / str(len(list(tmp_path.iterdir())))
        folder.mkdir()
        return from_sandbox(sandbox, "gitea", "acme/public-cases", folder, ref=ref, subdirectory=subdirectory)

    main, dev, tag = came(""), came("dev"), came("v1")
    assert [content.ref for content in (main, dev, tag)] == [
        "refs/heads/main",
        "refs/heads/dev",
        "refs/tags/v1",
    ]
    assert len({content.commit for content in (main, dev, tag)}) == 3
    assert b"On this branch" in texts(dev)["README.md"]
    by_id = came(tag.commit.upper())
    assert (by_id.ref, by_id.commit) == ("", tag.commit)
    assert texts(by_id) == texts(tag)
    below = texts(came("refs/heads/main", "cases"))
    assert below == {
        path.removeprefix("cases/"): data for path, data in texts(main).items() if path.startswith("cases/")
    }
    assert below


def test_a_refusal_is_the_one_that_the_question_for_refs_gives(
    sandbox: RunningSandbox, tmp_path: Path
) -> None:
    for ref in ("", "5ca1ab1e" * 5):
        with pytest.raises(AccessRefused) as caught:
            from_sandbox(sandbox, "github", "sso-corp/cases", tmp_path, Kind.OAUTH, ("repo",), ref=ref)
        assert caught.value.verdict_code == VerdictCode.SSO_REQUIRED
    assert list(tmp_path.iterdir()) == []


# --- What is meant ------------------------------------------------------------------------------------


@pytest.fixture
def workshop(tmp_path: Path) -> Workshop:
    return Workshop(tmp_path / "origin.git")


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    made = tmp_path / "folder"
    made.mkdir()
    return made


def test_a_branch_comes_before_a_tag_of_the_same_name(workshop: Workshop, folder: Path) -> None:
    tagged = workshop.files({"a": b"tag"})
    workshop.ref("refs/tags/v1", tagged)
    workshop.files({"a": b"branch"}, branch="v1")
    with Server(private(workshop.serve, workshop.serve)) as server:
        assert texts(fetched(server, folder, ref="v1")) == {"a": b"branch"}
        other = folder / "other"
        other.mkdir()
        assert texts(fetched(server, other, ref="refs/tags/v1")) == {"a": b"tag"}


@pytest.mark.parametrize("name", ["refs/heads/--upload-pack=touch-x", "refs/heads/-u", "refs/tags/-c"])
def test_a_full_name_that_looks_like_an_option_is_a_name(workshop: Workshop, folder: Path, name: str) -> None:
    workshop.ref(name, workshop.files({"a": b"1"}))
    with Server(private(workshop.serve, workshop.serve)) as server:
        assert fetched(server, folder, ref=name).ref == name


def test_what_was_fetched_counts_where_a_push_came_between(workshop: Workshop, folder: Path) -> None:
    before = workshop.files({"a": b"before"})

    def pushed(seen: Seen) -> Reply:
        answer = workshop.serve(seen)
        if b"command=ls-refs" in seen.body and not pushes:
            pushes.append(workshop.files({"a": b"after"}))
        return answer

    pushes: list[str] = []
    with Server(private(workshop.serve, pushed)) as server:
        content = fetched(server, folder)
    assert content.commit == pushes[0] != before
    assert texts(content) == {"a": b"after"}


def test_a_branch_that_goes_away_meanwhile_is_not_found(workshop: Workshop, folder: Path) -> None:
    workshop.files({"a": b"1"}, branch="short")

    def deleted(seen: Seen) -> Reply:
        answer = workshop.serve(seen)
        if b"command=ls-refs" in seen.body:
            workshop.run("update-ref", "-d", "refs/heads/short")
        return answer

    with Server(private(workshop.serve, deleted)) as server, pytest.raises(RefNotFound, match="a moment ago"):
        fetched(server, folder, ref="short")
    assert list(folder.iterdir()) == []


@pytest.mark.parametrize("ref", ["nothing", "refs/tags/main", "refs/pull/1/head", "HEAD", "5ca1ab1e" * 5])
def test_what_is_not_there_is_not_found(workshop: Workshop, folder: Path, ref: str) -> None:
    workshop.files({"a": b"1"})
    with Server(private(workshop.serve, workshop.serve)) as server, pytest.raises(RefNotFound):
        fetched(server, folder, ref=ref)
    assert list(folder.iterdir()) == []


def test_an_empty_repository_has_no_default_branch(workshop: Workshop, folder: Path) -> None:
    with Server(private(workshop.serve, workshop.serve)) as server, pytest.raises(RefNotFound, match="empty"):
        fetched(server, folder)


def test_a_name_that_leads_to_no_commit_is_not_found(workshop: Workshop, folder: Path) -> None:
    blob = workshop.blob(b"1")
    commit = workshop.files({"a": b"1"})
    workshop.ref("refs/tags/blob", blob)
    workshop.run("tag", "-a", "-m", "x", "v1", commit)
    tag = workshop.run("rev-parse", "refs/tags/v1")
    with Server(private(workshop.serve, workshop.serve)) as server:
        for ref in ("refs/tags/blob", blob, tag):
            with pytest.raises(RefNotFound, match="no commit"):
                fetched(server, folder, ref=ref)


def old(workshop: Workshop, seen: Seen) -> Reply:
    """A host of the protocol of old, which gives nothing by its id."""
    headers = {name: text for name, text in seen.headers.items() if name != "Git-Protocol"}
    return workshop.serve(replace(seen, headers=headers))


def test_a_host_that_gives_no_commit_by_its_id_is_searched(workshop: Workshop, folder: Path) -> None:
    first = workshop.files({"a": b"first"}, branch="other")
    for number in range(3):
        workshop.append({"a": b"%d" % number}, branch="other")
    workshop.files({"b": b"1"})
    with Server(private(lambda seen: old(workshop, seen), lambda seen: old(workshop, seen))) as server:
        content = fetched(server, folder, ref=first)
        assert (content.ref, content.commit) == ("", first)
        assert texts(content) == {"a": b"first"}
        other = folder / "other"
        other.mkdir()
        with pytest.raises(RefNotFound, match="Name the branch or tag"):
            fetched(server, other, ref="5ca1ab1e" * 5)


def test_a_repository_of_longer_ids(tmp_path: Path, folder: Path) -> None:
    workshop = Workshop(tmp_path / "long.git", object_format="sha256")
    commit = workshop.files({"a": b"1", "b/c": b"2"})
    with Server(private(workshop.serve, workshop.serve)) as server:
        content = fetched(server, folder, subdirectory="b")
        assert (content.commit, len(commit)) == (commit, 64)
        assert texts(content) == {"c": b"2"}
        assert content.files[0].key == hashlib.sha256(b"blob 1\0002").hexdigest()


@pytest.mark.parametrize("subdirectory", ["missing", "a", "link", "a/b", "ca", "cases/x.md"])
def test_a_folder_that_is_none_is_not_found(workshop: Workshop, folder: Path, subdirectory: str) -> None:
    workshop.files({"a": b"1", "cases/x.md": b"2", "link": b"cases"}, modes={"link": "120000"})
    with Server(private(workshop.serve, workshop.serve)) as server, pytest.raises(SubdirectoryNotFound):
        fetched(server, folder, subdirectory=subdirectory)
    assert list(folder.iterdir()) == []


# --- While it works -----------------------------------------------------------------------------------


def stalling(started: threading.Event, ended: threading.Event) -> Iterator[bytes]:
    yield b"HTTP/1.1 200 OK\r\nContent-Type: %s\r\nContent-Length: 1000\r\n\r\n" % RESULT.encode()
    started.set()
    ended.wait(20)


def test_it_tells_how_many_objects_have_come(workshop: Workshop, folder: Path) -> None:
    workshop.files({f"file-{number}": b"%d" % number for number in range(300)})
    told: list[tuple[int, int]] = []
    with Server(private(workshop.serve, workshop.serve)) as server:
        fetch(
            remote_at(server), login=login(), ref="", subdirectory="", folder=folder, limits=LIMITS,
            timeout_seconds=20, progress=lambda done, total: told.append((done, total)),
        )  # fmt: skip
    assert told[0] == (0, 0)
    assert told[-1] == (302, 302)
    assert told == sorted(told)


def test_whoever_stops_it_ends_git_although_nothing_arrives(workshop: Workshop, folder: Path) -> None:
    workshop.files({"a": b"1"})
    started, ended = threading.Event(), threading.Event()
    asked: list[float] = []

    def post(seen: Seen) -> Reply | Iterator[bytes]:
        return stalling(started, ended) if b"command=fetch" in seen.body else workshop.serve(seen)

    def canceled(_done: int, _total: int) -> None:
        if started.is_set():
            asked.append(time.monotonic())
            if len(asked) == 4:
                raise ImportCanceled("enough")

    with Server(private(workshop.serve, post)) as server:
        with pytest.raises(ImportCanceled):
            fetch(
                remote_at(server), login=login(), ref="", subdirectory="", folder=folder, limits=LIMITS,
                timeout_seconds=20, progress=canceled,
            )  # fmt: skip
        assert processes_with(server.url) == {}
        ended.set()
    assert all(later - earlier < 0.6 for earlier, later in pairwise(asked))
    assert list(folder.iterdir()) == []


@pytest.mark.parametrize("moment", ["refs", "fetch"])
def test_its_time_is_for_everything(workshop: Workshop, folder: Path, moment: str) -> None:
    workshop.files({"a": b"1"})
    ended = threading.Event()

    def post(seen: Seen) -> Reply | Iterator[bytes]:
        is_now = b"command=fetch" in seen.body or moment == "refs"
        return stalling(threading.Event(), ended) if is_now else workshop.serve(seen)

    begin = time.monotonic()
    with Server(private(workshop.serve, post)) as server:
        with pytest.raises(ProviderUnreachable if moment == "refs" else TimeExceeded):
            fetched(server, folder, seconds=1)
        assert processes_with(server.url) == {}
        ended.set()
    assert time.monotonic() - begin < 3


# --- Who could have seen the token --------------------------------------------------------------------


def test_the_token_is_nowhere_while_and_after_a_fetch(workshop: Workshop, folder: Path) -> None:
    workshop.files({f"file-{number}": bytes(1000) for number in range(50)})

    def slowly(seen: Seen) -> Reply:
        time.sleep(0.1)
        return workshop.serve(seen)

    with ProcessWatch(TOKEN, BASIC, "--no-write-fetch-head", "GIT_TERMINAL_PROMPT=0") as watch:
        server = Server(private(slowly, slowly))
        with server:
            content = fetched(server, folder)
        assert len(texts(content)) == 50
        assert any(credentials_in(seen.headers) for seen in server.seen)
    assert "cmdline" in watch.found[b"--no-write-fetch-head"]
    assert "environ" in watch.found[b"GIT_TERMINAL_PROMPT=0"]
    assert watch.found[TOKEN.encode()] == watch.found[BASIC.encode()] == set()
    files = [path for path in folder.rglob("*") if path.is_file()]
    assert not any(
        TOKEN.encode() in path.read_bytes() or BASIC.encode() in path.read_bytes() for path in files
    )


def test_a_bare_repository_is_all_that_lies_in_the_folder(workshop: Workshop, folder: Path) -> None:
    workshop.files({"hooks/post-checkout": b"#!/bin/sh\n", "a": b"1"})
    with Server(private(workshop.serve, workshop.serve)) as server:
        fetched(server, folder)
    found = {str(path.relative_to(folder / "repository.git")) for path in folder.rglob("*") if path.is_file()}
    packs = {name for name in found if name.startswith("objects/pack/pack-")}
    assert found - packs == {"HEAD", "config", "shallow", FETCHED}
    assert is_signed_in(server.seen[-1])
