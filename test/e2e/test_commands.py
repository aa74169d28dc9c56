# SPDX-License-Identifier: Apache-2.0
"""What a command can do is the same in its --help, in the manual and in what the
shell completes."""

from __future__ import annotations

import os
import re
import shutil
import subprocess

import pytest

from agent import TOP, run_program

MANUAL = (TOP / "conf/man/tallyman.1").read_text()
COMPLETION = TOP / "conf/completions/tallyman.bash"
FLAG = re.compile(r"^  (--?[a-z][a-z-]*)(?:[ ,]|$)", re.M)


def commands() -> list[str]:
    text = run_program("--help").stdout.split("Commands:\n")[1].split("\n\n")[0]
    return re.findall(r"^  (\S+)", text, re.M)


def flags_of(command: str) -> set[str]:
    return set(FLAG.findall(run_program(command, "--help").stdout))


def complete(*words: str) -> set[str]:
    """What bash offers behind these words, the last of which is being typed."""
    script = (f'. "{COMPLETION}"; COMP_WORDS=("$@"); COMP_CWORD=$(($# - 1)); _tallyman; '
              'printf "%s\\n" "${COMPREPLY[@]}"')
    done = subprocess.run(
        ["bash", "-c", script, "bash", "tallyman", *words],
        capture_output=True, text=True, timeout=60)
    assert done.returncode == 0 and done.stderr == "", done.stderr
    return set(done.stdout.split())


def manual_of(command: str) -> str:
    """Where the manual tells of it: from its item in the list of commands to the
    next one, or the end of that list."""
    found = re.search(rf"^\.It Cm {command}\b.*?(?=^\.It Cm (?:{'|'.join(commands())})\b"
                      r"|^\.Pp\n\.Fl -help)", MANUAL, re.M | re.S)
    assert found, f"the manual has no item for {command}"
    return found[0]


def test_every_command_is_listed_everywhere():
    names = commands()
    assert {"run", "check", "ship", "replay"} <= set(names)
    assert complete("") == {*names, "--help", "--version"}
    for name in names:
        assert f".Nm\n.Cm {name}\n" in MANUAL, f"{name} is not in the synopsis"


@pytest.mark.parametrize("command", commands())
def test_every_option_is_completed(command):
    assert complete(command, "-") == flags_of(command) | {"--help"}


@pytest.mark.parametrize("command", commands())
def test_every_option_is_in_the_manual(command):
    text = manual_of(command)
    listed = {f"-{f}" for f in re.findall(r"\bFl (-?[a-z][a-z-]*)", text)}
    assert flags_of(command) <= listed, flags_of(command) - listed


@pytest.mark.parametrize("command", commands())
def test_help_fits_a_terminal_and_tells_the_exit_codes(command):
    done = run_program(command, "--help")
    assert done.returncode == 0 and done.stderr == ""
    assert done.stdout.startswith(f"Usage: tallyman {command}")
    long = [line for line in done.stdout.splitlines() if len(line) > 80]
    assert not long, long
    assert "Exit codes: 0 " in done.stdout


def test_the_manual_is_well_formed():
    if shutil.which("man") is None:
        pytest.skip("skipped: man is not installed")
    done = subprocess.run(
        ["man", "--warnings", "-l", str(TOP / "conf/man/tallyman.1")],
        capture_output=True, text=True, timeout=60,
        env=os.environ | {"MANPAGER": "cat", "MANWIDTH": "80"})
    assert done.returncode == 0 and done.stderr == "", done.stderr
