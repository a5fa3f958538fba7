"""The web process as the demo starts it, to be killed."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from pathlib import Path

from credentials.management.commands.demo import web_words
from tests.processes import ROOT, database_url, environment


class Web:
    """The web process as the demo starts it, on the tests' own database."""

    def __init__(self, *, port: int, data_dir: Path, key_file: Path, **settings: str) -> None:
        self.port = port
        self.log = data_dir / "web.log"
        (data_dir / "static").mkdir()  # whitenoise looks for it at start
        self.surroundings = environment(
            data_dir, DATABASE_URL=database_url(), CREDENTIALS_KEY_SOURCE=f"file:{key_file}", **settings
        )
        self.process = self.start()

    def start(self) -> subprocess.Popen[bytes]:
        with self.log.open("ab") as output:
            return subprocess.Popen(
                [sys.executable, *web_words(self.port)],
                cwd=ROOT,
                env=self.surroundings,
                stdout=output,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )

    def kill(self) -> None:
        """SIGKILL to the whole group: granian would start a new worker in place of a killed one."""
        os.killpg(self.process.pid, signal.SIGKILL)
        self.process.wait()

    def restart(self) -> None:
        self.process = self.start()
