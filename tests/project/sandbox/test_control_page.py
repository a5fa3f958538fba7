"""The control page: every switch has a labelled field, and its forms do what they say."""

from __future__ import annotations

import re
from html import unescape

import pytest

from project.sandbox.emulated import EMULATED
from tests.project.sandbox.caller import call
from tests.sandbox import RunningSandbox


@pytest.mark.parametrize("host", [slug for slug, _ in EMULATED])
def test_the_page_has_a_field_for_every_switch_and_a_way_to_the_other_hosts(
    sandbox: RunningSandbox, host: str
) -> None:
    page = call("GET", f"{sandbox.hosts[host].origin}/_sandbox/").text
    for name in (*dict(EMULATED)[host].organization_switches, "replica_lag_seconds", "latency_ms", "quota"):
        assert f'name="{name}"' in page
    for other in sandbox.hosts.values():
        assert f'href="{other.origin}/_sandbox/"' in page
    fields = re.findall(r"(<label>[^<]*)?<(?:input|select) (?!type=\"hidden\")", page)
    assert fields
    assert all(fields)


def test_a_token_made_on_the_page_is_shown_once_and_listed_by_its_id(sandbox: RunningSandbox) -> None:
    web = sandbox.hosts["github"].web_url
    form = {"account": "octo-alice", "kind": "personal_token", "scopes": "repo read:org", "expires_in": ""}
    shown = call("POST", f"{web}/_sandbox/tokens", form=form).text
    found = re.search(r"ghp_\w{36}", shown)
    assert found is not None
    page = call("GET", f"{web}/_sandbox/").text
    (token,) = sandbox.control("github", "GET", "state.json")["tokens"]
    assert f"Revoke {token['id']}" in page
    assert found[0] not in page
    call("POST", f"{web}/_sandbox/tokens/{token['id']}", form={"revoked": "true"})
    assert "revoked" in call("GET", f"{web}/_sandbox/").text


def test_the_fault_form_sets_a_fault_and_the_button_clears_it(sandbox: RunningSandbox) -> None:
    web = sandbox.hosts["gitlab"].web_url
    form = {"path_prefix": "/", "times": "0", "latency_ms": "0", "status": "503", "quota": "", "html": "true"}
    call("POST", f"{web}/_sandbox/faults", form=form)
    assert call("GET", f"{web}/api/v4/user").status == 503
    call("POST", f"{web}/_sandbox/faults/clear", form={})
    assert call("GET", f"{web}/api/v4/user").status == 401


def test_what_callers_send_is_shown_as_text(sandbox: RunningSandbox) -> None:
    web = sandbox.hosts["github"].web_url
    call("GET", f"{web}/<script>alert(1)</script>")
    page = call("GET", f"{web}/_sandbox/").text
    assert "<script" not in page
    assert "<script>alert(1)</script>" in unescape(page)
