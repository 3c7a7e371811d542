#!/usr/bin/env python3
"""tocsinctl against a real collector: login, diff, apply, export, get, run, ack, resolve, test-notify, and errors
that name file, line and column."""

import fcntl
import os
import pty
import re
import select
import signal
import subprocess
import sys
import termios
import unittest
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent))
import target as targets  # noqa: E402
from processes import run, until  # noqa: E402
from world import World, arguments  # noqa: E402

ARGS = arguments(__doc__)
FORM = """
services:
  - {key: ours, name: "Ours: all of them"}
monitors:
  - key: ours
    type: http
    url: URL
    interval: 60s
    service: ours
    tags: {team: "yes", owner: on}
"""


class Ctl(unittest.TestCase):
    def setUp(self):
        self.world = World(ARGS.build)
        self.world.__enter__()
        self.addCleanup(self.world.__exit__, None, None, None)
        self.dir = self.world.dir
        self.token = run([str(self.world.binary("tocsin-collector")), "admin-token", "--config",
                          str(self.world.collector_config)]).strip()
        done = self.ctl("login", "--url", f"http://127.0.0.1:{self.world.api_port}", input=self.token)
        self.assertEqual(done.returncode, 0, done.stderr)

    def ctl(self, *words, input="", code=None):
        done = subprocess.run([str(self.world.binary("tocsinctl")), *words], input=input, text=True,
                              capture_output=True, timeout=90,
                              env={k: v for k, v in os.environ.items()
                                   if not k.startswith(("TOCSIN_", "XDG_"))} | {"HOME": str(self.dir)})
        if code is not None:
            self.assertEqual(done.returncode, code, done.stdout + done.stderr)
        return done

    def write(self, text: str) -> str:
        path = self.dir / "mine.yaml"
        path.write_text(text.replace("URL", self.world.target.url))
        return str(path)

    def test_a_file_becomes_what_it_says_and_an_export_comes_back(self):
        kept = self.dir / ".config" / "tocsin" / "ctl.yaml"
        self.assertEqual(kept.stat().st_mode & 0o777, 0o600)
        path = self.write(FORM)
        shown = self.ctl("diff", "-f", path, code=0).stdout
        self.assertIn("+ monitor ours", shown)
        self.assertIn("2 to create, 0 to update, 0 to delete", shown)
        self.assertIn("nobody to ask", self.ctl("apply", "-f", path, code=1).stderr)
        self.assertIn("+ monitor ours", self.ctl("diff", "-f", path, code=0).stdout)
        self.assertIn("applied", self.ctl("apply", "-f", path, "--yes", code=0).stdout)
        self.assertEqual(self.ctl("apply", "-f", path, "--yes", code=0).stdout, "nothing to change\n")
        self.assertIn("ours", self.ctl("get", "monitors", code=0).stdout)

        exported = self.ctl("get", "monitors", "ours", code=0).stdout
        form = exported.split("rev:")[0].split("\n", 1)[1]  # Without what is not of the form.
        again = self.write("monitors:\n  - " + form.rstrip().replace("\n", "\n    ") + "\n")
        self.assertEqual(self.ctl("diff", "-f", again, code=0).stdout, "nothing to change\n")

    def at_terminal(self, *words, typed: str) -> tuple[int, str, bool]:
        """The exit status, what the terminal showed, and whether it echoes afterwards."""
        keyboard, terminal = pty.openpty()
        env = {k: v for k, v in os.environ.items() if not k.startswith(("TOCSIN_", "XDG_"))} | {"HOME": str(self.dir)}
        child = subprocess.Popen([str(self.world.binary("tocsinctl")), *words], stdin=terminal, stdout=terminal,
                                 stderr=terminal, env=env, start_new_session=True,
                                 preexec_fn=lambda: fcntl.ioctl(0, termios.TIOCSCTTY, 0))
        shown = ""

        def read():
            nonlocal shown
            if select.select([keyboard], [], [], 0.1)[0]:
                shown += os.read(keyboard, 4096).decode()
            return shown

        until("it asks", lambda: "secret: " in read(), 20)
        until("it does not echo", lambda: not termios.tcgetattr(terminal)[3] & termios.ECHO, 20)
        os.write(keyboard, typed.encode())
        code = child.wait(30)
        read()
        echoes = bool(termios.tcgetattr(terminal)[3] & termios.ECHO)
        os.close(keyboard)
        os.close(terminal)
        return code, shown, echoes

    def test_a_secret_is_asked_for_without_showing_it(self):
        code, shown, echoes = self.at_terminal("secret", "set", "mine", typed="open sesame\n")
        self.assertEqual((code, echoes), (0, True), shown)
        self.assertNotIn("sesame", shown)
        self.assertIn("secret mine is set", shown)
        code, shown, echoes = self.at_terminal("secret", "set", "mine", typed="open\x03")
        self.assertEqual((code, echoes), (-signal.SIGINT, True), shown)
        self.assertIn("set NAME or delete NAME", self.ctl("secret", "set", code=2).stderr)
        self.assertIn("secret wants set or delete, not show", self.ctl("secret", "show", "mine", code=2).stderr)
        self.assertIn("expected 4 to 65536 bytes", self.ctl("secret", "set", "mine", input="abc", code=1).stderr)
        self.assertIn("there is no secret", self.ctl("secret", "delete", "other", code=1).stderr)
        self.ctl("secret", "delete", "mine", code=0)

    def test_an_error_names_file_line_and_column_and_changes_nothing(self):
        path = self.write(FORM.replace("service: ours", "service: our").replace("60s", "60"))
        done = self.ctl("apply", "-f", path, "--yes", code=1)
        self.assertIn(f"{path}:8:15: monitors[ours].interval:", done.stderr)
        self.assertIn("nothing was changed", done.stderr)
        path = self.write(FORM.replace("service: ours", "service: our"))
        self.assertIn(f"{path}:9:14: monitors[ours].service:",
                      self.ctl("apply", "-f", path, "--yes", code=1).stderr)
        self.assertIn("did you mean apply", self.ctl("aply", code=2).stderr)
        self.assertIn("TOCSIN_TOKEN", subprocess.run(
            [str(self.world.binary("tocsinctl")), "get", "monitors"], text=True, capture_output=True,
            env=os.environ | {"HOME": str(self.dir), "TOCSIN_TOKEN": "tcs_wrong"}).stderr)

    def test_a_person_answers_from_the_terminal(self):
        self.world.wait_first_results()
        ran = self.ctl("run", "web", code=0).stdout
        self.assertEqual(sorted(line.split()[:2] for line in ran.splitlines()),
                         [["eu-west", "up"], ["us-east", "up"]])
        phases = self.ctl("phases", "web", "--since", "1h", code=0).stdout
        print(phases)
        self.assertRegex(phases, r"(?m)^eu-west: \d+ of \d+ checks passed$")
        self.assertEqual(len(re.findall(r"(?m)^  total( +\d+\.\d\d ms){3}$", phases)), 2, phases)
        self.assertIn("92d", self.ctl("phases", "web", "--since", "93d", code=1).stderr)
        self.assertIn("--since", self.ctl("phases", "web", "--since", "soon", code=2).stderr)
        self.assertIn("is sent", self.ctl("test-notify", "ops-hook", code=0).stdout)
        self.world.target.set(targets.REFUSING)
        until("an incident", lambda: "open" in self.ctl("get", "incidents").stdout, 30)
        self.assertIn("is acknowledged", self.ctl("ack", "INC-1", code=0).stdout)
        self.assertIn("did already", self.ctl("ack", "INC-1", code=1).stderr)
        self.assertIn("is resolved", self.ctl("resolve", "1", "--note", "by hand", code=0).stdout)
        self.assertIn("by hand", self.ctl("get", "incidents", "INC-1", code=0).stdout)
        self.assertEqual(subprocess.run(["bash", "-n"], text=True, capture_output=True,
                                        input=self.ctl("completion", "bash", code=0).stdout).stderr, "")


if __name__ == "__main__":
    unittest.main(verbosity=2)
