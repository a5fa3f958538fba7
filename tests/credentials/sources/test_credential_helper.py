"""The helper answers once, for one host, and reads lines as Git writes them."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from credentials.sources import credential_helper
from credentials.sources.credential_helper import QUIT, origin_of, reply
from credentials.sources.git import HELPER

ANSWER = b"https\ngit.example:8443\noctocat\nmade-up-token"
QUESTION = b"protocol=https\nhost=git.example:8443\n\n"
TOLD = b"username=octocat\npassword=made-up-token\n"


def test_the_host_it_was_made_for_gets_the_answer() -> None:
    assert reply(QUESTION, ANSWER) == TOLD
    assert reply(QUESTION.rstrip(b"\n"), ANSWER) == TOLD


def test_what_newer_gits_say_besides_is_passed_over() -> None:
    more = b"capability[]=authtype\ncapability[]=state\nwwwauth[]=Basic realm=a\nusername=x\n"
    assert reply(more + QUESTION, ANSWER) == TOLD


@pytest.mark.parametrize(
    "question",
    [
        b"", b"\n", b"host=git.example:8443\n\n", b"protocol=https\n\n",
        b"protocol=http\nhost=git.example:8443\n\n", b"protocol=HTTPS\nhost=git.example:8443\n\n",
        b"protocol=https\nhost=git.example\n\n", b"protocol=https\nhost=git.example:8444\n\n",
        b"protocol=https\nhost=GIT.example:8443\n\n", b"protocol=https\nhost=git.example:8443.\n\n",
        b"protocol=https\nhost=git.example:8443 \n\n", b"protocol=https\nhost=\n\n",
        b"protocol=https\nhost=evil.example\nhost=git.example:8443\n\n",
        b"protocol=https\nhost=git.example:8443\nhost=evil.example\n\n",
        b"protocol=https\nhost=evil.example\r\nhost=git.example:8443\n\n",
        b"protocol=https\nhost=evil.example\rhost=git.example:8443\n\n",
        b"protocol=https\r\nhost=git.example:8443\r\n\r\n",
        b"protocol=https\nhost=git.example:8443\0.evil.example\n\n",
        b"protocol=https\nhost=git.example:8443\nwwwauth[]=a\rhost=b\n\n",
        b"\nprotocol=https\nhost=git.example:8443\n\n",
        b"nonsense\nprotocol=https\nhost=git.example:8443\n\n",
        b"protocol=https\nhost=evil.example\n\nhost=git.example:8443\n\n",
        b"path=" + b"a" * 70_000 + b"\n" + QUESTION,
    ],
)  # fmt: skip
def test_any_other_question_is_told_to_give_up(question: bytes) -> None:
    assert reply(question, ANSWER) == QUIT


@pytest.mark.parametrize(
    "answer", [b"", b"https\ngit.example:8443", ANSWER + b"\nmore", b"\n\n\n", b"\n" * 9]
)
def test_an_answer_that_is_not_whole_is_none(answer: bytes) -> None:
    assert reply(QUESTION, answer) == QUIT


WORDS = st.sampled_from(
    [b"protocol", b"host", b"=", b"\n", b"\n\n", b"\r", b"\0", b"https", b"git.example:8443", b"evil.example",
     b"path", b" ", b"%0a", b"[]", b"\xc2\x85", b"\xe2\x80\xa8", b"\x0b", b"\x0c"]
)  # fmt: skip


@given(st.lists(WORDS, max_size=12).map(b"".join) | st.binary(max_size=60))
@example(QUESTION)
def test_whoever_is_answered_named_exactly_the_host(question: bytes) -> None:
    if reply(question, ANSWER) != QUIT:
        lines = question.split(b"\n\n")[0].split(b"\n")
        assert b"protocol=https" in lines
        assert b"host=git.example:8443" in lines
        assert sum(line.startswith(b"host=") for line in lines) == 1
        assert not set(question) & set(b"\r\0")


def test_only_line_feeds_end_lines() -> None:
    for other in (b"\x0b", b"\x0c", b"\x1c", b"\xc2\x85", b"\xe2\x80\xa8"):
        found = origin_of(b"protocol=https" + other + b"host=git.example:8443\n\n")
        assert found is None


def helper(answer: int, report: int, operation: str, question: bytes = QUESTION) -> bytes:
    """What the program itself prints, run as git runs it."""
    command = [sys.executable, "-I", "-S", str(HELPER), str(answer), str(report), operation]
    done = subprocess.run(command, input=question, capture_output=True, check=True, pass_fds=(answer, report))
    assert done.stderr == b""
    return done.stdout


def test_the_program_answers_once_and_reports_what_it_was_asked() -> None:
    (answer, giving), (reading, report) = os.pipe(), os.pipe()
    try:
        os.write(giving, ANSWER)
        os.close(giving)
        assert helper(answer, report, "store") == b""
        assert helper(answer, report, "get") == TOLD
        assert helper(answer, report, "get") == QUIT
        assert helper(answer, report, "erase") == b""
        assert helper(answer, report, "capability") == b""
        os.close(report)
        assert os.read(reading, 1000) == b"accepted\nanswered\nrefused\nrejected\n"
    finally:
        os.close(answer)
        os.close(reading)


def test_a_wrong_question_spends_the_answer() -> None:
    (answer, giving), (reading, report) = os.pipe(), os.pipe()
    os.write(giving, ANSWER)
    os.close(giving)
    assert helper(answer, report, "get", b"protocol=https\nhost=evil.example\n\n") == QUIT
    assert helper(answer, report, "get") == QUIT
    for descriptor in (answer, reading, report):
        os.close(descriptor)


def test_the_program_needs_nothing_but_python() -> None:
    text = Path(credential_helper.__file__).read_text("utf-8")
    imports = {line.split()[1] for line in text.splitlines() if line.startswith(("import ", "from "))}
    assert imports == {"__future__", "os", "sys"}
