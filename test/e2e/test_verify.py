# SPDX-License-Identifier: Apache-2.0
"""`tallyman verify`: what is missing in an index, with its place, and nothing else;
and what it ships of it where it is told to."""

from __future__ import annotations

import json
import random
import signal

import faults
from agent import run_program
from auditlog import gzip_file, id_of, make_line, time_text
from checks import assert_once
from shipping import CONFIG, DEAD, FAILED, USAGE, places, run
from test_rotation import wait_stopped
from wait import wait_until

OK, UNKNOWN = 0, 8


def verify(rig, *args, code: int = OK) -> dict:
    """The report, with that exit code."""
    done = run_program("verify", *map(str, args), "--json")
    assert done.returncode == code, f"{done.returncode}\n{done.stdout}{done.stderr}"
    return json.loads(done.stdout) | {"stderr": done.stderr}


def verify_files(rig, *paths, args=(), code: int = OK) -> dict:
    return verify(rig, *paths or [rig.log_path], "--hosts", rig.bulk.url, *args,
                  code=code)


def ship(rig, *paths) -> None:
    run(rig, "ship", *paths or [rig.log_path], "--hosts", rig.bulk.url)


def forget(rig, lines: list[bytes]) -> None:
    ids = {id_of(line) for line in lines}
    gone = [d for d in rig.bulk.records() if d.id in ids]
    assert len(gone) == len(ids)
    for doc in gone:
        rig.bulk.forget(doc)


def offset_of(rig, line: bytes) -> int:
    return rig.log.text().index(line)


# -- complete, or not ----------------------------------------------------------


def test_what_was_shipped_is_complete(rig):
    rig.log.append_at_once(12000)
    ship(rig)
    seen = verify_files(rig)
    assert seen["complete"] is True
    assert (seen["events"], seen["present"], seen["missing"]) == (12000, 12000, 0)
    assert (seen["documents_in_range"], seen["extra"]) == (12000, 0)
    assert seen["first_missing"] == [] and seen["stderr"] == ""
    assert seen["product"] == "Elasticsearch"


def test_what_is_there_is_only_counted(rig):
    """Which of them are there is asked where the number is not right."""
    rig.log.append_at_once(6000)
    ship(rig)
    assert verify_files(rig)["present"] == 6000
    assert rig.bulk.questions("_mget") == []
    forget(rig, rig.log.lines[:1])      # a count would find it still
    assert verify_files(rig, code=FAILED)["missing"] == 1
    assert len(rig.bulk.questions("_mget")) == 1


def test_without_the_right_to_refresh_nothing_is_counted(rig):
    """The number would be that of some seconds ago."""
    rig.log.append_at_once(600)
    ship(rig)
    verify_files(rig)
    forget(rig, rig.log.lines[:1])
    rig.bulk.question_fault = lambda path: \
        faults.Whole("status", 403) if path.endswith("_refresh") else None
    assert verify_files(rig, code=FAILED)["missing"] == 1


def test_what_is_missing_is_named_with_its_place(rig):
    rig.log.append_at_once(6000)
    ship(rig)
    gone = sorted(random.Random(5).sample(range(6000), 3))
    lines = [rig.log.lines[i] for i in gone]
    forget(rig, lines)
    seen = verify_files(rig, code=FAILED)
    assert seen["complete"] is False
    assert (seen["present"], seen["missing"]) == (5997, 3)
    assert [(m["offset"], m["place"]["_id"]) for m in seen["first_missing"]] == \
        [(offset_of(rig, line), id_of(line)) for line in lines]
    assert {m["file"] for m in seen["first_missing"]} == {str(rig.log_path)}
    assert [m["time"] for m in seen["first_missing"]] == [time_text(x) for x in lines]


def test_people_are_told_in_lines(rig):
    rig.log.append_at_once(30)
    ship(rig)
    forget(rig, rig.log.lines[7:10])
    done = run_program("verify", str(rig.log_path), "--hosts", rig.bulk.url,
                       "--show", "2")
    assert done.returncode == FAILED
    rows = {r[:16].strip(): r[16:].split() for r in done.stdout.splitlines()}
    assert rows["events"] == ["30"] and rows["missing"] == ["3"], done.stdout
    named = [r for r in done.stdout.splitlines() if r.startswith("missing: ")]
    assert [r.split()[-1] for r in named[:2]] == \
        [id_of(x) for x in rig.log.lines[7:9]]
    assert named[2] == "missing: and 1 more"
    assert done.stdout.endswith(
        "not complete: 3 of 30 events are not in the index\n")


def test_an_index_that_is_not_there(rig):
    rig.log.append_at_once(20)
    seen = verify_files(rig, code=FAILED)
    assert seen["missing"] == 20 and seen["index_missing"] is True


def test_documents_of_others_are_counted_and_no_fault(rig):
    rig.log.append_at_once(50)
    others = [make_line(1000 + i, seed=9) for i in range(4)]
    rig.log.write(b"".join(x + b"\n" for x in others))
    ship(rig)
    mine = rig.home / "mine.log"
    mine.write_bytes(b"".join(x + b"\n" for x in rig.log.lines))
    seen = verify_files(rig, mine)
    first, last = time_text(rig.log.lines[0]), time_text(rig.log.lines[-1])
    within = sum(first <= time_text(x) <= last for x in others)
    assert seen["complete"] and seen["events"] == 50
    assert seen["extra"] == within == seen["documents_in_range"] - 50


def test_a_line_that_is_there_twice_is_one_document(rig):
    rig.log.append_at_once(40)
    rig.log.write(rig.log.lines[3] + b"\n" + rig.log.lines[30] + b"\n")
    ship(rig)
    seen = verify_files(rig)
    assert (seen["events"], seen["present"], seen["repeated_lines"]) == (42, 42, 2)
    assert seen["documents_in_range"] == 40 and seen["extra"] == 0


def test_lines_that_are_no_events(rig):
    rig.log.append(5)
    rig.log.write(b"no event at all\n{\"level\":\n")
    rig.log.append(5)
    run(rig, "ship", rig.log_path, "--hosts", rig.bulk.url, expect=DEAD)
    seen = verify_files(rig)
    assert (seen["events"], seen["quarantined"]) == (10, 2)


def test_a_file_without_an_event_is_not_complete(rig):
    path = rig.home / "notes.txt"
    path.write_text("this is no log\nand this neither\n")
    seen = verify_files(rig, path, code=FAILED)
    assert (seen["complete"], seen["events"], seen["quarantined"]) == (False, 0, 2)


def test_plain_and_gzip_files_one_of_them_damaged(rig):
    paths = []
    for n in (300, 200):
        rig.log.append_at_once(n)
        paths.append(rig.log.rotate())
    zipped = gzip_file(paths[0], keep=True)
    ship(rig, *paths)
    assert verify_files(rig, zipped, paths[1])["present"] == 500
    zipped.write_bytes(zipped.read_bytes()[:-200])
    seen = verify_files(rig, zipped, paths[1], code=FAILED)
    assert seen["missing"] == 0 and seen["present"] < 500
    assert (seen["gaps"], seen["files_not_read"]) == (1, 1)
    assert "is damaged" in seen["stderr"]


def test_half_an_event_and_the_one_appended_to_it(rig):
    """As the agent takes them: half of one is none, the other one is an event."""
    rig.log.append(2)
    half = make_line(77)[:200]
    whole = rig.log.make()
    rig.log.write(half + whole + b"\n")
    run(rig, "ship", rig.log_path, "--hosts", rig.bulk.url, expect=DEAD)
    seen = verify_files(rig)
    assert (seen["events"], seen["quarantined"]) == (3, 1)


# -- the trails of a configuration -----------------------------------------------


def test_a_trail_with_its_rotated_files_beside_a_running_agent(rig):
    rig.log.append_at_once(400)
    rig.log.rotate()
    rig.log.append_at_once(300)
    gzip_file(rig.log.rotate())
    rig.log.append_at_once(100)
    a = rig.start({"search": rig.search()})
    rig.wait_delivered()
    rig.log.begin_line(40)
    wait_stopped(a)                     # that nobody else writes a checkpoint now
    state = {p: p.read_bytes() for p in rig.state.rglob("*") if p.is_file()}
    seen = verify(rig, "-c", a.config)
    assert seen["complete"] and seen["events"] == 800
    assert {p: p.read_bytes() for p in rig.state.rglob("*") if p.is_file()} == state
    a.send(signal.SIGCONT)
    assert verify(rig, "-c", a.config)["complete"]
    rig.log.finish_line()
    rig.wait_delivered()
    forget(rig, [rig.log.lines[0], rig.log.lines[500]])
    seen = verify(rig, "-c", a.config, "--wait", "0s", code=FAILED)
    assert [m["place"]["_id"] for m in seen["first_missing"]] == \
        [id_of(rig.log.lines[0]), id_of(rig.log.lines[500])]
    assert [m["offset"] for m in seen["first_missing"]][0] == 0
    assert seen["first_missing"][1]["file"].endswith(".gz")


def test_events_on_their_way_are_waited_for(rig):
    rig.log.append_at_once(50)
    rig.bulk.plan(faults.Whole("hang"))
    a = rig.start({"search": rig.search()})
    wait_until(lambda: rig.bulk.plan_left() == 0, "the request is held", 20.0, a.log)
    asked = []

    def release_then(path):
        asked.append(path)
        if asked.count("/_mget") == 2:  # it has been said to be missing once
            rig.bulk.release()

    rig.bulk.question_fault = release_then
    seen = verify(rig, "-c", a.config, "--wait", "60s")
    assert seen["complete"] and seen["events"] == 50
    assert len([p for p in asked if p == "/_mget"]) > 1


def test_a_pattern_stands_for_several_logs(rig):
    logs = [rig.new_log(rig.log_dir / f"node-{i}.log", seed=i) for i in (1, 2)]
    for log in logs:
        log.append_at_once(60)
    a = rig.start({"search": rig.search()}, trail={"path": rig.log_dir / "node-*.log"})
    wait_until(lambda: rig.bulk.stored_count() == 120, "all are there", 20.0, a.log)
    assert verify(rig, "-c", a.config)["events"] == 120


def test_a_dead_letter_is_not_missing_but_not_there(rig):
    rig.log.append_at_once(30)
    bad = id_of(rig.log.lines[4])
    rig.bulk.item_fault = \
        lambda o: faults.BAD_DOCUMENT if o.id == bad else None
    a = rig.start({"search": rig.search()})
    wait_until(lambda: len(a.dead("search")) == 1, "a dead letter", 20.0, a.log)
    wait_until(lambda: rig.bulk.stored_count() == 29, "the others", 20.0, a.log)
    seen = verify(rig, "-c", a.config, "--wait", "0s", code=FAILED)
    assert (seen["present"], seen["missing"], seen["dead_letters"]) == (29, 0, 1)


def test_the_dead_letters_that_ship_left(rig):
    rig.log.append_at_once(10)
    bad = id_of(rig.log.lines[4])
    rig.bulk.item_fault = lambda o: faults.BAD_DOCUMENT if o.id == bad else None
    run(rig, "ship", rig.log_path, "--hosts", rig.bulk.url, expect=DEAD)
    (place,) = places(rig)
    assert verify_files(rig, code=FAILED)["missing"] == 1
    seen = verify_files(rig, args=["--state", place], code=FAILED)
    assert (seen["missing"], seen["dead_letters"]) == (0, 1)


# -- a name that stands for several indices ----------------------------------------


def by_name(rig):
    """An agent that writes to one name, so that it is searched for ids."""
    return rig.start({"search": rig.search(index="audit")})


def test_a_search_by_id_after_a_refresh(rig):
    rig.log.append_at_once(7000)
    a = by_name(rig)
    wait_until(lambda: rig.bulk.stored_count() == 7000, "all are there", 60.0, a.log)
    seen = verify(rig, "-c", a.config)
    assert seen["present"] == 7000 and seen["stored_twice"] == 0
    assert rig.bulk.questions("_refresh") and not rig.bulk.questions("_mget")
    forget(rig, rig.log.lines[100:102])
    seen = verify(rig, "-c", a.config, "--wait", "0s", code=FAILED)
    assert seen["missing"] == 2


def test_what_is_stored_twice_is_a_fault(rig):
    """After a rollover a second index may take the same id."""
    rig.log.append_at_once(20)
    a = by_name(rig)
    wait_until(lambda: rig.bulk.stored_count() == 20, "all are there", 20.0, a.log)
    with rig.bulk.lock:
        rig.bulk.order.append(rig.bulk.order[3])
    seen = verify(rig, "-c", a.config, code=FAILED)
    assert (seen["present"], seen["missing"], seen["stored_twice"]) == (20, 0, 1)
    assert seen["extra"] == 0


# -- repair ------------------------------------------------------------------------


def test_repair_ships_exactly_what_is_missing(rig):
    rig.log.append_at_once(6000)
    ship(rig)
    gone = [rig.log.lines[i] for i in (0, 2500, 2501, 5999)]
    forget(rig, gone)
    before = sum(r.items for r in rig.bulk.requests)
    seen = verify_files(rig, args=["--repair"])
    assert seen["complete"] and (seen["repaired"], seen["missing"]) == (4, 0)
    assert sum(r.items for r in rig.bulk.requests) - before == 4
    assert_once(rig.bulk, rig.log.lines)
    assert verify_files(rig)["repaired"] == 0


def test_repair_of_a_whole_log_through_faults(rig):
    rig.log.append_at_once(3000)
    rig.bulk.plan(faults.Whole("status", 503), faults.TOO_MANY, faults.LOST,
                  faults.Whole("status", 413), None,
                  faults.Whole("short", keep=100))
    seen = verify_files(rig, args=["--repair"])
    assert seen["complete"] and seen["present"] == 3000
    assert_once(rig.bulk, rig.log.lines)


def test_repair_behind_a_name_looks_up_what_is_in_doubt(rig):
    """The answer is lost, and a rollover comes before the next try: what was stored
    by the first is not stored again."""
    rig.log.append_at_once(2500)
    a = rig.agent({"search": rig.search(index="audit")})
    lost = iter([None, faults.LOST, faults.Whole("short", keep=10), faults.LOST])

    def roll(number):
        rig.bulk.rollovers["audit"] += 1
        return next(lost, None)

    rig.bulk.whole_fault = roll
    seen = verify(rig, "-c", a.config, "--repair")
    assert seen["complete"] and seen["repaired"] == 2500
    assert [d.stored for d in rig.bulk.stored()] == [1] * 2500


def test_events_without_a_time_cannot_be_asked_for(rig):
    path = rig.home / "some.json"
    path.write_text('{"a":1}\n{"@timestamp":"2026-11-23T17:00:00Z","a":2}\n')
    run(rig, "ship", path, "--hosts", rig.bulk.url, "--parser", "json")
    seen = verify_files(rig, path, args=["--parser", "json"], code=FAILED)
    assert (seen["events"], seen["present"], seen["without_time"]) == (2, 1, 1)


def test_repair_says_what_is_refused(rig):
    rig.log.append_at_once(20)
    bad = id_of(rig.log.lines[4])
    rig.bulk.item_fault = \
        lambda o: faults.BAD_DOCUMENT if o.id == bad else None
    seen = verify_files(rig, args=["--repair"], code=FAILED)
    assert (seen["repaired"], seen["refused"], seen["missing"]) == (19, 1, 1)
    assert [m["place"]["_id"] for m in seen["first_missing"]] == [bad]
    assert seen["refusal"].startswith("document_parsing_exception: ")


# -- it cannot be asked ---------------------------------------------------------------


def test_a_server_that_stumbles_is_asked_again(rig):
    rig.log.append_at_once(100)
    ship(rig)
    wrong = [faults.Whole("status", 503), faults.Whole("lost"),
             faults.Whole("status", 429), faults.Whole("html")]
    rig.bulk.question_fault = lambda path: wrong.pop() if wrong else None
    assert verify_files(rig)["present"] == 100
    assert wrong == []


def test_a_server_that_is_down(rig):
    rig.log.append(3)
    url = rig.bulk.url
    rig.bulk.stop()
    seen = verify(rig, rig.log_path, "--hosts", url, "--wait", "1s", code=UNKNOWN)
    assert seen["complete"] is None
    assert "Could" in seen["error"] or "connect" in seen["error"].lower()


def test_no_right_to_read(rig):
    rig.log.append(3)
    rig.bulk.question_fault = lambda path: faults.Whole("status", 403)
    seen = verify_files(rig, code=UNKNOWN)
    assert "403" in seen["error"] and "privilege \"read\"" in seen["stderr"]


def test_no_right_to_count_leaves_only_that_unknown(rig):
    rig.log.append(3)
    ship(rig)
    rig.bulk.question_fault = lambda path: \
        None if path == "/_mget" else faults.Whole("status", 403)
    seen = verify_files(rig)
    assert seen["complete"] and seen["extra"] is None


def test_what_is_no_log(rig):
    rig.log.append(1)
    for path, words in ((rig.home / "nowhere", "nowhere"),
                        (rig.log_dir, "is a directory")):
        done = run_program("verify", str(path), "--hosts", rig.bulk.url)
        assert done.returncode == FAILED and words in done.stderr


def test_the_command_line(rig):
    rig.log.append(1)
    for args, words, code in (
            (["--hosts", "http://127.0.0.1:1"], "needs a FILE", USAGE),
            ([rig.log_path, "--hosts", "http://x", "--show", "many"], "--show", USAGE),
            ([rig.log_path, "--hosts", "http://x", "--wait", "long"], "--wait", USAGE),
            ([rig.log_path, "--hosts", "http://x", "--repiar"], "--repair", USAGE),
            (["-c", rig.home / "none.yaml"], "none.yaml", CONFIG)):
        done = run_program("verify", *map(str, args))
        assert done.returncode == code and words in done.stderr, done.stderr
