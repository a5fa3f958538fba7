"""A table of addresses as people and attackers write them."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from credentials.errors import AddressInvalid
from credentials.providers.repository_url import MAXIMUM_LENGTH, RepositoryAddress, parse

CASES = "https://github.com/acme/cases"

ACCEPTED: tuple[tuple[str, str], ...] = (
    # As copied from the browser or the clone button
    ("https://github.com/acme/cases", CASES),
    ("https://github.com/acme/cases.git", CASES),
    ("https://github.com/acme/cases/", CASES),
    ("https://github.com/acme/cases//", CASES),
    ("https://github.com/acme/cases.git/", CASES),
    ("https://github.com/acme/cases.GIT", CASES),
    ("  https://github.com/acme/cases  ", CASES),
    ("\nhttps://github.com/acme/cases\r\n", CASES),
    ("HTTPS://github.com/acme/cases", CASES),
    ("https://GitHub.COM/acme/cases", CASES),
    ("https://github.com:443/acme/cases", CASES),
    ("https://github.com/acme/cases?tab=readme-ov-file", CASES),
    ("https://github.com/acme/cases#readme", CASES),
    ("https://github.com/acme/cases?a=b#c", CASES),
    ("https://github.com/acme/cases.git?x=/../../etc", CASES),
    ("https://github.com/acme/cases#@evil.example/", CASES),
    ("https://github.com/%61cme/cases", CASES),
    ("https://github.com/acme/c%61ses.git", CASES),
    ("https://github.com/acme/cases%2Egit", CASES),
    ("https://github.com/acme/cases%2egit", CASES),
    ("https://github.com/acme/cases.git?ref=main#L1", CASES),
    ("https://github.com:443/acme/cases.git/", CASES),
    ("github.com/acme/cases", CASES),
    ("github.com/acme/cases.git", CASES),
    ("GITHUB.com/acme/cases/", CASES),
    ("https://github.com/Acme/Cases", "https://github.com/Acme/Cases"),
    ("https://github.com", "https://github.com"),
    ("https://github.com/", "https://github.com"),
    ("https://github.com?x", "https://github.com"),
    ("https://github.com/acme", "https://github.com/acme"),
    ("https://github.com/acme/cases.git.git", "https://github.com/acme/cases.git"),
    ("https://github.com/acme/.github", "https://github.com/acme/.github"),
    ("https://github.com/acme/...", "https://github.com/acme/..."),
    ("https://github.com/a-b/c_d.e", "https://github.com/a-b/c_d.e"),
    ("https://github.com/a/b-", "https://github.com/a/b-"),
    # SSH forms become HTTPS of the same host
    ("git@github.com:acme/cases.git", CASES),
    ("git@github.com:acme/cases", CASES),
    ("git@github.com:/acme/cases.git", CASES),
    ("git@GitHub.com:acme/cases.git/", CASES),
    ("org-4711@github.com:acme/cases.git", CASES),
    ("ssh://git@github.com/acme/cases.git", CASES),
    ("ssh://git@github.com:22/acme/cases.git", CASES),
    ("ssh://github.com/acme/cases", CASES),
    ("ssh://git@github.com:2222/acme/cases.git/", CASES),
    ("ssh://git@[::1]:2222/acme/cases.git", "https://[::1]/acme/cases"),
    ("git@git.example.org:~alice/cases.git", "https://git.example.org/~alice/cases"),
    ("SSH://git@github.com/acme/cases.git", CASES),
    ("ssh://git@ssh.github.com:443/acme/cases.git", CASES),
    ("git@ssh.github.com:acme/cases.git", CASES),
    ("git@altssh.gitlab.com:acme/cases.git", "https://gitlab.com/acme/cases"),
    ("ssh://git@altssh.bitbucket.org:443/acme/cases.git", "https://bitbucket.org/acme/cases"),
    ("git@ssh.dev.azure.com:v3/acme/cases/cases", "https://dev.azure.com/acme/cases/_git/cases"),
    ("ssh://git@ssh.dev.azure.com/v3/acme/My%20Cases/a", "https://dev.azure.com/acme/My%20Cases/_git/a"),
    ("git@ssh.dev.azure.com:v3/acme/cases", "https://dev.azure.com/v3/acme/cases"),
    ("git@git.example.com:v3/acme/cases/cases", "https://git.example.com/v3/acme/cases/cases"),
    ("ssh://git@git.example.org:7999/proj/repo.git", "https://git.example.org/proj/repo"),
    ("forgejo@codeberg.org:acme/cases.git", "https://codeberg.org/acme/cases"),
    ("git@gitlab:acme/cases.git", "https://gitlab/acme/cases"),
    ("git@[::1]:acme/cases.git", "https://[::1]/acme/cases"),
    ("git@git.example.org:22/acme", "https://git.example.org/22/acme"),
    # Other hosts, ports and depths
    ("https://gitlab.com/group/sub/deeper/project.git", "https://gitlab.com/group/sub/deeper/project"),
    ("https://gitlab.com/acme/cases/-/tree/main", "https://gitlab.com/acme/cases/-/tree/main"),
    ("https://bitbucket.org/acme/cases", "https://bitbucket.org/acme/cases"),
    ("https://codeberg.org/acme/cases", "https://codeberg.org/acme/cases"),
    ("https://git.example.org:8443/acme/cases", "https://git.example.org:8443/acme/cases"),
    ("https://git.example.org:80/acme/cases", "https://git.example.org:80/acme/cases"),
    ("https://git.example.org/scm/~alice/repo.git", "https://git.example.org/scm/~alice/repo"),
    ("https://git.example.org/gitlab/acme/cases", "https://git.example.org/gitlab/acme/cases"),
    ("https://dev.azure.com/org/My%20Project/_git/repo", "https://dev.azure.com/org/My%20Project/_git/repo"),
    ("https://git.example.org/gruppe/%C3%BCbung", "https://git.example.org/gruppe/%C3%BCbung"),
    ("https://git.example.org/gruppe/übung", "https://git.example.org/gruppe/%C3%BCbung"),
    ("https://git.example.org/a+b/c@d", "https://git.example.org/a+b/c@d"),
    ("https://xn--bcher-kva.example/a/b", "https://xn--bcher-kva.example/a/b"),
    ("https://XN--BCHER-KVA.example/a/b", "https://xn--bcher-kva.example/a/b"),
    # Look-alikes in a path stay what they are: other names, and never a separator or a dot
    ("https://github.com/\u0430cme/cases", "https://github.com/%D0%B0cme/cases"),
    ("https://github.com/acme\uff0fcases", "https://github.com/acme%EF%BC%8Fcases"),
    ("https://github.com/acme/\uff0e\uff0e/evil", "https://github.com/acme/%EF%BC%8E%EF%BC%8E/evil"),
    ("https://github.com/acme/..;/evil", "https://github.com/acme/..%3B/evil"),
    ("http://127.0.0.1:8900/acme/cases.git", "http://127.0.0.1:8900/acme/cases"),
    ("http://localhost:8900/acme/cases", "http://localhost:8900/acme/cases"),
    ("http://localhost:80/acme/cases", "http://localhost/acme/cases"),
    ("http://localhost:443/acme/cases", "http://localhost:443/acme/cases"),
    ("https://gitlab/acme/cases", "https://gitlab/acme/cases"),
    ("https://192.0.2.7/acme/cases", "https://192.0.2.7/acme/cases"),
    ("https://[2001:DB8::0:1]/acme/cases", "https://[2001:db8::1]/acme/cases"),
    ("https://[::1]:8443/acme/cases", "https://[::1]:8443/acme/cases"),
    ("https://[::ffff:1.2.3.4]/a", "https://[::ffff:102:304]/a"),
    ("https://1.example/a/b", "https://1.example/a/b"),
    ("https://3com.com/a/b", "https://3com.com/a/b"),
    ("https://a.b.c.d.e.example/x/y", "https://a.b.c.d.e.example/x/y"),
)

REFUSED: tuple[str, ...] = (
    # Nothing, or nothing of an address
    "", " ", "\n", "acme/cases", "acme", "cases.git", "see the wiki", "https", "https:", "https:/", "https://",
    "https:github.com/acme/cases", "https:/github.com/acme/cases", "//github.com/acme/cases", "/acme/cases",
    "./cases", "../cases", "~/cases", "~alice/cases", "C:\\cases", "C:/cases", "\\\\server\\share", "github.com",
    "localhost/acme/cases", "127.0.0.1/acme/cases", "?", "#", "@", ":", "/", ".", "..", "-",
    # Other schemes and Git's own transports
    "file:///etc/passwd", "file:/etc/passwd", "file://localhost/etc/passwd", "ftp://example.org/x",
    "git://github.com/acme/cases", "git+ssh://git@github.com/acme/cases", "git+https://github.com/acme/cases",
    "ext::sh -c touch% /tmp/x", "ext::ssh://x", "fd::17", "fd::17/foo", "javascript:alert(1)", "data:text/plain,x",
    "transport::address", "http::https://x", "gopher://x/y", "ldap://x/y", "dict://x:1/y", "tftp://x/y",
    "EXT::sh -c id", "FILE:///etc/passwd", "git:///acme/cases", "git:github.com/acme/cases", "git://", "ssh://",
    "ssh:///acme/cases", "ssh:git@github.com/acme", "view-source:https://github.com/acme/cases",
    "blob:https://github.com/acme", "https://https://github.com/acme/cases", "<https://github.com/acme/cases>",
    "git clone https://github.com/acme/cases", "https://github.com/acme/cases https://evil.example/a",
    "svn+ssh://x/y", "rsync://x/y", "ssh+git://x/y", "1https://github.com/acme/cases", "+https://x/y",
    # Options in disguise
    "-oProxyCommand=touch /tmp/x", "--upload-pack=touch", "ssh://-oProxyCommand=x/acme/cases",
    "git@-oProxyCommand=x:acme/cases", "-x@github.com:acme/-cases", "https://-evil.example/a/b",
    "https://github.com/--upload-pack=x/cases", "https://github.com/acme/-c", "git@github.com:-acme/cases",
    "https://github.com/%2D%2Dupload-pack/cases", "ssh://git@-oProxyCommand=x/a/b", "git@-x.example:acme/cases",
    "ssh://git@github.com:-oProxyCommand=x/a", "git@github.com:acme/--upload-pack=x",
    # User names, passwords and tokens
    "https://alice@github.com/acme/cases", "https://alice:secret@github.com/acme/cases",
    "https://:secret@github.com/acme/cases", "https://@github.com/acme/cases", "https://:@github.com/a/b",
    "https://oauth2:x@gitlab.com/a/b", "https://github.com@evil.example/acme/cases",
    "https://github.com%40evil.example/acme/cases", "https://github.com:443@evil.example/a/b",
    "https://github.com:443@/a", "https://github.com:80@evil.example/a", "https://user:%40@github.com/a",
    "https://a@b@github.com/acme/cases", "ssh://git:secret@github.com/acme/cases",
    "ssh://a@b@github.com/acme/cases", "a:b@github.com:acme/cases", "x y@github.com:acme/cases",
    "ghp_" + "a" * 36 + "@github.com:acme/cases", "ssh://" + "0123456789abcdef0123456789abcdef01234567@x.org/a/b",
    # Hosts that are read differently by different programs
    "https:///acme/cases", "https:////github.com/acme", "https://./a", "https://../a", "https://.github.com/a",
    "https://github.com./acme/cases", "https://github..com/a", "https://git_hub.com/a", "https://git hub.com/a",
    "https://github.com-/a", "https://-github.com/a", "https://github.c-/a", "https://127.1/a", "https://127.0.1/a",
    "https://0x7f.1/a", "https://0x7f000001/a", "https://2130706433/a", "https://017700000001/a",
    "https://0177.0.0.1/a", "https://127.0.0.01/a", "https://1.2.3.4.5/a", "https://256.1.1.1/a", "https://1.2.3/a",
    "https://example.0/a", "https://example.0x/a", "https://①②⑦.⓪.⓪.①/a", "https://127。0。0。1/a",
    "https://\uff47ithub.com/a", "https://g\u0131thub.com/a", "https://bücher.example/a", "https://github.com\u3002evil/a",
    "https://github\u200b.com/a", "https://github\u00ad.com/a", "https://%67ithub.com/a", "https://github%2ecom/a",
    "https://[::1/a", "https://::1/a", "https://[::1]x/a", "https://[fe80::1%25eth0]/a", "https://[fe80::1%eth0]/a",
    "https://[github.com]/a", "https://[]/a", "https://[1.2.3.4]/a", "https://" + "a" * 64 + ".example/a",
    "https://" + "a.a" * 100 + "/a", "https://github.com,evil.example/a", "https://github.com;evil/a",
    "https://github.com&evil/a", "https://$HOME/a", "https://`id`/a", "https://github.com\\@evil.example/a",
    "https://github.com\\.evil.example/a", "https:\\\\github.com\\acme", "https://g\u0456thub.com/acme/cases",
    "https://github.com\uff0facme/cases", "https://github.com\u2044acme/cases", "https://github.com%00.evil.example/a",
    "https://github.com%0d%0aHost:evil/a", "https://0/a", "https://00.0.0.0/a", "https://0xA.1.1.1/a", "https://localhost./a",
    "https://[2001:db8::1%]/a", "https://" + "a." * 200 + "example/a/b",
    # Ports
    "https://github.com:/a", "https://github.com:0/a", "https://github.com:65536/a", "https://github.com:99999/a",
    "https://github.com:443443/a", "https://github.com:0443/a", "https://github.com:-1/a", "https://github.com:+1/a",
    "https://github.com:4 4/a", "https://github.com:abc/a", "https://github.com:443:443/a", "https://127.0.0.1:00080/a",
    "ssh://git@github.com:0/acme/cases", "ssh://git@github.com:65536/acme/cases", "https://github.com:٤٤٣/a",
    # Paths
    "https://github.com/../acme", "https://github.com/acme/..", "https://github.com/acme/../evil/cases",
    "https://github.com/./acme", "https://github.com/acme/.", "https://github.com/%2e%2e/acme",
    "https://github.com/.%2E/acme", "https://github.com/%2E/acme", "https://github.com/acme//cases",
    "https://github.com//acme/cases", "https://github.com/acme/.git", "https://github.com/acme/..git",
    "https://github.com/acme/...git", "https://github.com/acme%2Fcases", "https://github.com/acme%5Ccases",
    "https://github.com/acme\\cases", "https://github.com/acme%252Fcases", "https://github.com/%2525",
    "https://github.com/acme/cases%", "https://github.com/acme/%zz", "https://github.com/acme/%2",
    "https://github.com/acme/%ff%fe", "https://github.com/acme/%C0%AE", "https://github.com/acme/%ED%A0%80",
    "https://github.com/acme/%3Fx", "https://github.com/acme/%23x", "https://github.com/acme/%20cases",
    "https://github.com/acme/cases%20", "https://github.com/acme/ cases", "git@github.com:", "git@github.com:/",
    "ssh://git@github.com", "ssh://git@github.com/", "git@github.com:../acme", "git@github.com:acme//cases",
    "git@:acme/cases", "user@ext::sh -c id", "https://github.com/%252e%252e/acme", "https://github.com/acme/..%2f..",
    "https://github.com/acme/..%5c..", "https://github.com/acme/%25252Fcases", "git@github.com:acme/cases/../evil",
    "ssh://git@github.com//acme/cases", "git@github.com:acme/cases.git?x", "git@github.com:acme/cases.git#main",
    # Control characters, raw and encoded
    "https://github.com/acme/ca\nses", "https://github.com/acme/ca\rses", "https://github.com/acme/ca\x00ses",
    "https://github.com/acme/ca\tses", "https://github.com/acme/ca\x1bses", "https://github.com/acme/ca\x7fses",
    "https://github.com/acme/ca\u2028ses", "https://github.com/acme/ca\u202eses", "https://github.com/acme/ca\u200bses",
    "https://github.com/acme/%0acases", "https://github.com/acme/%0d%0aHost:evil", "https://github.com/acme/%00",
    "https://github.com/acme/%1b", "https://github.com/acme/%7f", "https://github.com/acme/%E2%80%AE",
    "https://github.com/acme%00/cases", "https://github.com/acme/cases%00.git", "https://github.com/%E2%80%8Bacme/cases",
    "https://github.com/acme/cases%E2%80%8E", "https://github.com/acme/ca\u00adses", "https://github.com/acme/cases\u00a0",
    "\u202ehttps://github.com/acme/cases", "https://github.com/acme/%C2%85", "https://github.com\n.evil.example/a", "\x00https://github.com/acme/cases",
    "https://github.com/" + "a" * MAXIMUM_LENGTH,
)  # fmt: skip


def test_the_table_has_more_than_200_addresses() -> None:
    assert len({*REFUSED, *(typed for typed, _canonical in ACCEPTED)}) >= 330


@pytest.mark.parametrize(("typed", "canonical"), ACCEPTED)
def test_an_address_is_read_into_its_canonical_form(typed: str, canonical: str) -> None:
    assert parse(typed).text == canonical


@pytest.mark.parametrize(("_typed", "canonical"), ACCEPTED)
def test_reading_a_canonical_address_changes_nothing(_typed: str, canonical: str) -> None:
    # A repository may be called "x.git"; its canonical address then loses that ending when read again.
    if not canonical.endswith(".git"):
        assert parse(canonical) == parse(parse(canonical).text)
        assert parse(canonical).text == canonical


@pytest.mark.parametrize("typed", REFUSED)
def test_a_hostile_or_broken_address_is_refused_and_never_repeated(typed: str) -> None:
    with pytest.raises(AddressInvalid) as caught:
        parse(typed)
    message = str(caught.value)
    assert message.endswith(".")
    for word in ("secret", "evil", "alice", "ghp_"):
        assert word not in message


@pytest.mark.parametrize(
    "typed",
    [
        "https://alice@bitbucket.org/acme/cases.git",
        "https://oauth2:secret@gitlab.com/a/b",
        "ssh://git:secret@github.com/acme/cases",
        "ghp_" + "a" * 36 + "@github.com:acme/cases",
    ],
)
def test_whoever_pastes_a_user_name_or_token_is_told_to_remove_it(typed: str) -> None:
    with pytest.raises(AddressInvalid, match="Remove the user name or token"):
        parse(typed)


@settings(deadline=None, max_examples=500)
@given(
    st.one_of(
        st.text(max_size=80),
        st.text(alphabet="https:/.@git%2eA-\\[]#?&=0x", max_size=60),
        st.builds("https://{}/{}".format, st.text(max_size=20), st.text(max_size=30)),
        st.builds("git@{}:{}".format, st.text(max_size=20), st.text(max_size=30)),
    )
)
def test_whatever_is_typed_gives_a_plain_address_or_a_refusal(typed: str) -> None:
    try:
        address = parse(typed)
    except AddressInvalid:
        return
    text = address.text
    assert text.isascii()
    assert text.isprintable()
    assert not set(text) & set(" \\@?#\"'<>`") - {"@"}
    assert "@" not in address.origin
    assert text.startswith(("https://", "http://"))
    assert address.hostname == address.hostname.lower()
    assert not any(segment in {"", ".", ".."} for segment in address.segments)


def test_the_parts_are_told_apart() -> None:
    address = parse("https://Git.Example.org:8443/Acme/My%20Cases.git")
    assert address == RepositoryAddress(
        scheme="https", hostname="git.example.org", port=8443, segments=("Acme", "My Cases")
    )
    assert address.origin == "https://git.example.org:8443"
    assert address.path == "/Acme/My%20Cases"


@pytest.mark.parametrize(
    ("prefix", "covered"),
    [
        ((), True),
        (("acme",), True),
        (("ACME",), True),
        (("acme", "cases"), True),
        (("acme", "CASES"), True),
        (("acme-evil",), False),
        (("acm",), False),
        (("acme", "case"), False),
        (("acme", "cases-evil"), False),
        (("acme", "cases", "deeper"), False),
        (("cases",), False),
    ],
)
def test_a_prefix_covers_whole_segments_only(prefix: tuple[str, ...], covered: bool) -> None:
    assert parse(CASES).segments_start_with(prefix) is covered


def test_only_a_to_z_are_compared_without_case() -> None:
    kelvin = parse("https://github.com/\u212aelvin/x")
    assert not kelvin.segments_start_with(("kelvin",))
    assert not parse("https://github.com/stra%C3%9Fe/x").segments_start_with(("strasse",))
