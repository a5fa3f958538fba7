"""``maintain``: every duty that is due, once, each with what it did; as many at once as one likes."""

from __future__ import annotations

import io
import json
import os
import signal
import subprocess
import sys
from collections import Counter
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from django.contrib.auth.models import User
from django.core.management import CommandError, call_command
from django.db import connection
from django.db.models import F
from django.utils import timezone

from credentials.models import AuditSeal, Credential, Duty, IdempotencyRecord, Status
from credentials.services import duties, processes
from tests import builders
from tests.processes import ROOT, database_url, environment

ROUNDS = 50
AGO = timedelta(days=2)
# ``maintain`` for each line that is read; or one duty that says when it begins, and does not end.
AGAIN_AND_AGAIN = """
import sys, django; django.setup()
from django.core.management import call_command
for line in sys.stdin:
    call_command("maintain", "--json")
    sys.stdout.flush()
"""
STUCK = """
import time, django; django.setup()
from dataclasses import replace
from credentials.services import duties
def hang(clock):
    print("in the middle", flush=True)
    time.sleep(600)
(seal,) = [duty for duty in duties.REGISTRY if duty.name == "seal-trail"]
duties.carry_out(replace(seal, carry_out=hang))
"""


def run(*words: str) -> dict[str, str]:
    """What became of each duty."""
    out = io.StringIO()
    call_command("maintain", "--json", *words, stdout=out)
    said = json.loads(out.getvalue())
    assert said["ok"] is True
    return {one["name"]: f"{one['done']} {one['result']}" for one in said["duties"]}


@pytest.mark.django_db
def test_every_duty_is_carried_out_and_counted(alice: User) -> None:
    now = timezone.now()
    builders.credential(alice, builders.host(), expires_at=now - timedelta(minutes=1))
    IdempotencyRecord.objects.create(caller="c", key="k", request_digest=b"", created_at=now - AGO)

    did = run()
    assert set(did) == {duty.name for duty in duties.REGISTRY}
    busy = {
        **{"drop-idempotency": "1 done", "mark-ends": "1 done", "seal-trail": "1 done"},
        "mail-notices": "1 done",  # to the owner of what ended
    }
    assert {name: said for name, said in did.items() if said != "0 done"} == busy
    assert Credential.objects.get().status == Status.EXPIRED
    assert AuditSeal.objects.count() == 1


@pytest.mark.django_db
def test_a_second_time_nothing_is_due_and_forced_there_is_nothing_left_to_do(alice: User) -> None:
    builders.credential(alice, builders.host(), expires_at=timezone.now() - timedelta(minutes=1))
    run()
    assert set(run().values()) == {"0 not due"}
    # The trail has grown by what the first round marked, before it was sealed or after.
    assert set(run("--force").values()) <= {"0 done", "1 done"}
    assert set(run("--force").values()) == {"0 done"}


@pytest.mark.django_db
def test_people_get_a_table(alice: User) -> None:
    run()
    Duty.objects.filter(pk="mark-ends").update(started_at=timezone.now() - AGO)
    out = io.StringIO()
    call_command("maintain", stdout=out)
    head, *lines = out.getvalue().splitlines()
    assert head.split() == ["duty", "result", "seconds"]
    said = {line.split()[0]: line.split()[1:] for line in lines}
    assert said["mark-ends"][:2] == ["0", "done"]
    assert said["seal-trail"] == ["not", "due", "0.00"]


@pytest.mark.django_db
def test_one_that_fails_ends_it_with_status_1_after_the_others_were_carried_out(settings: Any) -> None:
    settings.CREDENTIALS_DATA_DIR = Path("/nonexistent/anchor")  # seals are stamped there
    builders.host()
    out = io.StringIO()
    with pytest.raises(CommandError, match="Failed: seal-trail"):
        call_command("maintain", stdout=out)
    assert "FileNotFoundError" in out.getvalue()
    assert Duty.objects.exclude(pk="seal-trail").filter(finished_at=None).count() == 0


@contextmanager
def started(program: str, tmp_path: Path, key_file: Path) -> Iterator[subprocess.Popen[str]]:
    variables = environment(
        tmp_path,
        DATABASE_URL=database_url(),
        CREDENTIALS_KEY_SOURCE=f"file:{key_file}",
        DJANGO_SETTINGS_MODULE="project.settings",
    )
    process = subprocess.Popen(
        [sys.executable, "-c", program],
        cwd=ROOT,
        env=variables,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )
    try:
        yield process
    finally:
        process.kill()
        process.communicate()


def said_by(process: subprocess.Popen[str]) -> str:
    assert process.stdout is not None
    line: str = process.stdout.readline()
    return line


@pytest.mark.django_db(transaction=True)
def test_two_at_once_carry_out_each_duty_once_per_interval(tmp_path: Path, key_file: Path) -> None:
    with ExitStack() as stack:
        both = [stack.enter_context(started(AGAIN_AND_AGAIN, tmp_path, key_file)) for _ in range(2)]
        shares: Counter[int] = Counter()
        for _round in range(ROUNDS):
            for process in both:
                assert process.stdin is not None
                process.stdin.write("now\n")
                process.stdin.flush()
            answers = [json.loads(said_by(process)) for process in both]
            assert all(answer["ok"] for answer in answers)
            done = [one["name"] for answer in answers for one in answer["duties"] if one["result"] == "done"]
            assert sorted(done) == sorted(duty.name for duty in duties.REGISTRY)
            shares.update(
                number
                for number, answer in enumerate(answers)
                for one in answer["duties"]
                if one["result"] == "done"
            )
            # Two days later …
            Duty.objects.update(started_at=F("started_at") - AGO)
    # Otherwise this would have proved nothing.
    assert min(shares.values()) > ROUNDS / 10, shares


@pytest.mark.django_db(transaction=True)
def test_a_duty_whose_process_was_killed_is_taken_up_by_the_next_one(tmp_path: Path, key_file: Path) -> None:
    builders.host()
    with started(STUCK, tmp_path, key_file) as process:
        assert said_by(process) == "in the middle\n"
        assert Duty.objects.get(pk="seal-trail").held_by.split(":")[1] == str(process.pid)
        assert run("--force")["seal-trail"] == "0 elsewhere"
        process.send_signal(signal.SIGKILL)
        process.wait()
        assert run("--force")["seal-trail"] == "1 done"


@pytest.mark.django_db(transaction=True)
@pytest.mark.parametrize("jump", [timedelta(days=1), -timedelta(days=1)])
def test_the_databases_clock_may_jump_while_a_duty_is_carried_out(
    tmp_path: Path, key_file: Path, jump: timedelta
) -> None:
    """What the clock moves forward, every time that was written down has moved back."""
    builders.host()
    with started(STUCK, tmp_path, key_file) as process:
        assert said_by(process) == "in the middle\n"
        Duty.objects.update(started_at=F("started_at") - jump, held_until=F("held_until") - jump)
        for _try in range(3):
            (outcome,) = [
                duties.carry_out(duty, force=True) for duty in duties.REGISTRY if duty.name == "seal-trail"
            ]
            assert outcome.result is duties.Result.ELSEWHERE
        process.send_signal(signal.SIGKILL)
        process.wait()
        # Dead, it blocks nothing for a day.
        assert run("--force")["seal-trail"] == "1 done"
    assert os.getpid() == int(processes.identity().split(":")[1])
    connection.close()
