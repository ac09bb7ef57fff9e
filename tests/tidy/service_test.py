#!/usr/bin/env python3
"""The systemd unit: systemd finds it right and well confined, and its settings are contactd's."""

import pathlib
import re
import shutil
import subprocess
import sys
import tempfile
import unittest

ROOT = pathlib.Path(__file__).resolve().parents[2]
UNIT = ROOT / "packaging" / "contactd.service"
# What `systemd-analyze security` may find, of 100; an unconfined service has 96.
EXPOSURE_MAX = 15


def analyze(*arguments):
    return subprocess.run(["systemd-analyze", *arguments], capture_output=True, text=True,
                          check=False)


class Unit(unittest.TestCase):
    def setUp(self):
        self.text = UNIT.read_text(encoding="utf-8")

    def test_its_settings_are_contactds(self):
        flags = "".join(path.read_text(encoding="utf-8")
                        for path in (ROOT / "api" / "commands").glob("*.cpp"))
        for name in re.findall(r"CONTACTD_(\w+)=", self.text):
            flag = name.lower().replace("_", "-")
            self.assertIn(f'"{flag}"', flags, f"there is no flag --{flag}")

    def test_it_drains_longer_than_contactd_does(self):
        seconds = int(re.search(r"TimeoutStopSec=(\d+)s", self.text).group(1))
        config = (ROOT / "api" / "config.hpp").read_text(encoding="utf-8")
        drain = re.search(r"drain_timeout\{([\d']+)\}", config).group(1).replace("'", "")
        self.assertGreater(seconds * 1000, int(drain))

    @unittest.skipUnless(shutil.which("systemd-analyze"), "there is no systemd-analyze here")
    def test_systemd_finds_it_right_and_confined(self):
        with tempfile.TemporaryDirectory() as directory:
            copy = pathlib.Path(directory) / "contactd.service"
            copy.write_text(self.text.replace("/usr/local/bin/contactd", "/bin/true"),
                            encoding="utf-8")
            verified = analyze("verify", str(copy))
            self.assertEqual((verified.returncode, verified.stderr), (0, ""))
        judged = analyze("security", "--offline=true", f"--threshold={EXPOSURE_MAX}", str(UNIT))
        self.assertEqual(judged.returncode, 0, judged.stdout)


if __name__ == "__main__":
    if not shutil.which("systemd-analyze"):
        print("NOT RUN: systemd's own view of the unit: there is no systemd-analyze here",
              file=sys.stderr)
    unittest.main()
