#!/usr/bin/env python3
"""A secret from tocsinctl to nginx: it reaches the agents whose monitors name it, is used there with and without the
collector, changes while they run, and lies nowhere in the clear: no file of either side, no answer, log or page."""

import json
import os
import re
import shutil
import subprocess
import sys
import unittest
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent))
import configs  # noqa: E402
from background import free_port  # noqa: E402
from processes import Program, get, run, until  # noqa: E402
from world import World, arguments  # noqa: E402

ARGS = arguments(__doc__)
FIRST, SECOND = "first-open-sesame-41", "second-open-sesame-97"

# Whoever does not say the right word is shown what they said.
NGINX = """
daemon off;
master_process off;
worker_processes 1;
pid {dir}/nginx.pid;
error_log {dir}/error.log;
events {{ worker_connections 64; }}
http {{
  access_log {dir}/access.log;
  default_type text/plain;
  client_body_temp_path {dir}/body; proxy_temp_path {dir}/proxy; fastcgi_temp_path {dir}/fastcgi;
  uwsgi_temp_path {dir}/uwsgi; scgi_temp_path {dir}/scgi;
  server {{
    listen 127.0.0.1:{port};
    if ($http_authorization != "Bearer {word}") {{ return 403 "you said $http_authorization"; }}
    location / {{ return 200 "welcome"; }}
  }}
}}
"""

MONITOR = """
monitors:
  - key: door
    type: http
    url: http://127.0.0.1:{port}/
    interval: 1s
    retries: 0
    service: web
    auth: {{bearer: {{secret: door-token}}}}
"""


class Secrets(unittest.TestCase):
    def setUp(self):
        self.world = World(ARGS.build, monitors=[configs.Monitor("web", url="http://127.0.0.1:9/")])
        self.world.__enter__()
        self.addCleanup(self.leave)
        self.dir = self.world.dir
        self.port = free_port()
        self.nginx = None
        token = run([str(self.world.binary("tocsin-collector")), "admin-token", "--config",
                     str(self.world.collector_config)]).strip()
        self.env = {k: v for k, v in os.environ.items() if not k.startswith(("TOCSIN_", "XDG_"))} | {
            "HOME": str(self.dir), "TOCSIN_TOKEN": token, "TOCSIN_URL": f"http://127.0.0.1:{self.world.api_port}"}

    def leave(self):
        if self.nginx is not None:
            self.nginx.kill()
        kind = sys.exc_info()[0]
        self.world.__exit__(kind, None, None)

    def ctl(self, *words, input="", code=0) -> str:
        done = subprocess.run([str(self.world.binary("tocsinctl")), *words], input=input, text=True,
                              capture_output=True, timeout=90, env=self.env)
        self.assertEqual(done.returncode, code, f"{words}: {done.stdout}{done.stderr}")
        return done.stdout + done.stderr

    def serve(self, word: str):
        """nginx lets in whoever knows the word."""
        if self.nginx is not None:
            self.nginx.kill()
        home = self.dir / "nginx"
        home.mkdir(exist_ok=True)
        (home / "nginx.conf").write_text(NGINX.format(dir=home, port=self.port, word=word))
        nginx = shutil.which("nginx") or "/usr/sbin/nginx"
        self.nginx = Program("nginx", [nginx, "-p", str(home), "-c", str(home / "nginx.conf")],
                             home / "out").start()

    def newest(self) -> list:
        """The newest result of each region."""
        seen = {}
        for result in self.results():
            seen.setdefault(result["region"], result)
        return list(seen.values())

    def results(self) -> list:
        return json.loads(self.ctl("get", "monitors/door/results", "--json"))

    def wait(self, what: str, outcome: str, reason=None):
        """Both regions say so."""
        last = []

        def said():
            newest = self.newest()
            good = len(newest) == 2 and all(
                r["outcome"] == outcome and (reason is None or r["reason"] == reason) for r in newest)
            if not good:
                last[:] = [(r["region"], r["slot"], r["outcome"], r["reason"]) for r in newest]
            return good

        try:
            until(what, said, 30)
        except AssertionError as error:
            raise AssertionError(f"{error}: {last}") from None

    def where(self, words) -> list[str]:
        """Files of either side that hold one of the words, also as the other programs would write them."""
        found = []
        for path in sorted(self.dir.rglob("*")):
            if not path.is_file() or path.is_relative_to(self.dir / "nginx"):
                continue
            data = path.read_bytes()
            found += [f"{path.relative_to(self.dir)}: {word}" for word in words if word.encode() in data]
        return found

    def test_a_secret_is_used_and_lies_nowhere(self):
        self.serve(FIRST)
        form = self.dir / "door.yaml"
        form.write_text(MONITOR.format(port=self.port))
        said = self.ctl("apply", "-f", str(form), "--yes")
        self.assertIn("secret door-token is named and was never set: tocsinctl secret set door-token", said)
        self.wait("nothing is said of the target without the secret", "no_data", "policy.secret")
        self.assertRegex(self.ctl("get", "secrets"), r"(?m)^door-token +missing ")

        self.assertEqual(self.ctl("secret", "set", "door-token", input=FIRST + "\n"), "secret door-token is set\n")
        self.wait("the door opens", "up")
        table = self.ctl("get", "secrets")
        print(table)
        self.assertRegex(table, r"(?m)^door-token +set +20\d\d-")
        shown = self.ctl("get", "secrets", "door-token")
        self.assertNotIn(FIRST, shown)
        self.assertIn("- door", shown)
        self.assertIn("door-token", self.ctl("secret", "delete", "door-token", code=1))
        self.assertIn("secret: door-token", self.ctl("export"))
        self.assertEqual(self.ctl("diff", "-f", str(form)), "nothing to change\n")

        # Agents that are killed and find no collector use what they have.
        self.wait_cached()
        self.world.collector.kill()
        before = len(self.asked())
        for agent in self.world.agents.values():
            agent.program.kill()
            agent.start()
        until("both ask again, with the right word",
              lambda: len([line for line in self.asked()[before:] if " 200 " in line]) >= 6, 30)
        self.world.start_collector()
        self.world.wait_live(2)

        # Another word: evidence shows what was said, without it.
        self.serve(SECOND)
        self.wait("the door stays shut", "down", "assert.status")
        evidence = str(self.newest())
        self.assertIn("you said Bearer ***", evidence)
        self.assertNotIn(FIRST, evidence)
        value = self.dir / "value"
        value.write_text(SECOND)
        self.ctl("secret", "set", "door-token", "-f", str(value))
        value.unlink()
        self.wait("the new word opens it", "up")
        audit = self.ctl("get", "audit", "--json")
        self.assertEqual(re.findall(r'"action": "(\w+)",\s+"kind": "secret"', audit)[:2], ["update", "create"])

        self.backs_up()
        self.wait_cached()
        page = get(self.world.api_port, "/status/demo.json")[1]
        for text in (audit, self.ctl("export"), self.ctl("get", "deliveries", "--json"), str(page)):
            for word in (FIRST, SECOND):
                self.assertNotIn(word, text)
        self.world.wait_drained()
        # The search finds what it looks for: names and boxes are there, values are not.
        self.assertTrue(any(line.startswith("agent-1/") for line in self.where(["door-token"])))
        self.assertTrue(any(line.startswith("collector/") for line in self.where(["door-token"])))
        self.assertEqual(self.where([FIRST, SECOND]), [])

        # Nobody names it any more.
        form.write_text(MONITOR.format(port=self.port).replace("secret: door-token", "file: door-token"))
        self.ctl("apply", "-f", str(form), "--yes")
        self.ctl("secret", "delete", "door-token")
        until("the agents have forgotten it", lambda: not any(
            b"v1." in path.read_bytes() for path in self.caches()), 30)

    def asked(self) -> list[str]:
        return (self.dir / "nginx" / "access.log").read_text().splitlines()

    def caches(self):
        return [path for agent in self.world.agents.values() for path in agent.state.glob("assignment*")]

    def wait_cached(self):
        until("each agent has it in its cache, sealed", lambda: len(self.caches()) == 2 and all(
            b"v1." in path.read_bytes() for path in self.caches()), 30)

    def backs_up(self):
        """A backup holds the secret and what opens it; without the key it has to be set again."""
        target = self.dir / "backup"
        command = [str(self.world.binary("tocsin-collector"))]
        where = ["--config", str(self.world.collector_config)]
        run(command + ["backup", str(target)] + where)
        self.world.collector.kill()
        run(command + ["restore", str(target), "--replace"] + where)
        self.world.start_collector()
        self.wait("the restored collector goes on", "up")
        self.assertRegex(self.ctl("get", "secrets"), r"(?m)^door-token +set ")

        self.world.collector.kill()
        (self.dir / "collector" / "sealing.secret").unlink()
        self.world.start_collector()
        self.assertRegex(self.ctl("get", "secrets"), r"(?m)^door-token +unusable ")
        self.ctl("secret", "set", "door-token", input=SECOND)
        self.assertRegex(self.ctl("get", "secrets"), r"(?m)^door-token +set ")
        self.wait("it is set again", "up")


if __name__ == "__main__":
    unittest.main(verbosity=2)
