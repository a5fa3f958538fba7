"""What the tests of the admin share: a signed-in browser, rows of everything, and how a secret could look."""

from __future__ import annotations

import base64
import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import timedelta
from hashlib import sha256
from html import unescape
from typing import Any
from urllib.parse import quote

from django.contrib.admin import site
from django.contrib.auth.models import Permission, User
from django.db.models import Model
from django.test import Client
from django.urls import reverse
from django.utils import timezone

from credentials.crypto.secret import Secret
from credentials.models import (
    Credential,
    Host,
    Import,
    Lease,
    Library,
    PendingConnection,
    ServiceClient,
    Snapshot,
    StoredTree,
    WebhookEndpoint,
)
from credentials.services import clients, lend, vault
from credentials.services.webhooks import endpoints
from tests import builders
from tests.clock import Clock
from tests.credentials.services.webhooks.receiver import tell

CANARY = "ghp_canary{:02}" + "c" * 28
HIDDEN_FILE = "names-of-files-are-their-owners"


def browser(user: User) -> Client:
    """A browser in which ``user`` is signed in."""
    client = Client()
    client.force_login(user)
    return client


def staff(name: str, *codenames: str) -> User:
    """A member of staff with these permissions and no others."""
    person = builders.user(name, is_staff=True)
    person.user_permissions.set(Permission.objects.filter(codename__in=codenames))
    assert person.user_permissions.count() == len(codenames)
    return person


def page(model: type[Model], name: str, *args: object) -> str:
    """The address of one of a model's pages: changelist, add, change, history, delete."""
    return reverse(f"admin:{model._meta.app_label}_{model._meta.model_name}_{name}", args=args)


def read(answer: Any) -> str:
    """The page's text as people read it, on one line."""
    return " ".join(unescape(re.sub(r"<[^>]+>", " ", answer.content.decode())).split())


def act(client: Client, model: type[Model], action: str, *rows: Model, **fields: object) -> Any:
    """Run a list's action on these rows, and follow to the page it ends on."""
    chosen = {"action": action, "_selected_action": [str(row.pk) for row in rows], **fields}
    return client.post(page(model, "changelist"), chosen, follow=True)


@dataclass(kw_only=True)
class Stock:
    """A row of everything, each secret a canary."""

    host: Host
    client: ServiceClient
    key: str
    credentials: list[Credential]
    secrets: dict[str, bytes] = field(default_factory=dict)


def stock(owner: User, *, count: int = 10) -> Stock:
    """``count`` credentials of ``owner``, each lent once, with organizations, a waiting connection, a
    client secret, a service key, and a webhook endpoint that was told something."""
    host = builders.host(client_secret=Secret(CANARY.format(99)), client_id="app")
    made = []
    for number in range(count):
        made.append(
            builders.credential(owner, host, token=CANARY.format(number), account_name=f"octo-{number}")
        )
        builders.access(made[-1], "acme")
    client, key = builders.client()
    for credential in made:
        borrow(key.reveal(), credential)
    stocked = Stock(host=host, client=client, key=key.reveal(), credentials=made)
    _plant_waiting(owner, host)
    imported(owner)
    stocked.secrets = {
        **dict(_sealed(stocked, owner)),
        **_plant_webhook(client),
        "a file's name": HIDDEN_FILE.encode(),
    }
    return stocked


def borrow(key: str, credential: Credential, *, repository_url: str = "") -> Lease:
    """Lend a credential to the client with this key."""
    at = {"repository_url": repository_url} if repository_url else {"credential": credential.pk}
    lent = lend.lend(
        key=clients.parse_key(key),
        request=lend.LeaseRequest(
            user=credential.owner.username, purpose="import 42", reference="job-7", **at
        ),
        address="127.0.0.1",
    )
    assert isinstance(lent, lend.LentCredential)
    assert lent.lease_id is not None
    return Lease.objects.get(pk=lent.lease_id)


def imported(owner: User, *, name: str = "Cases", **fields: Any) -> Import:
    """An import with what came of it: a library and its snapshot of two files, of which no page may tell."""
    now = timezone.now()
    library = Library.objects.create(owner=owner, name=name, created_at=now)
    text = f"forgekey-tree-v1 {HIDDEN_FILE} {name}".encode()
    tree = StoredTree.objects.create(
        digest=sha256(text).hexdigest(),
        manifest=text,
        files=2,
        bytes=2048,
        archive=f"{HIDDEN_FILE}/{name}.zip",
        archive_bytes=3000,
        created_at=now,
    )
    origin = {
        "repository_url": f"http://127.0.0.1:9/acme/{name.lower()}",
        "commit": "c" * 40,
        "host": "github",
    }
    snapshot = Snapshot.objects.create(
        library=library,
        number=1,
        tree=tree,
        source="git",
        ref="refs/heads/main",
        brought_by="backend",
        remarks=[{"path": HIDDEN_FILE, "reason": "symlink"}],
        remarks_total=1,
        created_at=now,
        **origin,
    )
    facts = {"state": "succeeded", "snapshot": snapshot, "ref": "main", "actor_name": "backend", **fields}
    return Import.objects.create(
        library=library,
        source="git",
        actor_kind="client",
        reference=f"job-{name}",
        archive=tree.archive,
        created_at=now,
        queued_at=now,
        started_at=now - timedelta(seconds=75),
        **{"ended_at": now, **origin, **facts},
    )


def _plant_waiting(owner: User, host: Host) -> None:
    waiting = PendingConnection(user=owner, host=host, expires_at=owner.date_joined, facts={})
    waiting.access_envelope = vault.seal_secret(Secret(CANARY.format(98)), waiting.binding("access"))
    waiting.save()


def _plant_webhook(client: ServiceClient) -> dict[str, bytes]:
    made, secret = endpoints.add(
        actor=builders.SYSTEM, client=client, url="https://receiver.example.org/hook"
    )
    renewed = endpoints.renew_secret(actor=builders.SYSTEM, endpoint=made, now=Clock()())
    tell(Clock())
    row = WebhookEndpoint.objects.get()
    return {
        "signing secret": renewed.reveal().removeprefix("whsec_").encode(),
        "old signing secret": secret.reveal().removeprefix("whsec_").encode(),
        "its envelope": bytes(row.secret_envelope or b""),
        "its old envelope": bytes(row.previous_secret_envelope or b""),
    }


def _sealed(stocked: Stock, owner: User) -> Iterator[tuple[str, bytes]]:
    """Everything no page may show, by what it is."""
    for number in [*range(len(stocked.credentials)), 98, 99]:
        yield f"token {number}", CANARY.format(number).encode()
    yield "service key", stocked.key.encode()
    yield "its hash", bytes(stocked.client.key_hash)
    yield "client secret envelope", bytes(stocked.host.client_secret_envelope or b"")
    yield "password hash", owner.password.encode()
    for credential in stocked.credentials:
        yield "envelope", bytes(credential.access_envelope or b"")
        yield "fingerprint", bytes(credential.fingerprint or b"")


def found_in(content: bytes, secrets: dict[str, bytes]) -> list[str]:
    """The names of the secrets that ``content`` holds in any usual form."""
    return [name for name, secret in secrets.items() if any(form in content for form in _forms(secret))]


def _forms(secret: bytes) -> set[bytes]:
    # The middle of a base64 text shifted by one and two bytes finds it inside a longer encoded text.
    shifted = (base64.b64encode(b"x" * shift + secret)[4:-4] for shift in range(3))
    plain = {secret, secret.hex().encode(), secret.hex().upper().encode(), base64.b64encode(secret)}
    urlsafe = base64.urlsafe_b64encode(secret).rstrip(b"=")
    return {*plain, *shifted, urlsafe, quote(secret, safe="").encode()}


def addresses() -> list[str]:
    """Every page of the admin, for the rows there are: index, lists, searches, forms, histories."""
    found = [reverse("admin:index"), reverse("admin:jsi18n"), reverse("admin:password_change")]
    found += [
        reverse("admin:app_list", args=[label])
        for label in sorted({m._meta.app_label for m in site._registry})
    ]
    for model, its_admin in site._registry.items():
        listing = page(model, "changelist")
        columns = range(1, len(its_admin.list_display) + 1)
        found += [
            listing,
            page(model, "add"),
            f"{listing}?all=",
            f"{listing}?_popup=1",
            f"{listing}?_facets=True",
        ]
        found += [f"{listing}?o={sign}{number}" for number in columns for sign in ("", "-")]
        found += [f"{listing}?q={word}" for word in ("alice", "ghp_canary00", "octo-1 alice")]
        for row in model._default_manager.all()[:12]:
            found += [page(model, name, row.pk) for name in ("change", "history", "delete")]
            found.append(f"{page(model, 'change', row.pk)}?_popup=1")
    found += [reverse("admin:auth_user_password_change", args=[user.pk]) for user in User.objects.all()]
    return found
