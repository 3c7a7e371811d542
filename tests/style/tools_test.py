#!/usr/bin/env python3
"""tools/install-deps puts policy-rc.d back exactly as it was, and does nothing when nothing is missing."""

import os
import subprocess
import tempfile
import unittest
from pathlib import Path

import source

INSTALL = source.ROOT / "tools" / "install-deps"


class InstallDeps(unittest.TestCase):
    def setUp(self):
        self.dir = Path(self.enterContext(tempfile.TemporaryDirectory()))
        self.bin = self.dir / "bin"
        self.bin.mkdir()
        self.policy = self.dir / "policy-rc.d"
        self.program("sudo", 'exec "$@"')
        self.program("dpkg-query", 'echo "not-installed"')
        self.apt('echo "apt-get $*" >> "$DIR/calls"; "$DIR/policy-rc.d"; echo "policy $?" >> "$DIR/calls"')

    def program(self, name, body):
        path = self.bin / name
        path.write_text(f"#!/bin/bash\n{body}\n")
        path.chmod(0o755)

    def apt(self, body):
        self.program("apt-get", body)

    def install(self, *sets):
        env = {"PATH": f"{self.bin}:{os.environ['PATH']}", "DIR": str(self.dir),
               "TOCSIN_POLICY_RC": str(self.policy)}
        return subprocess.run(["bash", str(INSTALL), *sets], env=env, capture_output=True, text=True)

    def calls(self):
        path = self.dir / "calls"
        return path.read_text().splitlines() if path.exists() else []

    def test_services_are_held_back_while_packages_come_and_the_policy_vanishes_afterwards(self):
        done = self.install("run")
        self.assertEqual(done.returncode, 0, done.stderr)
        installs = [c for c in self.calls() if "install" in c]
        self.assertEqual(len(installs), 1)
        self.assertIn("nginx-light", installs[0])
        self.assertIn("policy 101", self.calls())
        self.assertFalse(os.path.lexists(self.policy))

    def test_a_mail_server_that_is_there_stays(self):
        installed = 'case "$*" in *Provides*) echo "installed postfix default-mta, mail-transport-agent" ;; '
        self.program("dpkg-query", installed + '*) echo not-installed ;; esac')
        self.assertEqual(self.install("test").returncode, 0)
        self.assertNotIn("exim4", "".join(self.calls()))
        self.program("dpkg-query", 'echo "not-installed"')
        self.assertEqual(self.install("test").returncode, 0)
        self.assertIn("exim4-daemon-light", "".join(self.calls()))

    def test_a_policy_that_was_there_comes_back_with_its_mode(self):
        self.policy.write_text("#!/bin/sh\nexit 104\n")
        self.policy.chmod(0o751)
        self.assertEqual(self.install("run").returncode, 0)
        self.assertEqual(self.policy.read_text(), "#!/bin/sh\nexit 104\n")
        self.assertEqual(self.policy.stat().st_mode & 0o777, 0o751)

    def test_a_link_comes_back_as_a_link_even_when_the_installation_fails(self):
        (self.dir / "real").write_text("#!/bin/sh\nexit 0\n")
        self.policy.symlink_to("real")
        self.apt("exit 9")
        self.assertNotEqual(self.install("run").returncode, 0)
        self.assertEqual(os.readlink(self.policy), "real")
        self.assertEqual((self.dir / "real").read_text(), "#!/bin/sh\nexit 0\n")

    def test_what_a_killed_run_left_behind_is_put_right(self):
        self.policy.write_text("#!/bin/sh\nexit 101\n")
        Path(f"{self.policy}.before-tocsin").write_text("the old one\n")
        self.assertEqual(self.install("run").returncode, 0)
        self.assertEqual(self.policy.read_text(), "the old one\n")

    def test_nothing_missing_means_nothing_done(self):
        self.program("dpkg-query", 'printf installed')
        self.assertEqual(self.install("build", "test", "developer").returncode, 0)
        self.assertEqual(self.calls(), [])

    def test_an_unknown_set_is_a_usage_error(self):
        self.assertEqual(self.install("everything").returncode, 2)


if __name__ == "__main__":
    unittest.main()
