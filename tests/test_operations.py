"""What the guides tell operators is so: the table of duties, and the units of systemd."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
from pathlib import Path

import pytest

from credentials.services import duties
from tests.processes import ROOT

INSTALL = (ROOT / "docs" / "install.md").read_text("utf-8")
OPERATIONS = (ROOT / "docs" / "operations.md").read_text("utf-8")
UNITS = ("worker", "refresher")


def test_the_guide_lists_every_duty() -> None:
    table = OPERATIONS.partition("## Periodic duties")[2].partition("## ")[0]
    listed = re.findall(r"^\| `([a-z-]+)` \|", table, re.MULTILINE)
    assert len(set(listed)) == len(listed)
    assert {duty.name for duty in duties.REGISTRY} <= set(listed)


def web_unit() -> str:
    found: str = re.findall(r"forgekey-web\.service`:\n\n```ini\n(.*?)```", INSTALL, re.DOTALL)[0]
    return found


def unit(name: str) -> str:
    """The unit as the guide has it made: the web's, with other lines instead of its own."""
    said = re.findall(rf"forgekey-{name}\.service`.*?```ini\n(.*?)```", INSTALL, re.DOTALL)[0]
    lines = dict(line.split("=", 1) for line in said.splitlines())
    made = re.sub(r"^Exec(?:Start|Reload)=(?:.*\\\n)*.*\n", "", web_unit(), flags=re.MULTILINE)
    made = re.sub(r"^Description=.*$", f"Description={lines.pop('Description')}", made, flags=re.MULTILINE)
    for key in lines:
        made = re.sub(rf"^{key}=.*\n", "", made, flags=re.MULTILINE)
    return made.replace("[Service]\n", "[Service]\n" + "".join(f"{k}={v}\n" for k, v in lines.items()))


@pytest.mark.parametrize("name", UNITS)
def test_the_units_of_worker_and_refresher_give_them_time_to_finish(name: str) -> None:
    made = unit(name)
    assert made.count("ExecStart=") == 1
    assert f"manage.py {name}" in made
    assert "KillMode=mixed" in made
    assert "ExecReload" not in made
    # The web's own lines stay: what shuts the process off from the rest of the machine.
    assert "ProtectSystem=strict" in made


@pytest.mark.parametrize("name", ["web", *UNITS])
def test_systemd_finds_nothing_to_say_about_the_units(name: str, tmp_path: Path) -> None:
    if shutil.which("systemd-analyze") is None:
        pytest.skip("there is no systemd on this machine")
    text = web_unit() if name == "web" else unit(name)
    program = tmp_path / "python"
    program.write_text("#!/bin/sh\n")
    program.chmod(0o755)
    text = re.sub(r"/opt/forgekey/venv/bin/\w+", str(program), text)
    path = tmp_path / f"forgekey-{name}.service"
    path.write_text(text)
    done = subprocess.run(
        ["systemd-analyze", "verify", str(path)],
        capture_output=True,
        text=True,
        check=False,
        env={"PATH": os.environ["PATH"], "SYSTEMD_LOG_LEVEL": "warning"},
    )
    about = [line for line in done.stderr.splitlines() if path.name in line]
    assert (done.returncode, about) == (0, [])
