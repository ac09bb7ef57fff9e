#!/usr/bin/env python3
"""The bugs of tests/mutations can be seeded: each has its place in the sources, exactly once."""

import pathlib
import sys
import unittest

ROOT = pathlib.Path(__file__).resolve().parents[2]
sys.dont_write_bytecode = True
sys.path.insert(0, str(ROOT / "tests" / "mutations"))

from mutations import MUTATIONS  # noqa: E402


class Mutations(unittest.TestCase):
    def test_each_has_one_place(self):
        for mutation in MUTATIONS:
            with self.subTest(mutation.name):
                text = (ROOT / mutation.path).read_text(encoding="utf-8")
                self.assertEqual(text.count(mutation.old), 1)

    def test_each_has_a_name_of_its_own(self):
        names = [mutation.name for mutation in MUTATIONS]
        self.assertEqual(len(names), len(set(names)))


if __name__ == "__main__":
    unittest.main()
