#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Whether a storm would notice: what is planted in its outputs is reported."""

from __future__ import annotations

import hashlib
import json
import shutil
import sys
import unittest
from pathlib import Path

sys.path[:0] = [str(Path(__file__).parent), str(Path(__file__).parents[1] / "e2e")]

from auditlog import make_line, sequence, time_text                 # noqa: E402
from ledger import Ledger, Scrap                                    # noqa: E402
from plan import CLASSES, KINDS, make_plan                          # noqa: E402
from run import Storm, run                                          # noqa: E402
from verdict import Judge, Report                                   # noqa: E402


class Plans(unittest.TestCase):
    def test_the_same_for_the_same_seed(self) -> None:
        for seed in range(20):
            self.assertEqual(make_plan(seed), make_plan(seed))
        self.assertNotEqual(make_plan(1).steps, make_plan(5).steps)

    def test_twenty_faults_of_six_kinds(self) -> None:
        for seed in range(1, 201):
            counted = [s.kind for s in make_plan(seed).steps if s.kind]
            self.assertGreaterEqual(len(counted), 20, f"seed {seed}")
            self.assertGreaterEqual(len(set(counted)), 6, f"seed {seed}")

    def test_every_class_and_every_kind_within_a_dozen(self) -> None:
        plans = [make_plan(seed) for seed in range(1, 13)]
        self.assertEqual({p.cls for p in plans}, set(CLASSES))
        kinds = {s.kind for p in plans for s in p.steps if s.kind}
        self.assertEqual(kinds, set(KINDS))

    def test_what_is_left_out_does_not_come(self) -> None:
        for seed in range(1, 20):
            plan = make_plan(seed, without=("retention", "disk"))
            self.assertFalse({"retention", "disk"} & {s.kind for s in plan.steps})


class Verdicts(unittest.TestCase):
    """Ten events in each of five files; the second file was deleted."""

    def setUp(self) -> None:
        self.ledger = Ledger()
        for name in "abcde":
            file = self.ledger.new_file(Path("/log") / name)
            for _ in range(10):
                self.ledger.add(make_line(len(self.ledger.lines)), file)
        self.deleted = self.ledger.files[1]
        self.deleted.doomed, self.deleted.watched = "deleted", True
        self.lines = list(self.ledger.lines)

    def judge(self, lines: list[bytes], letters: list[dict] = [],
              killed: set[int] = set(), cut_short: set[int] = set()) -> Report:
        return Judge(self.ledger, killed, cut_short).judge(
            "out", lines, lambda x: x, letters)

    def gap(self, after: int | None, before: int | None, reason: str = "Deleted",
            **more) -> bytes:
        g = {"kind": "Gap", "apiVersion": "tallyman/v1", "level": "Gap",
             "trail": "audit", "reason": reason, "file": "/log/b", "offset": 0,
             "message": "it was deleted before it was read"}
        if after is not None:
            g["after"] = time_text(self.lines[after])
        if before is not None:
            g["before"] = time_text(self.lines[before])
        return json.dumps(g | more, separators=(",", ":")).encode()

    def letter(self, data: bytes) -> dict:
        return {"length": len(data), "sha256": hashlib.sha256(data).hexdigest()}

    def test_all_is_well(self) -> None:
        self.assertTrue(self.judge(self.lines).is_good())

    def test_a_dropped_line(self) -> None:
        r = self.judge(self.lines[:33] + self.lines[34:])
        self.assertEqual((r.missing, r.is_good()), ([33], False))
        text = Judge(self.ledger, set()).explain(r)
        self.assertIn("1 missing, 33 to 33, of events 30 to 39 in d", text[0])

    def test_a_repeated_line(self) -> None:
        r = self.judge([*self.lines, self.lines[7]])
        self.assertEqual((r.repeated, r.is_good()), ([7], False))

    def test_a_changed_line(self) -> None:
        self.lines[3] = self.lines[3].replace(b'"level":"', b'"level": "')
        r = self.judge(self.lines)
        self.assertEqual((r.missing, len(r.altered)), ([3], 1))

    def test_a_line_that_was_never_written(self) -> None:
        self.assertEqual(len(self.judge([*self.lines, make_line(50)]).altered), 1)
        self.assertEqual(len(self.judge([*self.lines, b"{}"]).altered), 1)

    def test_a_deleted_file_without_a_gap_record(self) -> None:
        r = self.judge(self.lines[:13] + self.lines[20:])
        self.assertEqual((r.unaccounted, r.missing), ([*range(13, 20)], []))
        self.assertFalse(r.is_good())

    def test_a_deleted_file_and_its_gap_record(self) -> None:
        for after, before in ((12, 20), (12, None), (None, 20)):
            r = self.judge([*self.lines[:13], self.gap(after, before),
                            *self.lines[20:]])
            self.assertEqual(r.accounted, [*range(13, 20)])
            self.assertTrue(r.is_good())

    def test_a_gap_record_of_another_time(self) -> None:
        r = self.judge([*self.lines[:13], self.gap(20, 30), *self.lines[20:]])
        self.assertEqual((len(r.unaccounted), len(r.unneeded)), (7, 1))

    def test_a_gap_record_does_not_excuse_what_was_not_deleted(self) -> None:
        r = self.judge([*self.lines[:13], self.gap(12, 30), *self.lines[25:]])
        self.assertEqual(r.missing, [*range(20, 25)])

    def test_a_gap_record_that_comes_twice(self) -> None:
        gap = self.gap(12, 20)
        r = self.judge([*self.lines[:13], gap, gap, *self.lines[20:]])
        self.assertEqual((len(r.unneeded), r.is_good()), (2, False))

    def test_a_gap_record_where_nothing_is_missing(self) -> None:
        r = self.judge([*self.lines, self.gap(12, 20)])
        self.assertEqual((len(r.unneeded), r.is_good()), (1, False))
        self.assertFalse(self.judge([*self.lines, self.gap(29, 30, "Hole")]).is_good())

    def test_a_gap_record_of_an_agent_that_could_not_know(self) -> None:
        self.deleted.watched = False
        r = self.judge([*self.lines, self.gap(19, 20)])
        self.assertEqual((len(r.doubtful), r.is_good()), (1, True))
        self.deleted.watched, self.deleted.life = True, 4
        with_gap = [*self.lines, self.gap(19, 20)]
        self.assertFalse(self.judge(with_gap).is_good())
        self.assertTrue(self.judge(with_gap, [], {4}).is_good())
        self.assertTrue(self.judge(with_gap, [], set(), {4}).is_good())

    def test_a_gap_record_that_is_none(self) -> None:
        for bad in (self.gap(12, 20, "Lost"), self.gap(12, 20, bytes="many"),
                    self.gap(12, 20).replace(b"tallyman/v1", b"v1")):
            r = self.judge([*self.lines[:13], bad, *self.lines[20:]])
            self.assertEqual((len(r.altered), len(r.unaccounted)), (1, 7))

    def test_a_torn_line_is_a_dead_letter(self) -> None:
        torn = b'{"kind":"Ev'
        self.ledger.scraps.append(Scrap(torn, self.ledger.files[3]))
        self.assertFalse(self.judge(self.lines).is_good())
        self.assertTrue(self.judge(self.lines, [self.letter(torn)]).is_good())
        self.assertFalse(self.judge(self.lines, [self.letter(torn)] * 2).is_good())
        self.assertTrue(self.judge(self.lines, [self.letter(torn)] * 2, {1}).is_good())
        self.assertFalse(self.judge([*self.lines, torn], [self.letter(torn)]).is_good())

    def test_a_torn_line_of_a_deleted_file_may_be_lost(self) -> None:
        self.ledger.scraps.append(Scrap(b'{"kind":"Ev', self.deleted))
        self.assertTrue(self.judge(self.lines).is_good())

    def test_the_part_of_a_lost_event_that_was_read(self) -> None:
        part = self.lines[13][:100]
        rest = [*self.lines[:13], self.gap(12, 20), *self.lines[20:]]
        self.assertTrue(self.judge(rest, [self.letter(part)]).is_good())
        self.assertFalse(self.judge(self.lines, [self.letter(part)]).is_good())

    def test_a_dead_letter_for_an_event(self) -> None:
        r = self.judge(self.lines[1:], [self.letter(self.lines[0])])
        self.assertEqual((r.missing, len(r.letters)), ([0], 1))

    def test_an_event_that_was_appended_to_a_torn_line(self) -> None:
        torn = b'{"kind":"Ev'
        self.ledger.scraps.append(Scrap(torn, self.ledger.files[3]))
        both = self.letter(torn + self.lines[30])
        rest = self.lines[:30] + self.lines[31:]
        self.assertTrue(self.judge(self.lines, [self.letter(torn)]).is_good())
        self.assertFalse(self.judge(rest, [self.letter(torn)]).is_good())
        self.assertFalse(self.judge(rest, [both]).is_good())
        self.assertFalse(self.judge(self.lines, [both]).is_good())


class Planted(unittest.TestCase):
    """A short storm with an agent; then somebody changes what came of it."""

    def storm(self, tamper) -> tuple[list[int], list[int], list[int], list[int]]:
        result = run(7, 0.6, "lumberjack", ("retention", "unlink", "clock", "disk"),
                     tamper=tamper)
        self.addCleanup(self.remove, result.home)
        self.assertEqual(len(result.reports), 2, result.trouble)
        search, archive = result.reports
        self.assertEqual(result.is_good(), tamper is None, result.trouble)
        return search.missing, search.repeated, archive.missing, archive.repeated

    @staticmethod
    def remove(home: str) -> None:
        if home:
            shutil.rmtree(home)

    def test_nothing(self) -> None:
        self.assertEqual(self.storm(None), ([], [], [], []))

    def test_a_line_taken_out_of_the_file(self) -> None:
        def tamper(s: Storm) -> None:
            lines = s.archive.read_bytes().splitlines(keepends=True)
            self.number = sequence(lines.pop(100))
            s.archive.write_bytes(b"".join(lines))

        self.assertEqual(self.storm(tamper), ([], [], [self.number], []))

    def test_a_line_put_into_the_file_again(self) -> None:
        def tamper(s: Storm) -> None:
            lines = s.archive.read_bytes().splitlines(keepends=True)
            self.number = sequence(lines[100])
            s.archive.write_bytes(b"".join([*lines, lines[100]]))

        self.assertEqual(self.storm(tamper), ([], [], [], [self.number]))

    def test_a_document_lost_and_one_stored_twice(self) -> None:
        def tamper(s: Storm) -> None:
            self.lost = sequence(s.bulk.order.pop(50).doc)
            self.twice = sequence(s.bulk.order[60].doc)
            s.bulk.order.append(s.bulk.order[60])

        self.assertEqual(self.storm(tamper), ([self.lost], [self.twice], [], []))


if __name__ == "__main__":
    unittest.main()
