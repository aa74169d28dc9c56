# SPDX-License-Identifier: Apache-2.0
"""`tallyman ship` and its like: commands that end, and what they say at their end."""

from __future__ import annotations

import json
import os
import signal
import subprocess
from pathlib import Path
from typing import Any

from agent import PROGRAM, SANITIZER
from wait import SCALE, wait_until

SHIPPED, FAILED, USAGE, CONFIG, STATE, LOCKED, CUT_SHORT, DEAD = range(8)


class Job:
    """One run of such a command. Its home directory is the rig's."""

    def __init__(self, rig, *args: object, stdout: Any = subprocess.PIPE) -> None:
        self.stderr_path = rig.home / f"job{len(list(rig.home.glob('job*.err')))}.err"
        with self.stderr_path.open("wb") as err:
            self.process = subprocess.Popen(
                [str(PROGRAM), *map(str, args)], stdin=subprocess.DEVNULL,
                stdout=stdout, stderr=err, cwd=rig.home,
                env=os.environ | {"HOME": str(rig.home), "XDG_STATE_HOME": ""})

    def log(self) -> str:
        return self.stderr_path.read_text(errors="replace")

    def is_running(self) -> bool:
        return self.process.poll() is None

    def send(self, number: int) -> None:
        self.process.send_signal(number)

    def kill(self) -> None:
        self.process.kill()
        self.process.wait()

    def end(self) -> int:
        """Its exit code, once it has ended by itself."""
        self.process.communicate(timeout=60 * SCALE)
        return self.process.returncode

    def wait(self, expect: int = SHIPPED) -> str:
        """What it printed, once it has ended as expected."""
        out, _ = self.process.communicate(timeout=60 * SCALE)
        assert not SANITIZER.search(self.log()), self.log()
        assert self.process.returncode == expect, (self.process.returncode, out,
                                                   self.log())
        return (out or b"").decode()

    def wait_log(self, text: str) -> None:
        wait_until(lambda: text in self.log() or not self.is_running(), f"it says {text!r}",
                   20.0, self.log)
        assert text in self.log(), self.log()


def run(rig, *args: object, expect: int = SHIPPED, **kw) -> dict:
    """To its end, with --json: its summary, of which the books balance."""
    return summary_of(Job(rig, *args, "--json", **kw).wait(expect))


def summary_of(out: str) -> dict:
    summary = json.loads(out)
    assert summary["read"] == summary["events"] + summary["in_flight"], summary
    assert summary["events"] == sum(summary[k] for k in (
        "delivered", "duplicate", "filtered", "refused", "quarantined")), summary
    return summary


def stop(job: Job, number: int = signal.SIGINT, expect: int = FAILED) -> dict:
    job.send(number)
    return summary_of(job.wait(expect))


def places(rig) -> list[Path]:
    """What it remembers, of all there is."""
    root = rig.home / ".local/state/tallyman/ship"
    return sorted(root.iterdir()) if root.exists() else []
