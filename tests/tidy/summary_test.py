#!/usr/bin/env python3
"""Proves that summary.py counts what ran, and hides nothing that failed or didn't run."""

import unittest
import xml.sax.saxutils

import summary

HEAD = "[==========] Running 3 tests from 1 test suite.\n"
OK = "[ RUN      ] A.Ok\n[       OK ] A.Ok (0 ms)\n"
FAILED = "[ RUN      ] A.Bad\na.cpp:1: Failure\n[  FAILED  ] A.Bad (12 ms)\n"
SKIPPED = "[ RUN      ] A.Skips\na.cpp:3: Skipped\nno broker\n[  SKIPPED ] A.Skips (0 ms)\n"
UNRUN = "[ RUN      ] A.Json\nSUITE NOT RUN: json: it isn't there\n[       OK ] A.Json (0 ms)\n"
TAIL = ("[  PASSED  ] 1 test.\n[  SKIPPED ] 1 test, listed below:\n[  SKIPPED ] A.Skips\n"
        "[  FAILED  ] 1 test, listed below:\n[  FAILED  ] A.Bad\n")


def entry(name, status, output="", inner=""):
    return (f'<testcase name="{name}" status="{status}">{inner}'
            f"<system-out>{xml.sax.saxutils.escape(output)}</system-out></testcase>")


def counts(*entries, in_ci=False, name_filter=""):
    found = summary.summarize("<testsuite>" + "".join(entries) + "</testsuite>", name_filter)
    lines, code = summary.report(found, in_ci)
    return lines, code


class Summary(unittest.TestCase):
    def check(self, result, line, code):
        self.assertEqual((result[0][-1], result[1]), (line, code))

    def test_cases_of_a_program_are_counted(self):
        result = counts(entry("unit", "fail", HEAD + OK + FAILED + SKIPPED + TAIL))
        self.check(result, "1 passed, 1 failed, 1 skipped", 1)
        self.assertEqual(result[0][:2], ["a.cpp:1: Failure", "FAILED: unit: A.Bad"])
        self.assertIn("NOT RUN: no broker (unit: A.Skips)", result[0])

    def test_a_case_with_a_parameter_counts_once(self):
        output = (HEAD + "[ RUN      ] P/A.B/0\n[  FAILED  ] P/A.B/0, where GetParam() = 1 (0 ms)\n"
                  "[  FAILED  ] P/A.B/0, where GetParam() = 1\n")
        self.check(counts(entry("unit", "fail", output)), "0 passed, 1 failed, 0 skipped", 1)

    def test_a_crash_is_the_failure_of_the_case_that_ran(self):
        result = counts(entry("unit", "fail", HEAD + OK + "[ RUN      ] A.Crash\n"))
        self.check(result, "1 passed, 1 failed, 0 skipped", 1)
        self.assertIn("FAILED: unit: A.Crash", result[0])

    def test_of_a_long_failure_the_end_is_said_again(self):
        said = "".join(f"line {number}\n" for number in range(1000))
        lines = counts(entry("unit", "fail", HEAD + "[ RUN      ] A.Crash\n" + said))[0]
        self.assertIn("line 999", lines)
        self.assertLess(len(lines), 50)

    def test_a_failure_after_all_cases_is_one(self):
        self.check(counts(entry("unit", "fail", HEAD + OK)), "1 passed, 1 failed, 0 skipped", 1)

    def test_material_that_is_absent_is_no_pass(self):
        result = counts(entry("api", "run", HEAD + UNRUN + OK))
        self.check(result, "1 passed, 0 failed, 1 skipped", 0)
        self.assertIn("NOT RUN: json: it isn't there (api: A.Json)", result[0])
        outside = "SUITE NOT RUN: json: it isn't there\n"
        self.check(counts(entry("api", "run", HEAD + outside + OK)),
                   "1 passed, 0 failed, 1 skipped", 0)

    def test_ci_takes_no_skip(self):
        result = counts(entry("unit", "run", HEAD + OK + SKIPPED), in_ci=True)
        self.check(result, "1 passed, 0 failed, 1 skipped", 1)
        self.check(counts(entry("unit", "run", HEAD + OK), in_ci=True),
                   "1 passed, 0 failed, 0 skipped", 0)

    def test_other_entries_count_as_one(self):
        missing = entry("a", "notrun", "", '<skipped message="Unable to find executable"/>')
        skipped = entry("b", "notrun", "no java\n", '<skipped message="SKIP_RETURN_CODE=77"/>')
        result = counts(missing, skipped, entry("c", "disabled"), entry("d", "run", "hello"),
                        entry("e", "fail"))
        self.check(result, "1 passed, 2 failed, 2 skipped", 1)
        self.assertIn("NOT RUN: no java (b)", result[0])

    def test_nothing_at_all_is_a_failure(self):
        self.check(counts(), "0 passed, 0 failed, 0 skipped", 1)
        self.check(counts(entry("tidy", "run"), entry("unit", "run", HEAD), name_filter="Nobody"),
                   "0 passed, 0 failed, 0 skipped", 1)

    def test_results_that_are_absent_are_a_failure(self):
        self.assertEqual(summary.main(["/nonexistent/results.xml"]), 1)


if __name__ == "__main__":
    unittest.main()
