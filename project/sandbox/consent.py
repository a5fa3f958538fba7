"""The pages of a web sign-in: choose a person, see what an application asks for, allow or deny."""

from __future__ import annotations

from html import escape
from typing import TYPE_CHECKING

from project.sandbox.pages import button, checkbox, fieldset, form, heading, hidden, page, paragraph
from project.sandbox.seed import App, Organization, Person
from project.sandbox.wire import Response

if TYPE_CHECKING:
    from project.sandbox.host import EmulatedHost


def refused(title: str, text: str, status: int) -> Response:
    return page(title, paragraph(text), status=status)


def choose_person(host: EmulatedHost, target: str) -> Response:
    people = "".join(
        button(f"{person.name} ({login})", name="choose", value=login, main=True)
        for login, person in host.state.people.items()
    )
    note = paragraph("This is an emulation: nobody has a password here.", note=True)
    return page(f"Sign in to {host.title}", form(target, people), note)


def ask(host: EmulatedHost, person: Person, app: App, scopes: tuple[str, ...], target: str) -> Response:
    """The consent page for one person and one application."""
    organizations = host.state.organizations_of(person.login)
    approved = organizations if "approved" in host.organization_switches else []
    enforcing = [item for item in organizations if item.sso and "sso" in host.organization_switches]
    return page(
        f"Authorize {app.name}",
        paragraph(f"{app.name} wants to use the {host.title} account {person.login} ({person.name})."),
        form(target, button("Use another person", name="choose", value="")),
        form(
            target,
            hidden("person", person.login),
            _scopes(host, scopes),
            _sso(enforcing),
            button(f"Allow {app.name}", name="decision", value="allow", main=True),
            button("Deny", name="decision", value="deny"),
        ),
        heading("Organizations") if approved else "",
        *(_state(app, item, target) for item in approved),
    )


def _scopes(host: EmulatedHost, scopes: tuple[str, ...]) -> str:
    labels = {scope: f"{scope}: {host.rules.scopes.get(scope, scope)}" for scope in scopes}
    if not scopes:
        return paragraph("It asks for no scope: public data only.")
    if not host.rules.scopes_can_be_narrowed:
        rows = "".join(f"<li>{escape(label)}</li>" for label in labels.values())
        return f"<p>It asks for:</p><ul>{rows}</ul>"
    boxes = (checkbox(label, name="scopes[]", value=scope, checked=True) for scope, label in labels.items())
    return fieldset("It asks for", hidden("scopes[]", ""), *boxes)


def _sso(organizations: list[Organization]) -> str:
    rows = "".join(
        checkbox(f"Signed in at {item.name} by single sign-on", name="sso[]", value=item.name)
        for item in organizations
    )
    return fieldset("Single sign-on", rows) if rows else ""


def _state(app: App, organization: Organization, target: str) -> str:
    name = organization.name
    if organization.sso:
        return paragraph(f"{name}: single sign-on is enforced; mark it above to authorize the application.")
    if organization.approved:
        return paragraph(f"{name}: granted \N{CHECK MARK}")
    if organization.request == "requested":
        return paragraph(f"{name}: access was requested; an owner has to approve it.")
    if organization.request == "denied":
        return paragraph(f"{name}: an owner has denied {app.name}.")
    request = button(f"Request access to {name}", name="organization", value=name)
    return form(target, f"{escape(name)}: ", request)
