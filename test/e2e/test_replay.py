# SPDX-License-Identifier: Apache-2.0
"""`tallyman replay`: dead letters again, through the rules of today, while the agent
runs; none is lost, whatever happens meanwhile."""

from __future__ import annotations

import json
import os
import random
import threading

import pytest

import faults
from agent import read_dead, run_program
from auditlog import id_of
from checks import assert_once, assert_quarantined, assert_refused
from conftest import give
from shipping import (
    CONFIG, DEAD, FAILED, LOCKED, SHIPPED, USAGE, Job, places, run, stop, summary_of)
from test_rollover import STREAM, roll
from wait import wait_until


def refuse(rig, *names: int) -> None:
    """These events, or all, are refused from now on."""
    marks = [b"e2e-%08d" % n for n in names]
    rig.bulk.item_fault = lambda o: (
        faults.BAD_DOCUMENT if not marks or any(m in o.doc for m in marks) else None)


def accept(rig) -> None:
    rig.bulk.item_fault = None


def letters(rig, output: str = "search", torn: bool = False) -> list[dict]:
    """All there are, in the order of the files' names. Half of one stands at an end
    only where a kill may have left it."""
    found = []
    for path in sorted((rig.state / "dead").glob(f"{output}*.ndjson"),
                       key=lambda p: (p.name == f"{output}.ndjson", p.name)):
        text = read_dead(path)
        assert torn or text == b"" or text.endswith(b"\n"), path
        found += [json.loads(line) for line in text.split(b"\n")[:-1]]
    return found


def with_dead(rig, n: int, **over):
    """An agent that runs, and has n dead letters: all the events there are."""
    rig.log.append_at_once(n)
    refuse(rig)
    a = rig.start({"search": rig.search(**over)})
    wait_until(lambda: len(letters(rig)) == n, f"{n} dead letters", 20.0, a.log)
    return a


def test_what_was_refused_is_delivered_with_the_id_it_had(rig):
    rig.log.append_at_once(50)
    refuse(rig, 3, 7, 31)
    a = rig.start({"search": rig.search()})
    rig.wait_settled(a, read=50)
    assert len(letters(rig)) == 3
    before = rig.bulk.stored_count()
    accept(rig)
    done = run(rig, "replay", "-c", a.config)
    assert done["delivered"] == 3 and done["all_delivered"]
    assert rig.bulk.stored_count() == before + 3
    assert_once(rig.bulk, rig.log.lines)
    assert letters(rig) == []
    assert list((rig.state / "dead").iterdir()) == []
    assert not (rig.state / "replay").exists()
    refuse(rig)                     # and the agent goes on
    rig.log.append(2)
    wait_until(lambda: len(letters(rig)) == 2, "two more")
    accept(rig)
    assert run(rig, "replay", "-c", a.config)["delivered"] == 2
    assert_once(rig.bulk, rig.log.lines)


def test_what_is_there_by_now_is_a_duplicate(rig):
    a = with_dead(rig, 20)
    accept(rig)
    run(rig, "ship", rig.log_path, "-c", a.config)
    done = run(rig, "replay", "-c", a.config)
    assert (done["delivered"], done["duplicate"]) == (0, 20)
    assert letters(rig) == []
    assert_once(rig.bulk, rig.log.lines)


def test_what_is_refused_again_stays_with_the_new_reason(rig):
    a = with_dead(rig, 10)
    old = letters(rig)
    rig.bulk.item_fault = lambda o: (
        faults.IMMENSE_TERM if b"e2e-00000004" in o.doc else None)
    job = Job(rig, "replay", "-c", a.config, "--json")
    done = summary_of(job.wait(DEAD))
    assert (done["delivered"], done["refused"]) == (9, 1)
    [letter] = letters(rig)
    assert_refused(letter, rig.log.lines[4], 400, "immense term")
    [same] = [x for x in old if x["id"] == letter["id"]]
    for key in ("trail", "output", "file", "offset", "length", "document", "sha256"):
        assert letter[key] == same[key], key
    assert "document_parsing" in same["reason"]
    assert str(rig.state / "dead/search.ndjson") in job.log()
    accept(rig)
    assert run(rig, "replay", "-c", a.config)["delivered"] == 1
    assert_once(rig.bulk, rig.log.lines)


def test_lines_are_read_by_the_parser_of_today(rig):
    lines = [b'{"no":"audit event","n":%d}' % n for n in range(3)]
    rig.log.write(b"".join(x + b"\n" for x in lines) + b"E1123 klog\n")
    a = rig.start({"search": rig.search()})
    wait_until(lambda: len(letters(rig)) == 4, "four dead letters")
    a.stop()
    config = rig.write_config({"search": rig.search()}, trail={"parser": "json"})
    done = run(rig, "replay", "-c", config, expect=DEAD)
    assert (done["delivered"], done["quarantined"]) == (3, 1)
    [letter] = letters(rig)
    assert_quarantined(letter, b"E1123 klog")
    got = sorted(json.loads(d.doc)["n"] for d in rig.bulk.stored())
    assert got == [0, 1, 2]


def test_an_event_without_a_time_keeps_its_id_and_day(rig):
    rig.log.write(b'{"level":"Metadata","auditID":"a","stage":"Panic"}\n')
    refuse(rig)
    a = rig.start({"search": rig.search()})
    wait_until(lambda: len(letters(rig)) == 1, "a dead letter")
    [letter] = letters(rig)
    accept(rig)
    assert run(rig, "replay", "-c", a.config)["delivered"] == 1
    [doc] = rig.bulk.stored()
    assert doc.id == letter["id"]
    assert json.loads(doc.doc) == letter["document"]
    day = letter["document"]["@timestamp"][:10].replace("-", ".")
    assert doc.index == f"auditing-{day}"


def test_json_events_keep_their_ids(rig):
    """Their ids are of the whole object, which has "@timestamp" added to it."""
    rig.log.write(b'{"some":"thing","time":"2026-11-23T17:00:00Z"}\n')
    refuse(rig)
    config = dict(outputs={"search": rig.search()}, trail={"parser": "json"})
    a = rig.start(**config)
    wait_until(lambda: len(letters(rig)) == 1, "a dead letter")
    accept(rig)
    run(rig, "ship", rig.log_path, "-c", a.config, "--parser", "json")
    done = run(rig, "replay", "-c", a.config)
    assert (done["delivered"], done["duplicate"]) == (0, 1)


def test_a_line_of_which_the_head_was_kept_stays_as_it_is(rig):
    rig.log.write(b"x" * 200_000 + b"\n")
    a = rig.start({"search": rig.search()})
    wait_until(lambda: len(letters(rig)) == 1, "a dead letter")
    old = letters(rig)
    done = run(rig, "replay", "-c", a.config, expect=DEAD)
    assert done["quarantined"] == 1
    assert letters(rig) == old


def test_a_large_document_goes_whole(rig):
    rig.log.append(1, pad=3_000_000)
    refuse(rig)
    a = rig.start({"search": rig.search()})
    wait_until(lambda: len(letters(rig)) == 1, "a dead letter")
    done = run(rig, "replay", "-c", a.config, expect=DEAD)      # and is refused again
    assert done["refused"] == 1
    assert_refused(letters(rig)[0], rig.log.lines[0], 400, "document_parsing")
    accept(rig)
    assert run(rig, "replay", "-c", a.config)["delivered"] == 1
    assert_once(rig.bulk, rig.log.lines)


def test_a_record_that_is_none_stays(rig):
    a = with_dead(rig, 3)
    with (rig.state / "dead/search.ndjson").open("ab") as f:
        f.write(b'{"what": "is this"}\n')
    accept(rig)
    done = run(rig, "replay", "-c", a.config, expect=DEAD)
    assert (done["delivered"], done["quarantined"]) == (3, 1)
    [letter] = letters(rig)
    assert letter["line"] == '{"what": "is this"}'


def test_files_that_were_rotated_are_taken_too(rig):
    a = with_dead(rig, 10)
    dead = rig.state / "dead"
    (dead / "search.ndjson").rename(dead / "search-2026-11-23T17:00:00.000000Z.ndjson")
    rig.log.append(5)
    wait_until(lambda: len(letters(rig)) == 15, "five more")
    (dead / "search-old.ndjson").write_text("another output's\n")
    accept(rig)
    assert run(rig, "replay", "-c", a.config)["delivered"] == 15
    assert [p.name for p in dead.iterdir()] == ["search-old.ndjson"]
    assert_once(rig.bulk, rig.log.lines)


def test_none_is_lost_while_the_agent_adds_more(rig):
    """Every other event is refused; both write, and set aside, the same file."""
    a = with_dead(rig, 100)
    rig.bulk.item_fault = lambda o: (
        faults.BAD_DOCUMENT if int(o.doc.split(b'"e2e-')[1][:8]) % 2 else None)
    for _ in range(20):
        writer = threading.Thread(target=rig.log.append, args=(100,))
        writer.start()
        code = Job(rig, "replay", "-c", a.config, "--quiet").end()
        writer.join()
        assert code in (SHIPPED, DEAD)
    rig.wait_settled(a, read=2100)
    assert len(letters(rig)) == 1050
    accept(rig)
    run(rig, "replay", "-c", a.config)
    assert letters(rig) == []
    assert_once(rig.bulk, rig.log.lines)


def test_the_agent_can_add_to_what_root_has_left(rig, plain_user):
    """The agent is another user, as conf/systemd has it; who replays is root."""
    if plain_user is None:
        pytest.skip("skipped: only root can be another user")
    give(rig.state, plain_user)
    rig.log.append_at_once(10)
    os.chmod(rig.log_path, 0o644)
    refuse(rig)
    a = rig.start({"search": rig.search()}, uid=plain_user)
    wait_until(lambda: len(letters(rig)) == 10, "ten dead letters", 20.0, a.log)
    assert run(rig, "replay", "-c", a.config, expect=DEAD)["refused"] == 10
    rig.log.append_at_once(5)
    wait_until(lambda: len(letters(rig)) == 15, "five more", 20.0, a.log)
    accept(rig)
    assert run(rig, "replay", "-c", a.config)["delivered"] == 15
    assert_once(rig.bulk, rig.log.lines)


def test_kills_under_faults(rig):
    """However often it is killed: each is delivered, or a dead letter, never none."""
    seed = int(os.environ.get("TALLYMAN_SEED", random.randrange(10**6)))
    print(f"TALLYMAN_SEED={seed}")
    r = random.Random(seed)
    a = with_dead(rig, 1000, batch_events=50)
    a.stop()
    rig.bulk.chaos = faults.Chaos(seed, p_whole=0.2, p_item=0.2)
    stubborn = {n for n in range(0, 1000, 97)}
    refuse(rig, *stubborn)
    for _ in range(10):
        before = rig.bulk.request_count()
        job = Job(rig, "replay", "-c", a.config)
        more = r.randrange(1, 8)
        wait_until(lambda: rig.bulk.request_count() >= before + more
                   or not job.is_running(), "some requests", 30.0, job.log)
        job.kill()
        stored = {d.id for d in rig.bulk.stored()}
        left = {x["id"] for x in letters(rig, torn=True)}
        assert stored | left == {id_of(x) for x in rig.log.lines}
    rig.bulk.chaos = None
    run(rig, "replay", "-c", a.config, expect=DEAD)
    assert {x["id"] for x in letters(rig)} == {
        id_of(rig.log.lines[n]) for n in stubborn}
    accept(rig)
    run(rig, "replay", "-c", a.config)
    assert letters(rig) == []
    assert_once(rig.bulk, rig.log.lines)


def test_a_data_stream_that_rolls_over_has_each_once(rig):
    """Killed again and again, with a rollover before each request."""
    rig.log.append_at_once(400)
    refuse(rig)
    a = rig.start({"search": rig.search(data_stream=STREAM, batch_events=20)})
    wait_until(lambda: len(letters(rig)) == 400, "400 dead letters", 20.0, a.log)
    a.stop()
    accept(rig)
    roll(rig)
    for n in (50, 150, 250):
        job = Job(rig, "replay", "-c", a.config)
        wait_until(lambda: rig.bulk.stored_count() > n or not job.is_running(),
                   f"{n} are there", 30.0, job.log)
        job.kill()
        rig.bulk.wait_alone()           # before the next one asks what is there
    run(rig, "replay", "-c", a.config)
    assert letters(rig) == []
    assert_once(rig.bulk, rig.log.lines, STREAM)


def test_a_stop_is_gone_on_from(rig):
    a = with_dead(rig, 1000, batch_events=20, in_flight=1)
    accept(rig)
    rig.bulk.plan(*[faults.Whole("slow", seconds=0.05)] * 50)
    job = Job(rig, "replay", "-c", a.config, "--json")
    wait_until(lambda: rig.bulk.stored_count() > 100, "some are there")
    one = stop(job)
    assert len(letters(rig)) == 1000, "they stay until all are settled"
    two = run(rig, "replay", "-c", a.config)
    assert two["went_on"] and one["delivered"] + two["delivered"] == 1000
    assert_once(rig.bulk, rig.log.lines)
    assert letters(rig) == []


def test_one_at_a_time(rig):
    a = with_dead(rig, 10)
    accept(rig)
    rig.bulk.plan(faults.HANG)
    job = Job(rig, "replay", "-c", a.config)
    wait_until(lambda: rig.bulk.open_now > 0, "a request is held")
    second = Job(rig, "replay", "-c", a.config)
    second.wait(LOCKED)
    assert f"process {job.process.pid}" in second.log()
    rig.bulk.release()
    job.wait()


def test_it_gives_up_when_told_to(rig):
    a = with_dead(rig, 10)
    rig.bulk.stop()
    job = Job(rig, "replay", "-c", a.config, "--json", "--give-up", "300ms")
    assert "onnect" in summary_of(job.wait(FAILED))["error"]
    assert len(letters(rig)) == 10
    accept(rig)
    rig.bulk.start()
    run(rig, "replay", "-c", a.config)
    assert_once(rig.bulk, rig.log.lines)


def test_a_dry_run_counts_and_changes_nothing(rig):
    rig.log.write(b"E1123 klog\nE1124 klog\n")
    rig.log.append_at_once(20)
    refuse(rig, 1, 2, 3)
    a = rig.start({"search": rig.search()})
    rig.wait_settled(a, read=22)
    assert len(letters(rig)) == 5
    files = {p: p.read_bytes() for p in (rig.state / "dead").iterdir()}
    requests = rig.bulk.request_count()
    out = Job(rig, "replay", "-c", a.config, "--dry-run").wait()
    head, *rows = out.splitlines()
    assert head == "search: 5 dead letters"
    assert "         3  refused 400: document_parsing_exception" in rows
    [klog] = [r for r in rows if "quarantined" in r]
    assert klog.startswith("         2  quarantined: not JSON at byte #")
    done = json.loads(Job(rig, "replay", "-c", a.config, "--dry-run", "--json").wait())
    assert done["output"] == "search" and done["letters"] == 5
    assert {"kind": "refused", "status": 400, "count": 3,
            "reason": "document_parsing_exception"} in done["reasons"]
    assert rig.bulk.request_count() == requests
    assert files == {p: p.read_bytes() for p in (rig.state / "dead").iterdir()}
    assert not (rig.state / "replay").exists()


def test_all_outputs_where_none_is_named(rig):
    one, other = rig.new_bulk(), rig.new_bulk()
    rig.log.write(b"no event\n")
    rig.log.append(10)
    for bulk in (one, other):
        bulk.item_fault = lambda o: faults.BAD_DOCUMENT
    a = rig.start({"one": rig.search(one), "other": rig.search(other),
                   "archive": rig.file()})
    wait_until(lambda: len(letters(rig, "one")) == len(letters(rig, "other")) == 11
               and len(letters(rig, "archive")) == 1, "all are there")
    for bulk in (one, other):
        bulk.item_fault = None
    job = Job(rig, "replay", "-c", a.config)
    out = job.wait(DEAD)
    assert [x.split(";")[0] for x in out.splitlines()] == [
        f"{name}: 11 events: 10 delivered, 0 duplicate, 1 dead"
        for name in ("one", "other")]
    assert "output archive writes a file" in job.log() and "1 dead letters stay" in job.log()
    for bulk in (one, other):
        assert_once(bulk, rig.log.lines)
    assert len(letters(rig, "archive")) == 1


def test_the_dead_letters_of_a_ship(rig):
    rig.log.append(10)
    refuse(rig, 4)
    run(rig, "ship", rig.log_path, "--hosts", rig.bulk.url, expect=DEAD)
    [place] = places(rig)
    accept(rig)
    args = ("replay", "--state", place, "--hosts", rig.bulk.url)
    assert run(rig, *args)["delivered"] == 1
    assert_once(rig.bulk, rig.log.lines)
    assert Job(rig, *args).wait() == "search: no dead letters\n"


def test_none_at_all(rig):
    config = rig.write_config({"search": rig.search()})
    assert Job(rig, "replay", "-c", config).wait() == "search: no dead letters\n"
    assert Job(rig, "replay", "-c", config, "--quiet").wait() == ""
    assert run(rig, "replay", "-c", config)["all_delivered"]
    out = Job(rig, "replay", "-c", config, "--dry-run").wait()
    assert out == "search: 0 dead letters\n"
    assert not rig.state.exists()


@pytest.mark.parametrize("args,says", [
    (("file",), "takes no argument"),
    (("--hosts", "http://127.0.0.1:1"), "--hosts needs --state"),
    (("--give-up", "soon"), "--give-up: 'soon'"),
    (("--parser", "xml"), "--parser: 'xml'"),
    (("--dry",), "unknown option '--dry'"),
])
def test_wrong_command_lines(rig, args, says):
    done = run_program("replay", *args)
    assert done.returncode == USAGE
    assert says in done.stderr and "Try 'tallyman replay --help'." in done.stderr


def test_wrong_configurations(rig):
    Job(rig, "replay", "-c", rig.home / "none.yaml").wait(CONFIG)
    config = rig.write_config({"search": rig.search()})
    job = Job(rig, "replay", "-c", config, "--output", "serach")
    job.wait(USAGE)
    assert "did you mean 'search'?" in job.log()
