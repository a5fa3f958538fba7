"""A fetch from repositories and hosts that want the token elsewhere, a command run, or a place in our words."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from credentials.errors import (
    AddressError,
    ContentRefused,
    ProviderAnswerUnexpected,
    ProviderUnreachable,
    RefNotFound,
    TokenRejected,
)
from credentials.sources import child
from credentials.sources.content import Remarked
from credentials.sources.git import Remote, fetch
from credentials.verdicts.refusals import Refusal, Remark
from tests.credentials.providers.loopback import Reply, Script, Seen, Server
from tests.credentials.sources.git.hosts import (
    BLOB_TYPE,
    COMMIT_TYPE,
    LIMITS,
    NO_PROGRESS,
    TREE_TYPE,
    Workshop,
    commit_of,
    fetched,
    handmade,
    name_of,
    pack,
    plain,
    refused,
    sideband,
    texts,
    tree_of,
)
from tests.credentials.sources.git_server import (
    CHALLENGE,
    COMMIT,
    FLUSH,
    PATH,
    RESULT,
    credentials_in,
    is_signed_in,
    login,
    pkt,
    private,
)

STATUSES = (301, 302, 303, 307, 308)


@pytest.fixture
def workshop(tmp_path: Path) -> Workshop:
    return Workshop(tmp_path / "origin.git")


@pytest.fixture
def folder(tmp_path: Path) -> Iterator[Path]:
    """The folder to fetch into; nothing is in it when a fetch failed, and nothing was run by anybody."""
    made = tmp_path / "folder"
    made.mkdir()
    yield made
    assert not (tmp_path / "marker").exists()


# --- Redirects ----------------------------------------------------------------------------------------


@pytest.mark.parametrize("status", STATUSES)
@pytest.mark.parametrize("moment", ["first", "signed in", "post"])
@pytest.mark.parametrize("where", ["port", "host", "scheme"])
def test_no_redirect_takes_the_fetch_or_the_token_elsewhere(
    folder: Path, status: int, moment: str, where: str
) -> None:
    with Server(private()) as other:
        targets = {
            "port": f"{other.url}{PATH}",
            "host": f"http://localhost:{other.port}{PATH}",
            "scheme": f"https://127.0.0.1:{other.port}{PATH}",
        }

        def leading_away(seen: Seen) -> Reply:
            location = f"{targets[where]}{seen.path.removeprefix(PATH)}"
            return Reply(status=status, headers={"Location": location})

        scripts: dict[str, Script] = {
            "first": leading_away,
            "signed in": private(get=leading_away),
            "post": private(post=leading_away),
        }
        with Server(scripts[moment]) as server:
            # A commit is not asked for among the refs, so that these are the requests of the fetch itself.
            problem = refused(server, folder, ref=COMMIT)
    assert type(problem) is ProviderAnswerUnexpected
    assert problem.evidence == f"git fetch {status}"
    assert other.connections == 0
    assert all(seen.path.startswith(PATH) for seen in server.seen)


# --- Words that look like options or other protocols --------------------------------------------------

ADDRESSES = [
    "--upload-pack=touch marker", "-u", "-c", "ext::sh -c 'touch marker'", "file:///etc", "/etc", "../origin.git",
    "ssh://git@127.0.0.1/a/b", "git@127.0.0.1:a/b", "git://127.0.0.1/a/b", "ftp://127.0.0.1/a/b",
    "fd::17", "transport::address", "http::http://127.0.0.1/a/b", "https://user@127.0.0.1/a/b",
    "https://made-up-token@127.0.0.1/a/b", "https://127.0.0.1/a%0ahost=evil.example/b", "https://127.0.0.1/a%0d/b",
    "https://127.0.0.1/--upload-pack=x/b", "http://127.0.0.1:80@evil.example/a/b",
]  # fmt: skip
REFS = [
    "--upload-pack=touch marker", "-u", "-c", "--exec=x", "a b", "a..b", "a:b", "^a", "a^{commit}", "a~1", "a@{1}",
    "@", "a*", "*", "refs/heads/*", "a?", "[a]", "a\\b", "a\nb", "a\x1b[2J", "/a", "a/", "a//b", ".a", "a/.b",
    "a.lock", "a.", "a\0b", "ext::sh", "x" * 2000, "refs/heads/", "--", ":refs/heads/x", "a\u202eb", "\ud800",
]  # fmt: skip


@pytest.mark.parametrize(
    ("url", "ref"), [*((url, "") for url in ADDRESSES), *(("https://127.0.0.1/a/b", ref) for ref in REFS)]
)
def test_what_is_no_address_or_no_name_never_reaches_git(
    folder: Path, url: str, ref: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    def nowhere(*arguments: object, **options: object) -> object:
        raise AssertionError("git was started")

    monkeypatch.setattr(child, "started", nowhere)
    with pytest.raises(RefNotFound if ref else AddressError):
        fetch.fetch(
            Remote(url=url, allow_private=True), login=login(), ref=ref, subdirectory="", folder=folder,
            limits=LIMITS, timeout_seconds=5, progress=NO_PROGRESS,
        )  # fmt: skip


# --- What lies in a repository ------------------------------------------------------------------------


def test_what_would_be_run_after_a_checkout_is_content(workshop: Workshop, folder: Path) -> None:
    marker = folder.parent / "marker"
    run = f"touch {marker}"
    files = {
        "hooks/post-checkout": f"#!/bin/sh\n{run}\n",
        "hooks/reference-transaction": f"#!/bin/sh\n{run}\n",
        "config": f'[core]\n\tfsmonitor = "{run}"\n\tbare = false\n\tworktree = .\n',
        "HEAD": "ref: refs/heads/main\n",
        "objects/info/alternates": "/etc\n",
        ".gitattributes": "* filter=evil diff=evil merge=evil\n*.txt text eol=crlf export-ignore ident\n",
        ".lfsconfig": "[lfs]\n\turl = http://127.0.0.1:1/\n",
        ".gitconfig": f'[filter "evil"]\n\tsmudge = {run}\n',
        ".mailmap": "A <a@b> <c@d>\n",
        "a.txt": "line\n$Id$\n$Format:%H$\n",
    }
    workshop.files(
        {path: text.encode() for path, text in files.items()}, modes={"hooks/post-checkout": "100755"}
    )
    with Server(private(workshop.serve, workshop.serve)) as server:
        content = fetched(server, folder)
    assert texts(content) == {path: text.encode() for path, text in files.items()}
    assert [file.path for file in content.files if file.executable] == ["hooks/post-checkout"]


def test_submodules_are_not_gone_to(workshop: Workshop, folder: Path) -> None:
    with Server(private()) as other, Server(private(workshop.serve, workshop.serve)) as server:
        urls = [f"{other.url}/a.git", f"{server.url}/../b.git", "../c.git", "ext::sh -c x", "-u/x"]
        modules = "".join(
            f'[submodule "m{number}"]\n\tpath = m{number}\n\turl = {url}\n'
            for number, url in enumerate(urls[:3])
        )
        listed = [
            ("100644", b".gitmodules", workshop.blob(modules.encode())),
            ("100644", b"a", workshop.blob(b"1")),
        ]
        listed += [("160000", b"m%d" % number, COMMIT) for number in range(3)]
        workshop.commit(workshop.tree(listed))
        content = fetched(server, folder)
        assert set(texts(content)) == {".gitmodules", "a"}
    assert content.remarks == [Remarked(path=f"m{number}", remark=Remark.SUBMODULE) for number in range(3)]
    assert other.connections == 0
    assert {seen.path.split(".git")[0] for seen in server.seen} == {PATH.removesuffix(".git")}


@pytest.mark.parametrize(
    "modules",
    [
        '[submodule "x"]\n\tpath = x\n\turl = -u./payload\n',
        '[submodule "x"]\n\tpath = -u\n\turl = http://a.example/b\n',
        '[submodule "../../x"]\n\tpath = x\n\turl = http://a.example/b\n',
        '[submodule "x"]\n\tpath = x\n\turl = http://a.example/%0ahost=b\n',
        '[submodule "x"]\n\tpath = x\n\turl = http://a.example/b\n\tupdate = !touch marker\n',
    ],
)
def test_a_list_of_submodules_that_would_be_dangerous_elsewhere_is_refused(
    workshop: Workshop, folder: Path, modules: str
) -> None:
    listed = [("100644", b".gitmodules", workshop.blob(modules.encode())), ("160000", b"x", COMMIT)]
    workshop.commit(workshop.tree(listed))
    with Server(private(workshop.serve, workshop.serve)) as server:
        problem = refused(server, folder)
    assert isinstance(problem, ContentRefused)
    assert problem.reason == Refusal.OBJECT_INVALID


@pytest.mark.parametrize(
    ("name", "reason"),
    [
        (b".git", Refusal.GIT_FOLDER), (b".GiT", Refusal.GIT_FOLDER), (b"git~1", Refusal.GIT_FOLDER),
        (".g\u200cit".encode(), Refusal.GIT_FOLDER), (b"..", Refusal.PATH_TRAVERSAL), (b".", Refusal.PATH_TRAVERSAL),
        (b"a/b", Refusal.OBJECT_INVALID), (b"", Refusal.OBJECT_INVALID),
    ],
)  # fmt: skip
def test_names_that_git_itself_does_not_take_are_refused_on_arrival(
    folder: Path, name: bytes, reason: Refusal
) -> None:
    below = tree_of([(b"100644", b"config", name_of(BLOB_TYPE, b"x"))])
    top = tree_of([(b"40000", name, name_of(TREE_TYPE, below))])
    commit = commit_of(name_of(TREE_TYPE, top))
    objects = [
        plain(COMMIT_TYPE, commit),
        plain(TREE_TYPE, top),
        plain(TREE_TYPE, below),
        plain(BLOB_TYPE, b"x"),
    ]
    with Server(handmade(name_of(COMMIT_TYPE, commit), sideband(pack(objects)))) as server:
        problem = refused(server, folder)
    assert isinstance(problem, ContentRefused)
    assert problem.reason == reason


# --- What a host offers beside the refs ---------------------------------------------------------------


KNOWN = (b"fetch=shallow wait-for-done filter\n", b"fetch=shallow wait-for-done\n", b"fetch=shallow\n")


@pytest.mark.parametrize("kind", ["bundle-uri", "packfile-uris"])
def test_no_other_place_is_gone_to_for_objects(workshop: Workshop, folder: Path, kind: str) -> None:
    workshop.files({"a": b"1"})
    workshop.configure("uploadpack.advertiseBundleURIs", "true")
    with Server(private()) as other:

        def offering(seen: Seen) -> Reply:
            answer = workshop.serve(seen)
            body = answer.body
            if kind == "bundle-uri":
                body = body.removesuffix(FLUSH) + pkt(b"bundle-uri\n") + FLUSH
            else:
                known = next(line for line in KNOWN if line in body)
                body = body.replace(pkt(known), pkt(known.rstrip(b"\n") + b" packfile-uris\n"))
            return Reply(headers=answer.headers, body=body)

        def posted(seen: Seen) -> Reply:
            assert b"packfile-uris" not in seen.body
            if b"command=bundle-uri" in seen.body:
                uri = f"bundle.mode=all bundle.a.uri={other.url}/a.bundle"
                return Reply(headers={"Content-Type": RESULT}, body=pkt(uri.encode()) + FLUSH)
            return workshop.serve(seen)

        with Server(private(offering, posted)) as server:
            assert texts(fetched(server, folder)) == {"a": b"1"}
    assert other.connections == 0


def test_a_host_of_files_alone_is_no_git_host_and_leads_nowhere(workshop: Workshop, folder: Path) -> None:
    """The protocol of old, in which a client fetches files, and is told of others to fetch from."""
    commit = workshop.files({"a": b"1"})
    workshop.run("update-server-info")
    with Server(private()) as other:

        def dumb(seen: Seen) -> Reply:
            name = seen.path.partition(".git/")[2].partition("?")[0]
            if name == "objects/info/http-alternates":
                return Reply(body=f"{other.url}/other.git\n".encode())
            if name == "HEAD":
                return Reply(body=b"ref: refs/heads/main\n")
            path = workshop.path / name
            if name.startswith("objects/") and seen.path.endswith(commit[2:]):
                return Reply(status=404)
            return Reply(body=path.read_bytes()) if path.is_file() else Reply(status=404)

        with Server(private(dumb)) as server:
            for ref in ("", commit):
                problem = refused(server, folder, ref=ref)
                assert type(problem) in {ProviderUnreachable, ProviderAnswerUnexpected}
    assert other.connections == 0


def test_objects_that_come_as_files_are_not_taken(workshop: Workshop, folder: Path) -> None:
    """A host that answers the question for refs as it should, and the fetch in the protocol of old."""
    workshop.files({f"f{number}": b"%d" % number for number in range(20)})
    workshop.run("update-server-info")
    asked: list[str] = []

    def get(seen: Seen) -> Reply:
        name = seen.path.partition(".git/")[2].partition("?")[0]
        if name == "info/refs":
            asked.append(name)
            if len(asked) == 1:
                return workshop.serve(seen)
        path = workshop.path / name
        return Reply(body=path.read_bytes()) if path.is_file() else Reply(status=404)

    with Server(private(get, workshop.serve)) as server:
        problem = refused(server, folder)
    assert type(problem) is ProviderUnreachable
    assert problem.evidence == "git fetch: no Git answer"


# --- Who asks for the credential ----------------------------------------------------------------------


def test_a_host_that_asks_again_in_the_middle_gets_no_second_answer(folder: Path) -> None:
    with Server(private(post=CHALLENGE)) as server:
        problem = refused(server, folder, ref=COMMIT)
    assert isinstance(problem, TokenRejected)
    assert sum(seen.method == "POST" for seen in server.seen) <= 2


def test_another_realm_gets_no_second_answer(workshop: Workshop, folder: Path) -> None:
    workshop.files({"a": b"1"})
    other_realm = Reply(status=401, headers={"WWW-Authenticate": 'Basic realm="evil.example"'})

    def post(seen: Seen) -> Reply:
        return other_realm if b"command=fetch" in seen.body else workshop.serve(seen)

    with Server(private(workshop.serve, post)) as server:
        assert isinstance(refused(server, folder), TokenRejected)


def test_a_host_that_asks_nobody_learns_nothing(workshop: Workshop, folder: Path) -> None:
    workshop.files({"a": b"1"})
    with Server(workshop.serve) as server:
        fetched(server, folder)
    assert not any(credentials_in(seen.headers) for seen in server.seen)


def test_nothing_around_leads_a_fetch_elsewhere(
    workshop: Workshop, folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    workshop.files({"a": b"1"})
    home = tmp_path / "home"
    home.mkdir()
    marker = tmp_path / "marker"
    with Server(lambda seen: CHALLENGE) as other, Server(private(workshop.serve, workshop.serve)) as server:
        config = (
            f'[url "{other.url}/"]\n insteadOf = {server.url}/\n[http]\n proxy = {other.url}\n'
            " extraHeader = X-Evil: 1\n"
            f"[credential]\n helper = !touch {marker}; echo\n[core]\n fsmonitor = touch {marker}\n"
            f" hooksPath = {home}\n alternateRefsCommand = touch {marker}\n[fetch]\n bundleURI = {other.url}/b\n"
            f" unpackLimit = 10000\n[init]\n templateDir = {home}\n"
        )
        (home / ".gitconfig").write_text(config)
        (home / ".netrc").write_text("machine 127.0.0.1 login a password b\n")
        (home / "reference-transaction").write_text(f"#!/bin/sh\ntouch {marker}\n")
        (home / "reference-transaction").chmod(0o755)
        for name, value in {
            "HOME": str(home), "XDG_CONFIG_HOME": str(home), "GIT_CONFIG_GLOBAL": str(home / ".gitconfig"),
            "GIT_CONFIG_SYSTEM": str(home / ".gitconfig"), "GIT_TEMPLATE_DIR": str(home), "http_proxy": other.url,
            "HTTPS_PROXY": other.url, "ALL_PROXY": other.url, "GIT_CONFIG_COUNT": "1",
            "GIT_CONFIG_KEY_0": "http.proxy", "GIT_CONFIG_VALUE_0": other.url, "GIT_ASKPASS": f"touch {marker}",
            "GIT_OBJECT_DIRECTORY": str(home), "GIT_ALTERNATE_OBJECT_DIRECTORIES": str(workshop.path / "objects"),
            "GIT_TRACE": str(marker), "GIT_TRACE_CURL": str(marker), "GIT_SSH_COMMAND": f"touch {marker}",
            "GIT_DIR": str(home), "GIT_WORK_TREE": str(home), "GIT_NAMESPACE": "x", "GIT_INDEX_FILE": str(marker),
        }.items():  # fmt: skip
            monkeypatch.setenv(name, value)
        content = fetched(server, folder)
        assert texts(content) == {"a": b"1"}
    assert other.connections == 0
    assert not any("X-Evil" in seen.headers for seen in server.seen)
    assert [is_signed_in(seen) for seen in server.seen] == [False, True, True, False, True, True, True]
    assert sorted(path.name for path in home.iterdir()) == [".gitconfig", ".netrc", "reference-transaction"]
