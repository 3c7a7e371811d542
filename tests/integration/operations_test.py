#!/usr/bin/env python3
"""The commands of docs/operations.md, read out of the document and run in its order: a first day, then a renewed
key, a backup and a restore. Debian's tools are played by scripts (tests/packaging/deb_test.py has the real ones):
apt-get starts what a package would start, systemctl starts and stops the same processes. Paths of a real host are
moved under one directory. A command that the document has and this test does not know fails it.
"""

import fcntl
import os
import re
import stat
import subprocess
import sys
import time
import unittest
import uuid
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent))
import configs  # noqa: E402
from processes import run, until  # noqa: E402
from world import ROOT, SECRET, SECRET_NAME, Agent, World, arguments  # noqa: E402

ARGS = arguments(__doc__)
DOCUMENT = ROOT / "docs" / "operations.md"
EXAMPLE_AGENT = "01a1fc72-1719-7948-a7e7-46c22d3e0211"


def blocks() -> list[tuple[int, list[str]]]:
    """(line of the document, its commands without comments) of each shell block."""
    out, inside = [], False
    for number, line in enumerate(DOCUMENT.read_text().splitlines(), 1):
        if line.startswith("```"):
            inside = line == "```sh"
            if inside:
                out.append((number + 1, []))
        elif inside and (command := re.sub(r"\s+#.*$", "", line).strip()):
            out[-1][1].append(command)
    return out


class Operations(unittest.TestCase):
    def test_its_commands_do_what_it_says(self):
        world = World(ARGS.build, regions=["eu-west"])
        world.monitors = [configs.Monitor("web", url=world.target.url)]
        # What World does in _set_up is done by the document's own commands here.
        try:
            self.prepare(world)
            ran = [self.run_line(world, number, line) for number, lines in blocks() for line in lines]
            self.assertGreater(len(ran), 20)
            self.assertEqual(self.seen, {"agents", "apply", "backup", "login", "renew", "restore", "revoke",
                                         "export", "serve", "test-notify", "verify"})
        except BaseException:
            world._keep = True
            raise
        finally:
            world._tear_down()

    def test_a_command_waits_for_a_collector_that_is_starting(self):
        with World(ARGS.build, regions=["eu-west"]) as world:
            world.collector.kill()
            # As a collector does that restores its state: it has the lock, and does not listen yet.
            directory = os.open(world.dir / "collector", os.O_RDONLY)
            fcntl.flock(directory, fcntl.LOCK_EX)
            command = subprocess.Popen([world.binary("tocsin-collector"), "agents", "--config", world.collector_config],
                                       stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
            try:
                time.sleep(0.5)
                self.assertIsNone(command.poll(), "it has ended")
                # The command may be quicker to take the directory, and then the collector waits for it.
                os.close(directory)
                world.start_collector()
                said, _ = command.communicate(timeout=30)
                self.assertEqual(command.returncode, 0, said)
                self.assertIn("eu-west", said)
            finally:
                command.kill()
                command.wait()

    def test_a_collector_that_starts_waits_for_a_command(self):
        with World(ARGS.build, regions=["eu-west"]) as world:
            world.collector.kill()
            directory = os.open(world.dir / "collector", os.O_RDONLY)
            fcntl.flock(directory, fcntl.LOCK_EX)
            world.collector.start()
            until("it waits", lambda: "waiting for another" in world.collector.tail(), 20)
            world.collector.check()
            os.close(directory)
            world.wait_ready()

    def prepare(self, world):
        self.seen = set()
        self.home = world.dir
        self.etc = world.dir / "etc"
        self.etc.mkdir()
        for place in ("srv/status", "srv/backup"):
            (self.home / place).mkdir(parents=True)
        secrets = world.dir / "secrets"
        secrets.mkdir(mode=0o700)
        (secrets / SECRET_NAME).write_text(SECRET + "\n")
        (secrets / SECRET_NAME).chmod(0o600)
        world.collector_config = self.etc / "collector.yaml"
        world.collector.command = [str(world.binary("tocsin-collector")), "serve", "--config",
                                   str(world.collector_config)]
        text = configs.collector_yaml(world.api_port, world.agents_port, str(world.dir / "collector"),
                                      str(secrets), "", "info")
        world.collector_config.write_text(
            "".join(line + "\n" for line in text.splitlines() if not line.startswith("monitors_file:")))
        (self.home / "monitors.yaml").write_text(configs.monitors_yaml(
            {"eu-west": "Europe West"}, world.monitors, world.receiver.url, SECRET_NAME, page="shop"))
        self.bin = world.dir / "bin"
        self.bin.mkdir()
        # Commands without --config read the file of a real host.
        self.script("tocsin-collector",
                    f'exec {world.binary("tocsin-collector")} "$@" --config {world.collector_config}')
        self.script("tocsin-agent", f'exec {world.binary("tocsin-agent")} "$@"')
        self.script("tocsinctl", f'exec {world.binary("tocsinctl")} "$@"')
        self.agent = None

    def script(self, name: str, body: str):
        path = self.bin / name
        path.write_text(f"#!/bin/sh\n{body}\n")
        path.chmod(path.stat().st_mode | stat.S_IXUSR)

    def shell(self, world, line: str, **kwargs) -> str:
        line = line.replace("/etc/tocsin/", f"{self.etc}/").replace("/srv/", f"{self.home}/srv/")
        if self.agent is not None:
            line = line.replace(EXAMPLE_AGENT, self.agent)
        env = os.environ | {"PATH": f"{self.bin}:/usr/bin:/bin", "HOME": str(self.home),
                            "TOCSIN_URL": f"http://127.0.0.1:{world.api_port}"}
        done = subprocess.run(["bash", "-euo", "pipefail", "-c", line], cwd=self.home, env=env, text=True,
                              capture_output=True, timeout=60, **kwargs)
        self.assertEqual(done.returncode, 0, f"{line}\n{done.stdout}{done.stderr}")
        return done.stdout

    # --- one line of the document ---

    def run_line(self, world, number: int, line: str):
        print(f"  {number}: {line}", flush=True)
        if line.startswith("apt-get install") and "tocsin-collector" in line:
            run([str(world.binary("tocsin-collector")), "init", "--config", str(world.collector_config)])
            world.start_collector()
        elif line.startswith("apt-get install") and "tocsin-agent" in line:
            pass  # The package starts no instance.
        elif line.startswith("systemctl"):
            self.systemctl(world, line)
        elif "> eu-west.bundle" in line:
            self.shell(world, line)
        elif line.startswith("tocsin-agent enroll eu-west.bundle"):
            self.enroll(world, line)
        elif line == "tocsin-collector serve":
            world.start_collector()
            self.seen.add("serve")
        elif line == "tocsin-collector init":
            world.collector.stop()
            self.shell(world, line)  # Once more: it keeps what is there.
        elif line.startswith("tocsin-collector set-password"):
            self.shell(world, line, input="correct horse battery staple\n")
        elif line.startswith("tocsin-collector export-status"):
            self.shell(world, line.split(" --every")[0])
            self.assertIn("web", (self.home / "srv/status/shop/index.html").read_text())
            self.seen.add("export")
        elif line.startswith("tocsin-collector revoke-agent"):
            # Of an agent that is not needed any more.
            self.shell(world, "tocsin-collector enroll --region eu-west > spare.bundle")
            spare = Agent(world, "spare", "eu-west")
            self.shell(world, f"chmod 600 spare.bundle; tocsin-agent enroll spare.bundle --config {spare.config}")
            agents = {a.agent for a in world.truth().agents()} - {uuid.UUID(self.agent).hex}
            self.shell(world, line.replace(EXAMPLE_AGENT, str(uuid.UUID(agents.pop()))))
            self.assertIn("revoked", self.shell(world, "tocsin-collector agents"))
            self.seen.add("revoke")
        elif line.startswith("tocsin"):
            self.plain(world, line)
        else:
            self.fail(f"{DOCUMENT.name}:{number}: this test does not know how to run: {line}")

    def systemctl(self, world, line: str):
        unit, verb = line.split()[-1], line.split()[1]
        program = world.collector if unit == "tocsin-collector" else world.agents["eu-west"].program
        if verb == "stop":
            self.assertEqual(program.stop(), 0, program.tail())
        elif unit == "tocsin-collector":
            world.start_collector()
        else:
            world.agents["eu-west"].start()
            world.wait_live(1)

    def enroll(self, world, line: str):
        if self.agent is not None:
            return  # Further down the document shows the step again.
        state = self.home / "tocsin-agent"
        file = self.etc / "agent-eu-west.yaml"
        printed = self.shell(world, "chmod 600 eu-west.bundle; " + line.split(" > ")[0]
                             + f" --state-dir {state}")
        agent = Agent(world, "eu-west", "eu-west", state)
        # The printed file, with this machine's free port and its targets.
        file.write_text(re.sub(r"127\.0\.0\.1:7402", f"127.0.0.1:{agent.port}", printed).replace(
            "egress: {class: public, allow: [], deny: []}", "egress: {class: private, allow: [127.0.0.0/8]}"))
        self.assertNotEqual(file.read_text(), printed)
        agent.config = file
        agent.program.command[-1] = str(file)
        world.agents["eu-west"] = agent
        self.agent = str(uuid.UUID(world.truth().agents()[0].agent))

    def plain(self, world, line: str):
        if "restore" in line:
            stored = len(world.truth().stored())
            self.shell(world, line)
            self.assertGreater(stored, 0)
            self.seen.add("restore")
            return
        if line.startswith("tocsin-collector backup"):
            until("something to keep", lambda: len(world.truth().stored()) > 3, 30)
        # A person is asked before anything is applied; here nobody sits at a terminal.
        output = self.shell(world, line + (" --yes" if line.startswith("tocsinctl apply") else ""))
        for word, part in (("login", "login"), ("apply", "apply -f"), ("agents", "collector agents"),
                           ("test-notify", "test-notify"), ("backup", " backup "), ("verify", " verify "),
                           ("renew", "enroll renew.bundle")):
            if part in line:
                self.seen.add(word)
        if line == "tocsin-collector agents":
            self.assertIn(self.agent, output)
        if "test-notify" in line:
            until("the receiver was called", lambda: world.receiver.calls, 20)
        if "enroll renew.bundle" in line:
            self.assertEqual(len(world.truth().agents()), 2)


if __name__ == "__main__":
    unittest.main(verbosity=2)
