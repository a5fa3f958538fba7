"""docs/configure.md names every setting that is read from the environment, and no other."""

from __future__ import annotations

import ast
import os
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

from credentials.conf import NAMES

ROOT = Path(__file__).resolve().parent.parent.parent
PAGE = (ROOT / "docs" / "configure.md").read_text("utf-8")
READERS = {"str", "bool", "int", "list", "db", "cache", "email", "task_queue", "storage"}
# Named by the page, but not settings of their own: a file form, and systemd's.
ALSO_NAMED = {"CREDENTIALS_KEY_RING_FILE", "CREDENTIALS_DIRECTORY"}


def calls(path: Path) -> Iterator[tuple[str, str, ast.expr]]:
    """Every method call with an argument: the object, the method, the first argument."""
    for node in ast.walk(ast.parse(path.read_text("utf-8"))):
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute) and node.args:
            yield ast.unparse(node.func.value), node.func.attr, node.args[0]


def names_in_conf() -> set[str]:
    """What ``credentials/conf.py`` asks Django's settings for."""
    asked = {
        str(argument.value)
        for owner, method, argument in calls(ROOT / "credentials" / "conf.py")
        if owner == "self" and method in {"_get", "_seconds"} and isinstance(argument, ast.Constant)
    }
    return {f"CREDENTIALS_{name}" for name in asked}


def names_in_settings() -> set[str]:
    """What ``project/`` reads from the environment; the loop over names is spelled out."""
    found = {"CREDENTIALS_KEY_RING"}  # project/env.py only asks whether it is there
    for file in ("settings.py", "env.py", "s3.py"):
        path = ROOT / "project" / file
        for owner, method, argument in calls(path):
            if owner == "env" and method in READERS and isinstance(argument, ast.Constant):
                found.add(str(argument.value))
        for node in ast.walk(ast.parse(path.read_text("utf-8"))):
            if isinstance(node, ast.For) and "CREDENTIALS_" in ast.unparse(node):
                found |= {f"CREDENTIALS_{name}" for name in ast.literal_eval(node.iter)}
    return found


def first_cells() -> set[str]:
    """The names in the first column of the page's tables of settings."""
    tables = PAGE.partition("## Where the key ring comes from")[0]
    return set(re.findall(r"^\| `([A-Z][A-Z_]+)` \|", tables, re.MULTILINE))


def test_the_page_has_a_row_for_every_name_that_is_read_and_for_no_other() -> None:
    assert first_cells() == names_in_settings()


def test_the_page_mentions_no_name_that_nobody_reads() -> None:
    mentioned = set(re.findall(r"CREDENTIALS_[A-Z_]*[A-Z]", PAGE))
    assert mentioned - ALSO_NAMED <= names_in_settings()


def test_every_setting_of_the_app_can_be_set_in_the_environment() -> None:
    deployments = {"CREDENTIALS_DATA_DIR"}  # follows from DATA_DIR
    assert names_in_conf() - deployments <= names_in_settings()


def test_the_check_of_unknown_names_knows_the_same_names() -> None:
    assert {f"CREDENTIALS_{name}" for name in NAMES} == {
        name for name in names_in_settings() if name.startswith("CREDENTIALS_")
    }


def test_the_page_knows_every_check_there_is() -> None:
    source = (ROOT / "credentials" / "checks.py").read_text("utf-8")
    assert set(re.findall(r"credentials\.[EW]\d{3}", source)) == set(
        re.findall(r"^\| `(credentials\.[EW]\d{3})`", PAGE, re.MULTILINE)
    )


def test_failed_sign_ins_are_counted_by_the_address_that_keys_are_checked_against(tmp_path: Path) -> None:
    printed = subprocess.run(
        [sys.executable, "-c", "from project import settings; print(settings.ALLAUTH_TRUSTED_PROXY_COUNT)"],
        cwd=ROOT,
        env={**os.environ, "DATA_DIR": str(tmp_path), "CREDENTIALS_TRUSTED_PROXY_COUNT": "2"},
        capture_output=True,
        text=True,
        timeout=60,
        check=True,
    ).stdout
    assert printed.strip() == "2"
