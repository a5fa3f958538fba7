"""The list of hosts: contract names in contract order, and the same duties for each."""

from __future__ import annotations

from project.sandbox.emulated import EMULATED
from project.sandbox.reasons import Reason
from project.sandbox.seed import Organization
from project.sandbox.switches import changed


def test_the_hosts_have_the_names_and_the_order_of_their_ports() -> None:
    assert [slug for slug, _ in EMULATED] == [
        *("github", "gitlab", "bitbucket", "gitea"),
        *("github-enterprise", "bitbucket-server", "azure"),
    ]


def test_every_host_has_words_for_every_refusal_of_the_token_endpoint() -> None:
    for _, host in EMULATED:
        assert set(host.rules.errors) == set(Reason)


def test_every_switch_of_every_host_exists() -> None:
    acme = Organization(name="acme", title="Acme")
    for _, host in EMULATED:
        for name in host.organization_switches:
            assert changed(acme, {name: getattr(acme, name)}, host.organization_switches) == acme
