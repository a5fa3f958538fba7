from __future__ import annotations

import re

import pytest
from django.test import Client
from django.urls import reverse

from credentials import errors
from credentials.verdicts import VerdictCode
from credentials.verdicts.catalog import CATALOG
from credentials.web.help import REQUEST_TOPICS

# Never the answer to a request: found at start, or only ever a branch of the tree.
NO_ANSWER = {
    "error",
    "configuration-invalid",
    "crypto-error",
    "key-ring-invalid",
    "key-source-unsafe",
    "address-error",
    "provider-error",
    "request-error",
    "credential-refused",
}

pytestmark = pytest.mark.django_db


def tree(kind: type[errors.ForgekeyError] = errors.ForgekeyError) -> list[type[errors.ForgekeyError]]:
    return [kind, *(one for child in kind.__subclasses__() for one in tree(child))]


@pytest.mark.parametrize("code", list(VerdictCode))
def test_every_verdict_has_its_page_for_everybody(code: VerdictCode) -> None:
    response = Client().get(reverse("help", kwargs={"topic": code.value.replace("_", "-")}))
    assert response.status_code == 200
    article = response.content.decode().split("<article")[1].split("</article>")[0]
    assert f"<code>{code.value}</code>" in article
    assert article.count("<li>") == len(CATALOG[code].steps)
    assert "%(" not in article
    assert "?" not in article, "a name in the text has no stand-in"


@pytest.mark.parametrize("kind", tree(), ids=lambda kind: kind.__name__)
def test_every_error_a_caller_may_get_has_its_page(kind: type[errors.ForgekeyError]) -> None:
    topic = kind.code.replace("_", "-")
    if topic in NO_ANSWER:
        return
    assert Client().get(reverse("help", kwargs={"topic": topic})).status_code == 200


def test_the_index_leads_to_every_page() -> None:
    html = Client().get(reverse("help_index")).content.decode()
    for topic in [*(code.value.replace("_", "-") for code in VerdictCode), *REQUEST_TOPICS]:
        assert f'href="{reverse("help", kwargs={"topic": topic})}"' in html


def test_a_topic_nobody_wrote_is_not_there() -> None:
    assert Client().get(reverse("help", kwargs={"topic": "made-up"})).status_code == 404


def test_in_chinese_no_space_stands_between_a_stand_in_and_the_words_around_it() -> None:
    client = Client(headers={"accept-language": "zh-hans"})
    pages = [client.get(reverse("help_index")).content.decode()]
    for code in CATALOG:
        topic = code.value.replace("_", "-")
        pages.append(client.get(reverse("help", kwargs={"topic": topic})).content.decode())
    assert "等待该组织的所有者处理" in pages[0]
    assert re.findall(r"[\u4e00-\u9fff] [\u4e00-\u9fff]+", "".join(pages)) == []
