# SPDX-License-Identifier: Apache-2.0
"""One tallyman process: its configuration, its counters, its end."""

import json
import os
import re
import signal
import subprocess
from pathlib import Path

from waiting import Failed, require, wait_until

TOP = Path(__file__).resolve().parents[2]
PROGRAM = Path(os.environ.get("TALLYMAN", TOP / "build/dev/tallyman"))

Counters = dict[str, int]


def as_yaml(value: object, indent: str = "") -> str:
    """Block style, plain scalars: as a person writes it."""
    text = ""
    for key, item in value.items():
        if isinstance(item, dict):
            text += f"{indent}{key}:\n{as_yaml(item, indent + '  ')}"
        elif isinstance(item, list):
            text += f"{indent}{key}: [{', '.join(item)}]\n"
        else:
            text += f"{indent}{key}: {item}\n"
    return text


class Agent:
    """Follows `log` into `outputs`; state, configuration and stderr lie in `home`."""

    def __init__(self, home: Path, log: Path, outputs: dict[str, dict]):
        self.home, self.outputs = home, outputs
        self.state = home / "state"
        self.state.mkdir(parents=True, exist_ok=True)
        self.stderr = home / "stderr"
        self.config = home / "tallyman.yaml"
        self.config.write_text(
            as_yaml(
                {
                    "state_dir": self.state,
                    "drain_timeout": "2s",
                    "trails": {"audit": {"path": log, "parser": "audit"}},
                    "outputs": outputs,
                }
            )
        )
        self.process: subprocess.Popen | None = None

    def start(self) -> "Agent":
        with self.stderr.open("ab") as err:
            self.seen = err.tell()
            self.process = subprocess.Popen(
                [PROGRAM, "run", "-c", self.config],
                stdin=subprocess.DEVNULL,
                stdout=subprocess.DEVNULL,
                stderr=err,
            )
        wait_until("tallyman is ready", lambda: self.said(r"agent: tallyman .* ready"))
        return self

    def said(self, pattern: str) -> list[tuple[str, ...]]:
        """What matches in stderr since the last start or question."""
        text = self.stderr.read_bytes()[self.seen :].decode(errors="replace")
        found = re.findall(pattern, text)
        if not found and self.process.poll() is not None:
            raise Failed(
                f"tallyman ended with {self.process.returncode}: {self.last()}"
            )
        return found

    def said_ever(self, pattern: str) -> bool:
        """In stderr since its beginning."""
        return bool(re.search(pattern, self.stderr.read_text(errors="replace")))

    def last(self) -> str:
        return self.stderr.read_text(errors="replace").strip().rpartition("\n")[2]

    def counters(self, output: str = "search") -> Counters:
        """Asks for the counters of one lane, or reads those of the end."""
        if self.process.poll() is None:
            self.seen = self.stderr.stat().st_size
            self.process.send_signal(signal.SIGUSR1)
        line = wait_until(
            "tallyman prints its counters",
            lambda: self.said(rf"lane audit/{output}: counters (.*)\n"),
        )[-1]
        fields = dict(field.split("=") for field in line.split())
        require(fields.pop("balanced") == "yes", f"the books do not balance: {line}")
        found = {n: int(v) for n, v in fields.items() if v.isdigit()}
        require(
            found["read"] == settled(found) + found["in_flight"],
            f"read is not the sum of the others: {line}",
        )
        return found

    def wait_settled(
        self, events: int, seconds: float = 120, output: str = "search"
    ) -> Counters:
        """Until so many events are settled by the lane, and none is under way."""
        last: Counters = {}

        def done() -> bool:
            last.update(self.counters(output))
            return settled(last) >= events and not last["in_flight"]

        try:
            wait_until(f"lane audit/{output} settles {events} events", done, seconds)
        except Failed as late:
            raise Failed(f"{late}; counters: {last}; {self.last()}") from None
        return last

    def stop(self) -> None:
        """By SIGTERM, and it has to end well."""
        self.seen = self.stderr.stat().st_size
        self.process.terminate()
        try:
            code = self.process.wait(30)
        except subprocess.TimeoutExpired:
            raise Failed("tallyman does not stop within 30 s of SIGTERM") from None
        require(code == 0, f"tallyman ended with {code}: {self.last()}")
        for output in self.outputs:
            self.counters(output)

    def kill(self) -> None:
        """Whatever state it is in: for cleaning up."""
        if self.process and self.process.poll() is None:
            self.process.kill()
            self.process.wait()


def verify(agent: Agent, output: str = "search", *more: str) -> dict:
    """What `tallyman verify` says of all that the agent's log holds."""
    command = [PROGRAM, "verify", "-c", agent.config, "--output", output, "--json"]
    done = subprocess.run(
        [*command, *more],
        capture_output=True,
        text=True,
    )
    require(done.stdout.strip(), f"verify ended with {done.returncode}: {done.stderr}")
    said = json.loads(done.stdout)
    require(said["complete"] is (done.returncode == 0), f"{done.returncode}: {said}")
    return said


def settled(counters: Counters) -> int:
    return sum(
        counters[name] for name in ("delivered", "duplicate", "filtered", "dead")
    )
