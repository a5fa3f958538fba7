"""The description and its page: who may read them, and that only the page's policy is wider."""

from __future__ import annotations

import json

import pytest
import yaml
from django.contrib.auth.models import User
from django.test import Client

from tests import builders

pytestmark = pytest.mark.django_db


@pytest.fixture
def staff(db: None) -> Client:
    browser = Client()
    browser.force_login(builders.user("stella", is_staff=True))
    return browser


def test_the_description_comes_as_yaml_or_json(alice: User) -> None:
    _, key = builders.client()
    headers = {"Authorization": f"Bearer {key.reveal()}"}

    as_yaml = Client().get("/api/schema/", headers=headers)
    as_json = Client().get("/api/schema/?format=json", headers=headers)

    assert yaml.safe_load(as_yaml.content) == json.loads(as_json.content)
    assert "/api/v1/leases/" in json.loads(as_json.content)["paths"]


def test_the_description_does_not_follow_the_readers_language(staff: Client) -> None:
    answers = {
        staff.get("/api/schema/", headers={"Accept-Language": language}).content
        for language in ("en", "zh-hans")
    }
    assert len(answers) == 1


def test_the_page_brings_its_own_files_and_a_policy_of_its_own(staff: Client) -> None:
    page = staff.get("/api/docs/")
    script = staff.get("/api/docs/?script=")

    assert page.status_code == script.status_code == 200
    assert "style-src 'self' 'unsafe-inline'" in page["Content-Security-Policy"]
    assert "script-src 'self'" in page["Content-Security-Policy"]
    assert "'unsafe-inline'" not in page["Content-Security-Policy"].split("script-src")[1].split(";")[0]
    html = page.content.decode()
    assert "swagger-ui-bundle.js" in html
    assert "https://" not in html
    assert "/api/schema/" in script.content.decode()


def test_no_other_page_gets_the_wider_policy(staff: Client) -> None:
    for address in ("/api/schema/", "/api/v1/hosts/", "/api/v1/nothing/"):
        assert "unsafe-inline" not in staff.get(address)["Content-Security-Policy"]
