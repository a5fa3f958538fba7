"""Every text of the product stands in Simplified Chinese too, and what is compiled is what was written."""

from __future__ import annotations

import ast
import gettext
import os
import re
import shutil
import subprocess
import sys
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import django
import pytest
from django.apps import apps
from django.conf import settings
from django.utils.translation import override, to_locale

from credentials.verdicts import Text
from credentials.verdicts.catalog import CATALOG
from credentials.verdicts.variants import MESSAGES, VARIANTS

ROOT = Path(__file__).resolve().parent.parent
LOCALES = ROOT / "credentials" / "locale"
WRITTEN = LOCALES / "zh_Hans" / "LC_MESSAGES" / "django.po"
COMPILED = WRITTEN.with_suffix(".mo")
# A name, an abbreviation, and names with a mark between them.
WITHOUT_A_WORD = {
    "OAuth",
    "Git",
    "ZIP",
    "%(done)s of %(total)s",
    "id %(id)s",
    "%(organization)s: %(state)s.",
    "%(title)s. %(summary)s",
    "<strong>%(title)s.</strong> %(summary)s",
}

# Our words for these also stand on pages of Django and the packages, and fit there.
ALSO_THEIRS = {
    "Created",
    "Remove",
    "Send me a sign-in code",
    "Sign in with a passkey",
    "created",
    "name",
    "provider",
}

HAN = re.compile(r"[\u4e00-\u9fff]")
PLACEHOLDER = re.compile(r"%\(\w+\)[sd]|%[sd]|\{\w*\}|</?\w+>")
LINE = re.compile(r'(?P<keyword>msgctxt|msgid_plural|msgid|msgstr(?:\[\d\])?)? ?(?P<text>".*")')


@dataclass(frozen=True, kw_only=True)
class Entry:
    """One message of a .po file; ``translations`` holds one text, or one for each plural form."""

    context: str
    message: str
    plural: str
    translations: tuple[str, ...]
    is_fuzzy: bool
    is_obsolete: bool

    @property
    def key(self) -> str:
        """The name under which a compiled file has it."""
        return f"{self.context}\x04{self.message}" if self.context else self.message


def entries(text: str) -> Iterator[Entry]:
    """The messages of a .po file, its head left out."""
    for block in text.split("\n\n"):
        found: dict[str, str] = {}
        keyword = ""
        for line in block.splitlines():
            part = LINE.fullmatch(line.removeprefix("#~ "))
            if part is None:
                assert line.startswith("#"), f"not a line of a .po file: {line}"
                continue
            keyword = part["keyword"] or keyword
            found[keyword] = found.get(keyword, "") + ast.literal_eval(part["text"])
        if found.get("msgid"):
            yield Entry(
                context=found.get("msgctxt", ""),
                message=found["msgid"],
                plural=found.get("msgid_plural", ""),
                translations=tuple(text for name, text in found.items() if name.startswith("msgstr")),
                is_fuzzy=bool(re.search(r"^#,.*\bfuzzy\b", block, re.MULTILINE)),
                is_obsolete="#~ " in block,
            )


@pytest.fixture(scope="module")
def written() -> tuple[Entry, ...]:
    return tuple(entries(WRITTEN.read_text(encoding="utf-8")))


@pytest.fixture(scope="module")
def in_the_code(tmp_path_factory: pytest.TempPathFactory) -> tuple[Entry, ...]:
    """What ``make messages`` would find now, from a copy of the sources.

    Where GNU gettext is missing, the test is left out, or fails under FORGEKEY_REQUIRE_ALL.
    """
    if not all(map(shutil.which, ("xgettext", "msguniq", "msgmerge", "msgattrib"))):
        reason = "translations: GNU gettext is not installed"
        if os.environ.get("FORGEKEY_REQUIRE_ALL"):
            pytest.fail(reason)
        pytest.skip(reason)
    copy = tmp_path_factory.mktemp("sources")
    left_out = shutil.ignore_patterns("sandbox", "locale", "__pycache__")
    for name in ("credentials", "project", "templates"):
        shutil.copytree(ROOT / name, copy / name, ignore=left_out)
    shutil.copy(ROOT / "manage.py", copy)
    (copy / "credentials" / "locale").mkdir()
    command = ("makemessages", "--locale", "zh_Hans", "--no-location", "--no-obsolete")
    subprocess.run(
        [sys.executable, "manage.py", *command],
        cwd=copy,
        env=os.environ
        | {"DATA_DIR": str(tmp_path_factory.mktemp("data")), "DJANGO_SETTINGS_MODULE": "project.settings"},
        check=True,
        capture_output=True,
    )
    found = copy / WRITTEN.relative_to(ROOT)
    return tuple(entries(found.read_text(encoding="utf-8")))


def test_every_text_of_the_code_is_translated_and_nothing_else_is(
    in_the_code: tuple[Entry, ...], written: tuple[Entry, ...]
) -> None:
    wanted = {(entry.context, entry.message, entry.plural) for entry in in_the_code}
    kept = {(entry.context, entry.message, entry.plural) for entry in written}
    assert len(wanted) > 500, "the search itself found too little"
    assert wanted - kept == set(), "not translated: run `make messages`, then write these texts"
    assert kept - wanted == set(), "no longer in the code: run `make messages`"


def test_no_text_is_empty_doubtful_or_left_over(written: tuple[Entry, ...]) -> None:
    assert [entry.message for entry in written if entry.is_fuzzy or entry.is_obsolete] == []
    assert [entry.message for entry in written if not all(entry.translations) or not entry.translations] == []


def test_every_text_is_chinese(written: tuple[Entry, ...]) -> None:
    texts = [(entry.message, text) for entry in written for text in entry.translations]
    assert {message for message, text in texts if not HAN.search(text)} <= WITHOUT_A_WORD


def test_a_translation_has_the_placeholders_of_its_message(written: tuple[Entry, ...]) -> None:
    def placeholders(text: str) -> Counter[str]:
        return Counter(PLACEHOLDER.findall(text))

    wrong = [
        (entry.message, text)
        for entry in written
        for text in entry.translations
        # A name may be said more often or less, where the sentence wants it, but never left out or invented.
        if set(placeholders(text)) != set(placeholders(entry.plural or entry.message))
    ]
    assert wrong == []


def test_a_translation_keeps_the_paragraphs_of_its_message(written: tuple[Entry, ...]) -> None:
    wrong = [
        entry.message
        for entry in written
        for text in entry.translations
        if text.count("\n") != entry.message.count("\n") or text != text.strip()
    ]
    assert wrong == []


def catalog_of(compiled: Path) -> dict[object, str]:
    """All texts of a compiled file, its head left out."""
    with compiled.open("rb") as file:
        catalog: dict[object, str] = gettext.GNUTranslations(file)._catalog  # type: ignore[attr-defined]  # the only way to all
    return {key: text for key, text in catalog.items() if key != ""}


def test_what_is_compiled_is_what_was_written(written: tuple[Entry, ...]) -> None:
    expected: dict[object, str] = {}
    for entry in written:
        for number, text in enumerate(entry.translations):
            expected[(entry.key, number) if entry.plural else entry.key] = text
    assert catalog_of(COMPILED) == expected, "run `make messages` and commit the .mo with the .po"


def test_each_language_on_offer_has_its_texts() -> None:
    offered = {to_locale(code) for code, _name in settings.LANGUAGES}
    assert offered == {"en", *(path.name for path in LOCALES.iterdir())}
    with override("zh-hans"):
        assert [str(name) for _code, name in settings.LANGUAGES] == ["英语", "简体中文"]


def test_no_text_of_ours_takes_the_place_of_another_meaning_elsewhere() -> None:
    """Django knows a text by its English: our “May” would be a month, our “Close” a button that closes a page."""
    ours = catalog_of(COMPILED)
    packages = [Path(django.__file__).parent / "conf", *(Path(app.path) for app in apps.get_app_configs())]
    theirs = [folder / COMPILED.relative_to(ROOT / "credentials") for folder in packages]
    theirs = [path for path in theirs if path.exists() and path != COMPILED]
    assert len(theirs) > 5
    changed = {
        key
        for path in theirs
        for key, text in catalog_of(path).items()
        if key in ours and ours[key].strip() != text.strip()
    }
    assert changed <= ALSO_THEIRS, "give the text a context (pgettext), or say it in other words"


def verdict_texts() -> Iterator[Text]:
    for entry in CATALOG.values():
        yield from (entry.title, entry.summary, *(step.text for step in entry.steps))
    for variant in VARIANTS.values():
        yield from (step.text for step in variant.steps or ())
        if variant.summary is not None:
            yield variant.summary
    yield from MESSAGES.values()


def test_every_verdict_reads_otherwise_in_chinese() -> None:
    def said(language: str) -> list[str]:
        with override(language):
            return [str(text) for text in verdict_texts()]

    english, chinese = said("en"), said("zh-hans")
    assert len(english) > 50
    pairs = zip(english, chinese, strict=True)
    assert [there for there, here in pairs if there == here or not HAN.search(here)] == []
