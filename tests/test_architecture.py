"""The house keeps its shape: layers, sizes, mirrors, and who may open a secret."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent
APP = ROOT / "credentials"

# A layer may import those above it in this list, never those below.
LAYERS: tuple[tuple[str, ...], ...] = (
    ("errors", "conf", "verdicts"),
    ("crypto",),
    ("providers", "sources"),
    ("models",),
    ("services",),
    ("forms", "pages"),
    ("adapter", "api", "web", "admin", "management", "tasks", "checks"),
)
# Stand beside the layers: the app's own wiring, and a program that needs no Django.
FREE = {"__init__", "apps", "migrations", "git_credential_forgekey", "lease_client"}

# Every place that turns a Secret into text, each for one reason.
MAY_REVEAL = {
    "credentials/crypto/envelope.py",  # seals it
    "credentials/crypto/key_file.py",  # writes the key file with one entry more
    "credentials/crypto/keyring.py",  # reads key material
    "credentials/crypto/purpose.py",  # digests it
    "credentials/crypto/sources.py",  # reads key material
    "credentials/providers/authorization.py",  # writes it into the header of the one request
    "credentials/providers/http.py",  # writes it into the body of the one request
    "credentials/sources/git.py",  # hands it to git's credential helper, and takes it out of git's words
    "credentials/services/connect.py",  # cleans what was pasted
    "credentials/services/vault.py",  # keeps the purpose keys
    "credentials/api/leases.py",  # answers the borrower
    "credentials/admin/service_client.py",  # shows a new service key once
    "credentials/management/commands/add_service_client.py",  # prints a new service key once
    "credentials/management/commands/demo.py",  # writes the demo's service key
    "credentials/management/commands/_demo.py",  # as above
}


def modules(folder: Path) -> Iterator[Path]:
    yield from sorted(path for path in folder.rglob("*.py") if "__pycache__" not in path.parts)


def layer_of(name: str) -> int | None:
    return next((number for number, names in enumerate(LAYERS) if name in names), None)


def room_of(path: Path) -> str:
    return path.relative_to(APP).with_suffix("").parts[0]


def imports_of(path: Path) -> Iterator[tuple[str, bool]]:
    """Each imported module of ours, and whether it is only for the type checker."""
    tree = ast.parse(path.read_text("utf-8"))
    typing_only = {
        id(node)
        for block in ast.walk(tree)
        if isinstance(block, ast.If) and ast.unparse(block.test) == "TYPE_CHECKING"
        for node in ast.walk(block)
    }
    for node in ast.walk(tree):
        names: list[str] = []
        if isinstance(node, ast.ImportFrom) and node.module:
            names = [f"{node.module}.{alias.name}" for alias in node.names]
        elif isinstance(node, ast.Import):
            names = [alias.name for alias in node.names]
        for name in names:
            if name.startswith("credentials."):
                yield name.split(".")[1], id(node) in typing_only


@pytest.mark.parametrize("path", [*modules(APP)], ids=lambda path: str(path.relative_to(APP)))
def test_imports_only_go_down(path: Path) -> None:
    room = room_of(path)
    mine = layer_of(room)
    if room in FREE:
        return
    assert mine is not None, f"{room} belongs to no layer; give it a room in the design first"
    for other, typing_only in imports_of(path):
        theirs = layer_of(other)
        if theirs is None or typing_only:
            continue
        assert theirs <= mine, f"{room} must not import {other}, which lies above it"
        siblings = mine == len(LAYERS) - 1 and other != room and theirs == mine
        assert not siblings, f"{room} and {other} are siblings and must not import each other"


@pytest.mark.parametrize(
    "path",
    [*modules(APP), *modules(ROOT / "project"), *modules(ROOT / "tests")],
    ids=lambda path: str(path.relative_to(ROOT)),
)
def test_no_file_is_longer_than_400_lines(path: Path) -> None:
    if path.parent.name != "migrations":
        assert len(path.read_text("utf-8").splitlines()) <= 400


def test_nobody_but_the_listed_places_reveals_a_secret() -> None:
    revealing = set()
    for path in [*modules(APP), *modules(ROOT / "project")]:
        for node in ast.walk(ast.parse(path.read_text("utf-8"))):
            if isinstance(node, ast.Attribute) and node.attr in {"reveal", "reveal_bytes"}:
                revealing.add(str(path.relative_to(ROOT)))
    assert revealing - {"credentials/crypto/secret.py"} <= MAY_REVEAL


def test_only_services_write_rows() -> None:
    writing = {"save", "create", "bulk_create", "update_or_create", "get_or_create", "bulk_update"}
    offenders = []
    for path in modules(APP):
        if room_of(path) in {"services", "migrations"}:
            continue
        for node in ast.walk(ast.parse(path.read_text("utf-8"))):
            if not isinstance(node, ast.Call) or not isinstance(node.func, ast.Attribute):
                continue
            target = ast.unparse(node.func)
            if (
                node.func.attr in writing
                and (".objects." in target or node.func.attr == "save")
                and ("super()" not in target)
            ):
                offenders.append(f"{path.relative_to(ROOT)}:{node.lineno} {target}")
    assert offenders == []


def test_every_migration_has_a_name() -> None:
    for path in modules(APP / "migrations"):
        assert "_auto_" not in path.name


def test_providers_and_crypto_know_nothing_of_the_database() -> None:
    for path in [*modules(APP / "crypto"), *modules(APP / "providers"), *modules(APP / "sources")]:
        assert "django.db" not in path.read_text("utf-8"), path


def test_the_sandbox_knows_nothing_of_the_product() -> None:
    for path in modules(ROOT / "project" / "sandbox"):
        assert list(imports_of(path)) == [], path


@pytest.mark.parametrize(
    "path", [*modules(ROOT / "tests" / "credentials")], ids=lambda path: str(path.relative_to(ROOT))
)
def test_tests_mirror_the_tree(path: Path) -> None:
    if not path.name.startswith("test_"):
        return
    room = APP / path.parent.relative_to(ROOT / "tests" / "credentials")
    assert room.is_dir(), f"{path.parent} mirrors no folder of credentials/"
