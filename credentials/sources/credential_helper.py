"""Git's credential helper for one run of git: answers once, for one host, out of a pipe.

A program of its own, run with ``python -I -S``, so that no token stands in a command line, an environment
or a file (gitcredentials(7), "Custom helpers").

    credential_helper.py ANSWER_FD REPORT_FD get|store|erase

The pipe ANSWER_FD holds four lines: protocol, host (with its port, where it is not the usual one), user
name and password. It can be read a single time: whoever asks again finds it empty. An empty pipe is what
git gets on behalf of nobody. REPORT_FD learns what git asked for and what became of it, which is more
than git's own messages tell reliably: git says ``erase`` if the host refused the answer, and ``store`` if
it accepted it.
"""

from __future__ import annotations

import os
import sys

QUIT = b"quit=1\n"
QUESTION_LIMIT = 64 * 1024
ANSWER_LIMIT = 64 * 1024
REPORTS = {"store": b"accepted\n", "erase": b"rejected\n"}


def origin_of(question: bytes) -> tuple[bytes, bytes] | None:
    """Protocol and host that git names; None for anything that git would not write.

    Lines end in LF alone: a reader that also takes CR, or stops at NUL, can be made to see another host
    than git does (CVE-2020-5260, CVE-2024-50338, CVE-2024-52006).
    """
    if b"\r" in question or b"\0" in question or len(question) > QUESTION_LIMIT:
        return None
    found: dict[bytes, bytes] = {}
    for line in question.split(b"\n\n", 1)[0].removesuffix(b"\n").split(b"\n"):
        name, equals, value = line.partition(b"=")
        if not equals or (name in found and not name.endswith(b"[]")):
            return None
        found[name] = value
    protocol, host = found.get(b"protocol", b""), found.get(b"host", b"")
    return (protocol, host) if protocol and host else None


def reply(question: bytes, answer: bytes) -> bytes:
    """What git is told: user name and password for exactly the host the answer is for, else to give up.

    ``quit=1`` also keeps git from asking any other helper, program or person.
    """
    lines = answer.split(b"\n")
    if len(lines) != 4 or origin_of(question) != (lines[0], lines[1]):  # noqa: PLR2004  # as described above
        return QUIT
    return b"username=%s\npassword=%s\n" % (lines[2], lines[3])


def _everything(descriptor: int, limit: int) -> bytes:
    """What there is, up to one byte more than ``limit``."""
    parts = b""
    while len(parts) <= limit and (block := os.read(descriptor, limit + 1 - len(parts))):
        parts += block
    return parts


def main(words: list[str]) -> None:
    """Do what the words say; see the top of the file."""
    answer, report, operation = int(words[0]), int(words[1]), words[2]
    question = _everything(0, QUESTION_LIMIT)
    if operation != "get":
        os.write(report, REPORTS.get(operation, b""))
        return
    told = reply(question, _everything(answer, ANSWER_LIMIT))
    os.write(report, b"refused\n" if told == QUIT else b"answered\n")
    os.write(1, told)


if __name__ == "__main__":
    main(sys.argv[1:])
