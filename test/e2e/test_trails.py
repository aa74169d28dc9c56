# SPDX-License-Identifier: Apache-2.0
"""Several trails: patterns that find them, now and later, and what carries them."""

from __future__ import annotations

import hashlib
import os
import re
from pathlib import Path

import pytest

import faults
from agent import CONFIG, run_program
from auditlog import AuditLog, sequence
from checks import assert_file_is, file_has, has_all
from test_outputs_are_independent import start_with_pipe
from wait import wait_until


class Logs:
    """Live logs under one directory, each with sequence numbers of its own."""

    def __init__(self, rig, *names: str) -> None:
        self.rig = rig
        self.all: dict[str, AuditLog] = {}
        for name in names:
            self.add(name)

    def add(self, name: str) -> AuditLog:
        path = self.rig.log_dir / name
        path.parent.mkdir(exist_ok=True)
        log = self.rig.new_log(path, seed=len(self.all) + 1)
        log.next_seq = 100_000 * len(self.all)
        self.all[name] = log
        return log

    def __getitem__(self, name: str) -> AuditLog:
        return self.all[name]

    def append(self, n: int) -> None:
        for log in self.all.values():
            log.append_at_once(n)

    @property
    def lines(self) -> list[bytes]:
        return [line for log in self.all.values() for line in log.lines]


def trail_name(path: Path, name: str = "kube") -> str:
    base = re.sub(r"[^A-Za-z0-9._-]", "_", path.name)[:64]
    return f"{name}@{base}-{hashlib.sha256(str(path).encode()).hexdigest()[:8]}"


def pattern(rig, path: str = "*.log", **over) -> dict:
    return {"kube": {"path": rig.log_dir / path, "poll": "100ms"} | over}


def archive(rig, **over) -> dict:
    (rig.home / "out").mkdir(exist_ok=True)
    return rig.file(path=f"{rig.home}/out/{{trail}}.log", **over)


def out_of(rig, log: AuditLog) -> Path:
    return rig.home / "out" / f"{trail_name(log.path)}.log"


def wait_archived(rig, logs: Logs) -> None:
    for log in logs.all.values():
        out = out_of(rig, log)
        wait_until(file_has(out, log.text()), f"{out.name} has every line",
                   context=rig.logs_tail)
        assert_file_is(out, log.text())


def test_every_live_file_is_a_trail_of_its_own(rig):
    logs = Logs(rig, "a.log", "b.log", "c d.log")
    logs.append(50)
    a = rig.start({"archive": archive(rig), "search": rig.search()},
                  trails=pattern(rig))
    assert "ready: 3 trails, 6 lanes" in a.log()
    logs.append(50)
    wait_archived(rig, logs)
    rig.wait_delivered(lines=logs.lines)
    lanes = a.stop()
    for log in logs.all.values():
        name = trail_name(log.path)
        assert lanes[f"{name}/archive"]["delivered"] == 100
        assert (rig.state / f"{name}.archive.checkpoint").exists()
    assert len(lanes) == 6
    assert trail_name(logs["c d.log"].path).startswith("kube@c_d.log-")


def test_wildcards_in_directories(rig):
    logs = Logs(rig, "node-1/audit.log", "node-2/audit.log")
    other = AuditLog(rig.log_dir / "node-1/other.log", seed=9)
    other.append(5)
    a = rig.start({"archive": archive(rig)}, trails=pattern(rig, "node-*/audit.log"))
    logs.append(20)
    logs.add("node-3/audit.log")        # a directory that is new as well
    logs.append(20)
    wait_archived(rig, logs)
    assert len(list((rig.home / "out").iterdir())) == 3
    assert len(a.stop()) == 3
    other.close()


def test_a_file_that_comes_later_becomes_a_trail(rig):
    logs = Logs(rig)
    a = rig.start({"archive": archive(rig), "search": rig.search()},
                  trails=pattern(rig))
    a.wait_log(r"info trail kube: nothing matches \S+ yet; waiting for it")
    assert "ready: 0 trails, 0 lanes" in a.log()
    logs.add("a.log").append(30)
    a.wait_log(r"info agent: now 1 trail, 2 lanes")
    logs.add("b.log").append(30)
    a.wait_log(r"info agent: now 2 trails, 4 lanes")
    logs.append(30)
    wait_archived(rig, logs)
    rig.wait_delivered(lines=logs.lines)
    assert a.log().count("nothing matches") == 1
    assert len(a.stop()) == 4


def test_rotated_files_are_no_trails(rig):
    logs = Logs(rig, "a.log", "b.log")
    logs.append(20)
    for _ in range(3):
        logs["a.log"].rotate()
        logs.append(20)
    gone = AuditLog(rig.log_dir / "gone.log", seed=9)
    gone.append(5)
    gone.rotate()
    gone.close()
    gone.path.unlink()
    for name in ("gone.1.log", "gone-20261123.log"):
        (rig.log_dir / name).write_bytes(b"{}\n")
    a = rig.start({"archive": archive(rig)}, trails=pattern(rig))
    assert "ready: 2 trails, 2 lanes" in a.log()
    wait_archived(rig, logs)
    for _ in range(3):
        logs["b.log"].rotate()
        logs.append(20)
        wait_archived(rig, logs)
    late = logs.add("c.log")            # the pattern has been looked at once more
    late.append(1)
    wait_archived(rig, logs)
    assert len(list((rig.home / "out").iterdir())) == 3
    assert len(a.stop()) == 3


def test_a_restart_resumes_each_trail(rig):
    logs = Logs(rig, "a.log", "b.log")
    logs.append(40)
    a = rig.start({"archive": archive(rig), "search": rig.search()},
                  trails=pattern(rig))
    wait_archived(rig, logs)
    rig.wait_delivered(lines=logs.lines)
    a.stop()
    logs.append(40)
    logs["a.log"].rotate()
    logs.append(40)
    logs.add("c.log").append(40)        # it came while no agent ran
    a.start()
    assert len(re.findall(r"resuming \S+", a.log())) == 4
    wait_archived(rig, logs)
    rig.wait_delivered(lines=logs.lines)
    assert a.counters()[f"{trail_name(logs['b.log'].path)}/search"]["read"] == 80
    a.kill()
    logs.append(40)
    a.start()
    wait_archived(rig, logs)
    wait_until(has_all(rig.bulk, logs.lines), "all are there", context=rig.logs_tail)
    assert {sequence(d.doc) for d in rig.bulk.stored()} == {
        sequence(line) for line in logs.lines}


def test_start_end_is_for_what_was_there_when_the_pattern_was_new(rig):
    logs = Logs(rig, "a.log")
    logs.append(30)
    a = rig.start({"archive": archive(rig)}, trails=pattern(rig, start="end"))
    skipped = logs["a.log"].lines[:]
    logs["a.log"].lines.clear()
    logs.add("b.log").append(30)        # appears while the agent runs
    logs.append(10)
    wait_archived(rig, logs)
    a.stop()
    logs.add("c.log").append(30)        # and while none does
    a.start()
    logs.append(10)
    wait_archived(rig, logs)
    assert len(skipped) == 30


def test_more_files_than_max_matches_are_refused_loudly(rig):
    logs = Logs(rig, "a.log", "b.log")
    logs.append(10)
    a = rig.start({"archive": archive(rig)}, trails=pattern(rig, max_matches=2))
    third = AuditLog(rig.log_dir / "c.log", seed=9)
    third.append(5)
    a.wait_log(r"error trail kube: 1 more files match \S+ than max_matches, which "
               r"is 2: they are NOT read")
    logs.append(10)
    wait_archived(rig, logs)
    assert a.log().count("NOT read") == 1
    assert len(a.stop()) == 2
    third.close()


def test_a_file_that_comes_while_stopping_is_not_opened(rig):
    logs = Logs(rig, "a.log")
    rig.bulk.plan(*[faults.HANG] * 100)
    a = rig.start({"search": rig.search()}, trails=pattern(rig), drain_timeout="1s")
    logs.append(10)
    wait_until(lambda: a.counters() and rig.bulk.requests, "a request hangs",
               context=a.log)
    a.send(15)
    a.wait_log("stopping: ")
    late = AuditLog(rig.log_dir / "late.log", seed=9)
    late.append(5)
    a.wait_exit()
    assert "late.log" not in a.log()
    late.close()


def test_the_agent_does_not_read_its_own_log(rig):
    a = rig.agent({"archive": archive(rig)}, trails={
        "kube": {"path": rig.home / "*.stderr", "poll": "100ms"}})
    a.start()
    a.wait_log(r"warn trail kube: \S+\.stderr is what this agent writes itself; "
               r"it is not read")
    assert "ready: 0 trails, 0 lanes" in a.log()
    a.stop()


def test_lines_of_several_trails_do_not_mix_on_stdout(rig):
    """A pipe takes a part of a batch at a time, and lanes take turns."""
    logs = Logs(rig, "a.log", "b.log", "c.log")
    a = rig.agent({"console": rig.console(batch_bytes="256KiB")},
                  trails=pattern(rig))
    pipe = start_with_pipe(rig, a)
    for log in logs.all.values():
        log.append_at_once(300, pad=3000)
    want = sum(len(log.text()) for log in logs.all.values())
    wait_until(lambda: len(pipe.read()) >= want, "stdout has every line",
               context=a.log)
    got = pipe.got.splitlines()
    assert sorted(got) == sorted(logs.lines)
    for log in logs.all.values():       # in order within each
        mine = set(log.lines)
        assert [line for line in got if line in mine] == log.lines
    a.stop()
    pipe.close()


def test_no_reader_of_stdout_is_left_for_any_trail(rig):
    logs = Logs(rig, "a.log", "b.log")
    a = rig.agent({"console": rig.console()}, trails=pattern(rig))
    pipe = start_with_pipe(rig, a)
    pipe.close()
    logs["a.log"].append(1)             # only one of the lanes finds out
    a.expected_exit = {1}
    assert a.wait_exit() == 1
    assert "no output is left" in a.log()


def test_static_trails_and_patterns_side_by_side(rig):
    logs = Logs(rig, "a.log", "b.log")
    alone = AuditLog(rig.home / "audit.log", seed=7)
    alone.next_seq = 900_000
    trails = pattern(rig) | {"audit": {"path": alone.path}}
    a = rig.start({"archive": archive(rig, trails=["kube"]),
                   "search": rig.search(trails=["kube", "audit"])}, trails=trails)
    assert "ready: 3 trails, 5 lanes" in a.log()
    alone.append(20)
    logs.append(20)
    wait_archived(rig, logs)
    rig.wait_delivered(lines=logs.lines + alone.lines)
    assert a.stop()["audit/search"]["delivered"] == 20
    alone.close()


def test_one_damaged_pair_of_checkpoints_does_not_stop_the_others(rig):
    logs = Logs(rig, "a.log")
    name = trail_name(rig.log_dir / "b.log")
    a = rig.start({"archive": archive(rig)}, trails=pattern(rig))
    for suffix in ("", ".prev"):
        (rig.state / f"{name}.archive.checkpoint{suffix}").write_text("rubbish\n")
    logs.append(10)
    late = AuditLog(rig.log_dir / "b.log", seed=9)
    late.append(5)
    a.wait_log(rf"error agent: lane {re.escape(name)}/archive: .*; this lane is left "
               "out")
    logs.append(10)
    wait_archived(rig, logs)
    assert len(a.stop()) == 1
    late.close()


@pytest.mark.parametrize("path, word", [
    ("'/log/**/x.log'", "4:11: trails.kube.path: '/log/**/x.log' has '**'"),
    ("/log/x/", "is a directory; it must be a file"),
    ("/log/*.log", "9:5: outputs.f.path: one file takes one trail, and trail 'kube'"),
])
def test_check_says_what_is_wrong_with_a_pattern(rig, path, word):
    conf = rig.home / "bad.yaml"
    conf.write_text("state_dir: /s\ntrails:\n  kube:\n    path: " + path
                    + "\n    poll: 1s\noutputs:\n  f:\n    type: file\n"
                    "    path: /out/f.log\n")
    done = run_program("check", str(conf))
    assert done.returncode == CONFIG
    assert word in done.stderr, done.stderr


def test_directories_that_cannot_be_listed_are_said_once(rig):
    if os.geteuid() != 0:
        pytest.skip("needs root, to be somebody else")
    logs = Logs(rig, "n1/a.log", "n2/a.log")
    for path in (rig.home, rig.log_dir, rig.log_dir / "n2"):
        path.chmod(0o755)
    for log in logs.all.values():
        log.path.chmod(0o644)
    (rig.log_dir / "n1").chmod(0o700)
    out = rig.home / "out"
    out.mkdir()
    for path in (out, rig.home):
        os.chown(path, 65534, 65534)
    rig.state.mkdir(exist_ok=True)
    os.chown(rig.state, 65534, 65534)
    a = rig.start({"archive": archive(rig)}, trails=pattern(rig, "n*/*.log"),
                  uid=65534)
    assert a.log().count("n1: Permission denied; what is in it is not found") == 1
    assert "ready: 1 trail, 1 lane" in a.log()
    (rig.log_dir / "n1").chmod(0o755)
    a.wait_log("now 2 trails, 2 lanes")
    logs.append(5)
    wait_archived(rig, logs)
