"""The control page as HTML: one form per organization and per token, faults, the latest calls."""

from __future__ import annotations

import dataclasses
from html import escape
from typing import TYPE_CHECKING, Any

from project.sandbox.journal import QUOTAS
from project.sandbox.pages import (
    button,
    checkbox,
    choice,
    fieldset,
    form,
    heading,
    hidden,
    page,
    paragraph,
    text_field,
)
from project.sandbox.reasons import Reason
from project.sandbox.seed import Organization
from project.sandbox.switches import CHOICES
from project.sandbox.tokens import Token
from project.sandbox.wire import Response

if TYPE_CHECKING:
    from project.sandbox.host import EmulatedHost

SHOWN_CALLS = 30
SHOWN_TOKENS = 50
LABELS = {"sso": "Single sign-on enforced", "ip_allow_list": "IP allow list", "pending": "Waits for approval"}


def show(host: EmulatedHost) -> Response:
    """The page of one host."""
    neighbors = "".join(
        f'<li><a href="{escape(url)}/_sandbox/">{escape(slug)}</a></li>'
        for slug, url in host.neighbors.items()
    )
    tokens = host.state.tokens()[-SHOWN_TOKENS:]
    return page(
        f"{host.title}: control page",
        f"<nav aria-label='Emulated hosts'><ul>{neighbors}</ul></nav>",
        heading("Organizations"),
        *(_organization(host, item) for item in host.state.organizations.values()),
        heading("Make a token"),
        _new_token(host),
        heading("Tokens"),
        *(_token(host, token) for token in reversed(tokens)),
        "" if tokens else paragraph("There is none yet."),
        heading("Faults"),
        _faults(host),
        heading("Settings"),
        _settings(host),
        heading("Latest calls"),
        _calls(host),
        heading("Reset"),
        form("/_sandbox/reset", button("Forget all tokens and put every switch back")),
    )


def show_token(host: EmulatedHost, minted: dict[str, Any]) -> Response:
    """A new token, shown once."""
    rows = "".join(
        f"<tr><th scope='row'>{escape(name)}</th><td><code>{escape(str(value))}</code></td></tr>"
        for name, value in minted.items()
        if value is not None
    )
    note = paragraph("It is shown only this once.")
    back = '<p><a href="/_sandbox/">Back to the control page</a></p>'
    return page(f"{host.title}: a new token", note, f"<table>{rows}</table>", back)


def _switch(name: str, value: Any) -> str:
    label = LABELS.get(name) or name.replace("_", " ").capitalize()
    if isinstance(value, bool):
        return choice(label, name=name, options=("true", "false"), value=str(value).lower())
    if name in CHOICES:
        return choice(label, name=name, options=CHOICES[name], value=value)
    if isinstance(value, tuple):
        return text_field(f"{label} (separated by spaces)", name=name, value=" ".join(value))
    return text_field(label, name=name, value=str(value))


def _organization(host: EmulatedHost, item: Organization) -> str:
    members = ", ".join(f"{login} ({role})" for login, role in item.members.items())
    switches = (_switch(name, getattr(item, name)) for name in host.organization_switches)
    return form(
        f"/_sandbox/organizations/{item.name}",
        fieldset(
            item.name,
            paragraph(f"Members: {members}", note=True),
            *switches,
            button(f"Set {item.name}"),
        ),
    )


def _new_token(host: EmulatedHost) -> str:
    return form(
        "/_sandbox/tokens",
        choice("Account", name="account", options=host.state.people),
        choice("Kind", name="kind", options=host.kinds),
        text_field("Scopes (separated by spaces)", name="scopes"),
        text_field("Expires in (seconds, empty for the usual)", name="expires_in"),
        text_field("Single sign-on organizations (separated by spaces)", name="organizations"),
        text_field("Limited to (owner or owner/repository)", name="resource"),
        button("Make the token", main=True),
    )


def _token(host: EmulatedHost, token: Token) -> str:
    state = (
        "live"
        if token.is_live(host.state.now())
        else "revoked"
        if token.is_revoked(host.state.now())
        else "expired"
    )
    action = f"/_sandbox/tokens/{token.id}"
    return fieldset(
        f"{token.id}: {token.kind} of {token.account}, {state}",
        form(
            action,
            text_field("Scopes", name="scopes", value=" ".join(token.scopes)),
            text_field("Single sign-on organizations", name="sso", value=" ".join(token.sso)),
            _switch("pending", token.pending),
            button(f"Set {token.id}"),
        ),
        form(action, hidden("revoked", "true"), button(f"Revoke {token.id}")),
        form(action, hidden("expires_in", "0"), button(f"Let {token.id} expire")),
    )


def _faults(host: EmulatedHost) -> str:
    current = "".join(f"<li><code>{escape(str(fault))}</code></li>" for fault in host.faults.all())
    return (f"<ul>{current}</ul>" if current else paragraph("None is set.")) + (
        form(
            "/_sandbox/faults",
            text_field("For paths that begin with", name="path_prefix", value="/"),
            text_field("Times (0 for ever)", name="times", value="0"),
            text_field("Latency (milliseconds)", name="latency_ms", value="0"),
            text_field("Latency of the answer (milliseconds)", name="answer_latency_ms", value="0"),
            text_field("Status (0 for the usual answer)", name="status", value="0"),
            choice("Quota spent", name="quota", options=("", *QUOTAS)),
            choice("Token endpoint refuses for", name="refuse", options=("", *Reason)),
            checkbox("Answer with an HTML page", name="html"),
            checkbox("Cut the connection in the middle", name="cut"),
            checkbox("Do what is asked, then lose the answer", name="lost"),
            button("Set the fault"),
        )
        + form("/_sandbox/faults/clear", button("Clear all faults"))
    )


def _settings(host: EmulatedHost) -> str:
    switches = (_switch(name, value) for name, value in dataclasses.asdict(host.state.settings).items())
    return form("/_sandbox/settings", *switches, button("Set the settings"))


def _calls(host: EmulatedHost) -> str:
    rows = "".join(
        f"<tr><td>{call['number']}</td><td>{escape(call['method'])}</td><td><code>{escape(call['path'])}</code></td>"
        f"<td>{call['status']}</td><td>{escape(call['auth'])}</td><td>{escape(call['token'] or '')}</td></tr>"
        for call in reversed(host.calls.since(0)[-SHOWN_CALLS:])
    )
    names = ("#", "Method", "Path", "Status", "Auth", "Token")
    heads = "".join(f"<th scope='col'>{name}</th>" for name in names)
    return f"<table><thead><tr>{heads}</tr></thead><tbody>{rows}</tbody></table>"
