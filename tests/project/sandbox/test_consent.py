"""The pages of a sign-in as a person sees them."""

from __future__ import annotations

import re

from tests.project.sandbox.caller import call
from tests.project.sandbox.test_oauth import authorize_url, exchange
from tests.sandbox import RunningSandbox


def person_cookie(name: str, host: str = "github") -> dict[str, str]:
    return {"Cookie": f"sandbox_person_{host}={name}"}


def test_a_stranger_chooses_a_person_first_and_is_remembered(sandbox: RunningSandbox) -> None:
    url = authorize_url(sandbox, "github")
    assert 'value="octo-bob"' in call("GET", url).text
    chosen = call("POST", url, form={"choose": "octo-bob"})
    assert chosen.status == 303
    cookie = chosen.headers["Set-Cookie"]
    assert cookie.startswith("sandbox_person_github=octo-bob;")
    assert "HttpOnly" in cookie
    page = call("GET", url, headers={"Cookie": cookie.split(";")[0]})
    assert "the GitHub account octo-bob" in page.text


def test_a_person_who_is_known_can_be_asked_for_again(sandbox: RunningSandbox) -> None:
    url = authorize_url(sandbox, "github", prompt="select_account")
    assert 'name="choose"' in call("GET", url, headers=person_cookie("octo-alice")).text
    chosen = call("POST", url, form={"choose": "octo-alice"})
    assert "prompt" not in chosen.headers["Location"]


def test_the_page_names_the_application_the_scopes_and_every_organizations_state(
    sandbox: RunningSandbox,
) -> None:
    page = call("GET", authorize_url(sandbox, "github"), headers=person_cookie("octo-alice")).text
    assert "Allow Forgekey" in page
    assert "repo: full control of private repositories" in page
    assert "acme: granted" in page
    assert "Request access to assxxx" in page
    assert "Signed in at sso-corp by single sign-on" in page


def test_a_request_for_an_organization_is_kept_and_shown(sandbox: RunningSandbox) -> None:
    url = authorize_url(sandbox, "github")
    assert call("POST", url, form={"organization": "assxxx"}).status == 303
    page = call("GET", url, headers=person_cookie("octo-alice")).text
    assert "assxxx: access was requested" in page
    sandbox.control("github", "POST", "organizations/assxxx", {"request": "denied"})
    assert "an owner has denied" in call("GET", url, headers=person_cookie("octo-alice")).text


def test_scopes_left_unticked_are_not_granted(sandbox: RunningSandbox) -> None:
    back = sandbox.consent(authorize_url(sandbox, "github"), scopes=["read:org"])
    assert exchange(sandbox, "github", code=back["code"]).json["scope"] == "read:org"


def test_organizations_ticked_for_single_sign_on_are_authorized(sandbox: RunningSandbox) -> None:
    sandbox.consent(authorize_url(sandbox, "github"))
    back = sandbox.consent(authorize_url(sandbox, "github"), sso=["sso-corp"])
    exchange(sandbox, "github", code=back["code"])
    assert sandbox.control("github", "GET", "grants")["grants"][0]["sso"] == ["sso-corp"]


def test_what_the_address_carries_is_shown_as_text_only(sandbox: RunningSandbox) -> None:
    url = authorize_url(sandbox, "gitea", state='"><script>alert(1)</script>')
    page = call("GET", url, headers=person_cookie("octo-alice", "gitea"))
    assert "<script" not in page.text
    assert "default-src 'none'" in page.headers["Content-Security-Policy"]


def test_every_field_of_the_page_has_a_label_and_every_button_a_text(sandbox: RunningSandbox) -> None:
    page = call("GET", authorize_url(sandbox, "github"), headers=person_cookie("octo-alice")).text
    boxes = re.findall(r"(<label>)?<input type=\"checkbox\"", page)
    assert boxes
    assert all(boxes)
    assert all(re.findall(r"<button[^>]*>([^<]*)</button>", page))
    assert '<html lang="en">' in page
