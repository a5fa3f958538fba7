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
    ("forms", "pages", "uploads"),
    ("adapter", "api", "web", "admin", "management", "tasks", "checks"),
)
# The app's own wiring, which may import whatever it wires.
WIRING = {"__init__", "apps", "migrations"}
# Git's credential helper: a program that needs no Django, and nothing of ours but its client and the errors.
PROGRAM = {"git_credential_forgekey", "lease_client"}

# Every place that turns a Secret into text, each for one reason.
MAY_REVEAL = {
    "credentials/crypto/envelope.py",  # seals it
    "credentials/crypto/key_file.py",  # writes the key file with one entry more
    "credentials/crypto/purpose.py",  # digests it
    "credentials/crypto/sources.py",  # reads key material
    "credentials/crypto/webhook_signature.py",  # signs with it
    "credentials/providers/http.py",  # writes it into the header or the body of the one request
    "credentials/sources/git/invocation.py",  # hands it to git's credential helper, and takes it out of git's words
    "credentials/services/connect.py",  # cleans what was pasted
    "credentials/services/vault.py",  # keeps the purpose keys
    "credentials/api/leases.py",  # answers the borrower
    "credentials/admin/shown_once.py",  # shows a new service key or signing secret once
    "credentials/management/commands/add_service_client.py",  # prints a new service key once
    "credentials/management/commands/add_webhook.py",  # prints a new signing secret once
    "credentials/management/commands/demo.py",  # writes the demo's service key
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
    if room in WIRING:
        return
    if room in PROGRAM:
        assert {other for other, _typing_only in imports_of(path)} <= {*PROGRAM, "errors"}
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
    assert revealing - {"credentials/crypto/secret.py"} == MAY_REVEAL


WRITING = {
    *("save", "create", "bulk_create", "bulk_update", "get_or_create", "update_or_create"),
    *("delete", "update", "asave", "acreate", "adelete", "aupdate"),
}
# Calls of these names that concern no row of ours, each as the code spells it.
NO_ROWS = {
    "credentials/providers/github/installations.py": {"listed.update"},  # a dict
    "credentials/sources/git/content.py": {"digest.update"},
    "credentials/sources/snapshot.py": {"found.update"},
    "credentials/sources/stored_zip.py": {"digest.update"},
    "credentials/uploads.py": {"self._digest.update"},
}


def services_in(tree: ast.AST) -> set[str]:
    """The service modules that a file calls by their names."""
    return {
        alias.asname or alias.name
        for node in ast.walk(tree)
        if isinstance(node, ast.ImportFrom) and (node.module or "").startswith("credentials.services")
        for alias in node.names
    }


def test_only_services_write_rows() -> None:
    offenders = []
    for path in modules(APP):
        if room_of(path) in {"services", "migrations"}:
            continue
        tree = ast.parse(path.read_text("utf-8"))
        verbs = {f"{name}.{verb}" for name in services_in(tree) for verb in WRITING}
        allowed = verbs | NO_ROWS.get(str(path.relative_to(ROOT)), set())
        for node in ast.walk(tree):
            if not isinstance(node, ast.Call) or not isinstance(node.func, ast.Attribute):
                continue
            target = ast.unparse(node.func)
            if node.func.attr in WRITING and target not in allowed and not target.startswith("super()"):
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


# Rooms in which every module has a test of its own name. What is listed is proved where it is used, through
# the module named beside it; the list may only become shorter.
MIRRORED = ("crypto", "providers", "sources", "services", "verdicts", "api", "web", "admin", "management")
PROVED_ELSEWHERE = {
    "admin/display.py": "every page of tests/credentials/admin",
    "admin/filters.py": "admin/test_credential.py and its like",
    "admin/read_only.py": "admin/test_crawl.py",
    "admin/shown_once.py": "admin/test_service_client.py and test_webhook.py",
    "admin/service_form.py": "admin/test_service_client.py",
    "api/authentication.py": "api/test_permissions.py and test_matrix.py",
    "api/bodies.py": "api/test_outputs.py",
    "api/filters.py": "api/test_credentials.py",
    "api/hosts.py": "api/test_outputs.py",
    "api/import_bodies.py": "api/test_imports.py, test_libraries.py and test_snapshots.py",
    "api/import_inputs.py": "api/test_imports.py and test_canary.py",
    "api/import_outputs.py": "api/test_outputs.py",
    "api/import_queries.py": "api/test_matrix.py and test_libraries.py",
    "api/inputs.py": "api/test_credentials.py and test_canary.py",
    "api/queries.py": "api/test_matrix.py",
    "api/urls.py": "api/test_matrix.py",
    "api/views.py": "api/test_matrix.py",
    "management/commands/demo.py": "tests/test_main_job.py",
    "providers/base.py": "providers/test_contract.py",
    "providers/facts.py": "facts have no behavior",
    "providers/github/api.py": "providers/github/test_github.py",
    "providers/github/memberships.py": "providers/github/test_organizations.py",
    "services/demo_people.py": "tests/credentials/test_checks.py",
    "services/remarks.py": "services/test_doctor.py",
    "services/imports/looking.py": "web/test_imports.py and tests/browser/test_imports.py",
    "services/lend_statements.py": "services/test_lend.py and test_lend_withdrawn.py",
    "services/sealed_rows.py": "services/test_rotate.py",
    "sources/archive/ending.py": "sources/archive/test_corpus.py",
    "sources/archive/extras.py": "sources/archive/test_corpus.py",
    "sources/archive/layout.py": "sources/archive/test_corpus.py",
    "sources/archive/names.py": "sources/archive/test_corpus.py and test_other_readers.py",
    "sources/archive/records.py": "sources/archive/test_corpus.py",
    "sources/content.py": "facts have no behavior",
    "sources/launcher.py": "sources/test_child.py",
    "verdicts/refusals.py": "verdicts/test_refusal_texts.py",
    "web/board.py": "web/test_organizations.py",
    "web/cards.py": "web/test_connections.py",
    "web/context.py": "web/test_frame.py",
    "web/import_progress.py": "web/test_imports.py",
    "web/leaving.py": "web/test_connections.py",
    "web/library_queries.py": "web/test_libraries.py and test_imports.py",
    "web/middleware.py": "web/test_frame.py",
    "web/oauth.py": "tests/browser and tests/test_main_job.py",
    "web/oauth_provider.py": "tests/test_main_job.py",
    "web/queries.py": "web/test_connections.py",
    "web/urls.py": "web/test_frame.py",
    "web/verdicts.py": "web/test_diagnose.py",
    "web/words.py": "web/test_connections.py",
}


def test_every_module_has_a_test_of_its_own_or_says_where_it_is_proved() -> None:
    bare = set()
    for room in MIRRORED:
        for path in modules(APP / room):
            name = path.relative_to(APP)
            mirror = ROOT / "tests" / "credentials" / name.parent / f"test_{name.name}"
            if path.name != "__init__.py" and not mirror.exists():
                bare.add(name.as_posix())
    assert bare == set(PROVED_ELSEWHERE)


@pytest.mark.parametrize(
    "path", [*modules(ROOT / "tests" / "credentials")], ids=lambda path: str(path.relative_to(ROOT))
)
def test_tests_mirror_the_tree(path: Path) -> None:
    if not path.name.startswith("test_"):
        return
    room = APP / path.parent.relative_to(ROOT / "tests" / "credentials")
    assert room.is_dir(), f"{path.parent} mirrors no folder of credentials/"
