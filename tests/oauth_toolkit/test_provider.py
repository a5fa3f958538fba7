"""The provider that is not ours: it rotates, it detects a second use, and then it ends the whole family."""

from __future__ import annotations

import threading
import time
from collections import Counter
from collections.abc import Iterator

import pytest
import requests

from tests.oauth_toolkit.running import Pair, RunningToolkit, start_toolkit


@pytest.fixture(scope="module")
def toolkit_process(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningToolkit]:
    running = start_toolkit(tmp_path_factory.mktemp("toolkit"))
    yield running
    running.stop()


@pytest.fixture
def toolkit(toolkit_process: RunningToolkit) -> RunningToolkit:
    toolkit_process.reset()
    return toolkit_process


@pytest.fixture
def pair(toolkit: RunningToolkit) -> Pair:
    (made,) = toolkit.grant("octo-alice")
    return made


def test_a_refresh_gives_a_new_pair_and_kills_the_old_access_token(
    toolkit: RunningToolkit, pair: Pair
) -> None:
    new = toolkit.refresh(pair)
    assert {new.access, new.refresh}.isdisjoint({pair.access, pair.refresh})
    assert (toolkit.accepts(pair.access), toolkit.accepts(new.access)) == (False, True)
    assert toolkit.live_grants() == 1


def test_a_second_use_of_a_refresh_token_ends_every_token_of_the_authorization(
    toolkit: RunningToolkit, pair: Pair
) -> None:
    newest = toolkit.refresh(toolkit.refresh(pair))
    with pytest.raises(ValueError, match="invalid_grant"):
        toolkit.refresh(pair)
    assert not toolkit.accepts(newest.access)
    with pytest.raises(ValueError, match="invalid_grant"):
        toolkit.refresh(newest)
    assert toolkit.live_grants() == 0
    assert toolkit.tally()["reuses"] == 2


def test_of_two_uses_at_the_same_moment_one_is_refused_and_nothing_is_left(
    toolkit: RunningToolkit, pair: Pair
) -> None:
    answers, ready = Counter[int](), threading.Barrier(8)

    def use() -> None:
        ready.wait()
        answers[toolkit.refresh_answer(pair).status_code] += 1

    users = [threading.Thread(target=use) for _ in range(8)]
    for user in users:
        user.start()
    for user in users:
        user.join()
    assert answers == {200: 1, 400: 7}
    assert toolkit.live_grants() == 0
    assert toolkit.tally() == {
        **{"token_calls": 9, "exchanges": 1, "refreshes": 1, "refusals": 7},
        **{"reuses": 7, "revocations": 0},
    }


def test_another_authorization_of_the_same_person_lives_on(toolkit: RunningToolkit) -> None:
    first, second = toolkit.grant("octo-alice")[0], toolkit.grant("octo-alice")[0]
    toolkit.refresh(first)
    assert toolkit.refresh_answer(first).status_code == 400
    assert toolkit.accepts(toolkit.refresh(second).access)
    assert toolkit.live_grants("octo-alice") == 1


def test_access_tokens_end_when_told_and_their_authorization_lives_on(
    toolkit: RunningToolkit, pair: Pair
) -> None:
    assert toolkit.expire() == 1
    assert not toolkit.accepts(pair.access)
    assert toolkit.accepts(toolkit.refresh(pair).access)


def test_access_tokens_live_as_long_as_was_chosen(toolkit: RunningToolkit) -> None:
    toolkit.access_seconds(1)
    (pair,) = toolkit.grant("octo-alice")
    assert pair.expires_in == 1
    time.sleep(1.1)
    assert not toolkit.accepts(pair.access)


@pytest.mark.parametrize("which", ["access", "refresh"])
def test_revoking_either_token_ends_the_authorization(
    toolkit: RunningToolkit, pair: Pair, which: str
) -> None:
    form = {
        "client_id": toolkit.client_id,
        "client_secret": toolkit.client_secret,
        "token": getattr(pair, which),
    }
    answer = requests.post(f"{toolkit.web_url}/oauth/revoke", data=form, timeout=30)
    assert (answer.status_code, answer.json()) == (200, {})
    assert not toolkit.accepts(pair.access)
    assert toolkit.refresh_answer(pair).status_code == 400
    assert toolkit.live_grants() == 0


def test_a_wrong_client_is_told_so_and_ends_nothing(toolkit: RunningToolkit, pair: Pair) -> None:
    answer = toolkit.token(grant_type="refresh_token", refresh_token=pair.refresh, client_secret="wrong")
    assert (answer.status_code, answer.json()["error"]) == (401, "invalid_client")
    assert toolkit.accepts(toolkit.refresh(pair).access)


def test_the_token_is_described_as_gitlab_does_it(toolkit: RunningToolkit, pair: Pair) -> None:
    headers = {"Authorization": f"Bearer {pair.access}"}
    facts = requests.get(f"{toolkit.web_url}/oauth/token/info", headers=headers, timeout=30).json()
    assert facts["scope"] == ["read_user", "read_repository"]
    assert facts["application"] == {"uid": toolkit.client_id}
    assert 7100 < facts["expires_in"] <= 7200
    person = requests.get(f"{toolkit.api_url}/user", headers=headers, timeout=30).json()
    assert (person["id"], person["username"]) == (facts["resource_owner_id"], "octo-alice")


def test_an_answer_can_be_lost_after_the_token_was_rotated(toolkit: RunningToolkit, pair: Pair) -> None:
    toolkit.fault(path_prefix="/oauth/token", lost=True, times=1)
    with pytest.raises(requests.ConnectionError):
        toolkit.refresh(pair)
    assert toolkit.tally()["refreshes"] == 1
    assert toolkit.refresh_answer(pair).status_code == 400


def test_a_page_instead_of_an_answer_spends_nothing(toolkit: RunningToolkit, pair: Pair) -> None:
    toolkit.fault(path_prefix="/oauth/token", html=True, times=1)
    answer = toolkit.refresh_answer(pair)
    assert (answer.status_code, answer.headers["Content-Type"]) == (200, "text/html; charset=utf-8")
    assert toolkit.accepts(toolkit.refresh(pair).access)
