#!/usr/bin/env python3
"""The oracle sees what is wrong, and nothing else."""

import sys
import unittest
import uuid
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent))
import oracle  # noqa: E402
import truth  # noqa: E402
from oracle import Page, Series, Stored  # noqa: E402

S = Series(7, "shop", "eu-west", 1000, 250)


def up(first, last=None):
    return Stored(7, first, first if last is None else last, "up" if last is None else "missed")


class Slots(unittest.TestCase):
    def test_ticks_between_are_those_whose_slot_is_in_the_half_open_time(self):
        self.assertEqual(list(S.ticks(10_250, 13_250)), [10, 11, 12])
        self.assertEqual(list(S.ticks(10_251, 13_251)), [11, 12, 13])
        self.assertEqual(list(S.ticks(10_251, 10_252)), [])
        self.assertEqual(list(S.ticks(9_000, 8_000)), [])

    def test_a_series_counts_only_while_it_is_in_force(self):
        limited = Series(7, "shop", "eu-west", 1000, 0, from_ms=5_000, to_ms=8_000)
        self.assertEqual(list(limited.ticks(0, 100_000)), [5, 6, 7])

    def test_a_phase_is_the_same_every_time_and_depends_on_the_region(self):
        monitor = uuid.UUID("01890a5d-ac96-774b-bcce-b302099a8057").bytes
        a = oracle.phase_ms(monitor, "eu-west", 30_000)
        self.assertEqual(a, oracle.phase_ms(monitor, "eu-west", 30_000))
        self.assertNotEqual(a, oracle.phase_ms(monitor, "us-east", 30_000))
        self.assertTrue(0 <= a < 30_000)


class Loss(unittest.TestCase):
    def test_a_hole_is_lost_unless_a_missed_run_or_an_absence_covers_it(self):
        rows = [up(10), up(11), up(14)]
        self.assertEqual(oracle.unexplained(S, rows, 10_000, 15_000, []), [12, 13])
        self.assertEqual(oracle.unexplained(S, rows + [up(12, 13)], 10_000, 15_000, []), [])
        self.assertEqual(oracle.unexplained(S, rows, 10_000, 15_000, [(12_250, 12_260)]), [13])

    def test_rows_of_another_series_explain_nothing(self):
        self.assertEqual(oracle.unexplained(S, [Stored(8, 10, 10, "up")], 10_000, 11_000, []), [10])

    def test_a_tick_in_two_rows_is_counted_twice(self):
        self.assertEqual(oracle.stored_twice([up(10), up(11)]), [])
        self.assertEqual(oracle.stored_twice([up(10), up(9, 11)]), [(7, 10)])

    def test_rows_from_nowhere_or_the_future_are_invented(self):
        rows = [up(10), Stored(9, 10, 10, "up"), up(99)]
        self.assertEqual(oracle.invented([S], rows, 11_000), rows[1:])

    def test_absences_reach_from_before_each_death_to_after_the_next_start(self):
        lives = [[10.0, 20.0], [22.0, None]]
        self.assertEqual(oracle.absences(lives, 30_000, 500, 300), [(0, 10_500), (19_700, 22_500)])
        self.assertEqual(oracle.absences([[10.0, 20.0]], 30_000, 500, 300),
                         [(0, 10_500), (19_700, 30_000)])

    def test_a_life_that_never_came_to_work_belongs_to_the_absence(self):
        lives = [[10.0, 20.0], [None, 21.0], [22.0, None]]
        self.assertEqual(oracle.absences(lives, 30_000, 500, 300), [(0, 10_500), (19_700, 22_500)])


class Protobuf(unittest.TestCase):
    def test_a_result_is_read_with_its_attempts(self):
        phases = bytes([0x10, 150, 1, 0x38, 200, 1])  # connect_us 150, total_us 200.
        attempt = bytes([0x10, 3, 0x18, 201, 1]) + b"\x22\x03abc" + bytes([0x2a, len(phases)]) + phases
        result = (bytes([0x08, 7, 0x58, 200, 1]) + b"\x39" + (5).to_bytes(8, "little")
                  + bytes([0x72, len(attempt)]) + attempt)
        got = truth.decode_result(result)
        self.assertEqual((got.series, got.reason, len(got.attempts)), (7, "connect.refused", 1))
        self.assertEqual((got.attempts[0].reason, got.attempts[0].detail), ("connect.timeout", "abc"))
        self.assertEqual(dict(got.attempts[0].phases_us)["connect"], 150)
        self.assertEqual(dict(got.attempts[0].phases_us)["total"], 200)


class Pages(unittest.TestCase):
    def test_one_page_each_is_right(self):
        pages = [Page("t", "i", "trigger", "sent"), Page("r", "i", "resolve", "sent")]
        self.assertEqual(oracle.page_errors(["i"], pages, ["t", "r"], 0), [])

    def test_what_is_wrong_is_said(self):
        sent = Page("t", "i", "trigger", "sent")
        for pages, calls, kills, part in (
                ([], [], 0, "has no page"),
                ([sent], [], 0, "nobody received it"),
                ([sent], ["t", "t"], 0, "1 extra messages with 0 kills"),
                ([sent], ["t", "x"], 0, "no page stands for"),
                ([Page("t", "i", "trigger", "dead")], ["t"], 0, "still dead"),
                ([sent, Page("r", "i", "resolve", "cancelled")], ["t"], 0, "its resolve")):
            errors = oracle.page_errors(["i"], pages, calls, kills)
            self.assertTrue(any(part in e for e in errors), (part, errors))

    def test_one_extra_for_each_kill_is_allowed(self):
        pages = [Page("t", "i", "trigger", "sent")]
        self.assertEqual(oracle.page_errors(["i"], pages, ["t", "t"], 1), [])
        self.assertEqual(len(oracle.page_errors(["i"], pages, ["t", "t", "t"], 1)), 1)


if __name__ == "__main__":
    unittest.main()
