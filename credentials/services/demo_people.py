"""The demo's people. Only the demo makes them, and ``check --deploy`` refuses a deployment that has them."""

from __future__ import annotations

from django.contrib.auth.models import Group, Permission, User

USERS = ("alice", "bob", "charlie")
STAFF = (("audrey", "auditor"), ("olivia", "operator"))
ADMIN = "admin"

# What each role may do in the admin, by verb; an operator may also change these models.
_ROLES = {"auditor": ("view",), "operator": ("view", "add", "change")}
_OPERATED = ("host", "serviceclient", "credential", "webhookendpoint", "library")


def password_of(name: str) -> str:
    """The demo password of a person."""
    return f"{name}-demo"


def create() -> None:
    """Make the demo's people, with their roles."""
    for name in USERS:
        User.objects.create_user(name, f"{name}@example.org", password_of(name))
    for name, role in STAFF:
        person = User.objects.create_user(name, f"{name}@example.org", password_of(name), is_staff=True)
        group, _ = Group.objects.get_or_create(name=role)
        group.permissions.set(_permissions(role))
        person.groups.add(group)
    User.objects.create_superuser(ADMIN, f"{ADMIN}@example.org", password_of(ADMIN))


def present() -> list[str]:
    """The demo people this database has with their demo password; slow on purpose, for checks only."""
    names = (*USERS, *(name for name, _ in STAFF), ADMIN)
    return [
        user.get_username()
        for user in User.objects.filter(username__in=names, is_active=True)
        if user.check_password(password_of(user.get_username()))
    ]


def _permissions(role: str) -> list[Permission]:
    ours = Permission.objects.filter(content_type__app_label="credentials").select_related("content_type")
    chosen = []
    for permission in ours:
        verb, _, model = permission.codename.partition("_")
        if verb == "view" or (verb in _ROLES[role] and model in _OPERATED):
            chosen.append(permission)
    return chosen
