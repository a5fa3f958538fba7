"""The pieces of pages: everything that is not ours is escaped, and origins are compared whole."""

from __future__ import annotations

import pytest

from project.sandbox import pages
from tests.project.sandbox.test_wire import request

EVIL = "\"'><script>alert(1)</script>"


@pytest.mark.parametrize(
    "html",
    [
        pages.paragraph(EVIL),
        pages.heading(EVIL),
        pages.form(EVIL),
        pages.hidden(EVIL, EVIL),
        pages.button(EVIL, name=EVIL, value=EVIL),
        pages.checkbox(EVIL, name=EVIL, value=EVIL),
        pages.text_field(EVIL, name=EVIL, value=EVIL),
        pages.choice(EVIL, name=EVIL, options=[EVIL]),
        pages.fieldset(EVIL),
        str(pages.page(EVIL).body),
    ],
)
def test_no_piece_of_a_page_lets_a_script_through(html: str) -> None:
    assert "<script" not in html
    assert f'"{EVIL}' not in html


@pytest.mark.parametrize(
    ("origin", "own"),
    [
        (None, True),
        ("http://127.0.0.1:8900", True),
        ("http://127.0.0.1:8901", False),
        ("https://127.0.0.1:8900", False),
        ("http://localhost:8900", False),
        ("null", False),
        ("", False),
    ],
)
def test_only_the_hosts_own_origin_or_none_at_all_is_its_own(origin: str | None, *, own: bool) -> None:
    headers = {"Host": "127.0.0.1:8900"} | ({} if origin is None else {"Origin": origin})
    assert pages.is_own_origin(request(headers=headers)) is own
