#!/usr/bin/env python3
"""Backup, verify and restore of a collector under load: the copy is whole, damage is named, a restore never
deletes, survives kill -9 at any of its steps, and the agents go on with the restored collector."""

import os
import shutil
import signal
import subprocess
import sys
import unittest
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent))
import configs  # noqa: E402
import target as targets  # noqa: E402
from processes import until  # noqa: E402
from world import World, arguments  # noqa: E402

ARGS = arguments(__doc__)
MONITORS = 5


class Backup(unittest.TestCase):
    def test_a_backup_under_load_is_whole_and_comes_back(self):
        world = World(ARGS.build)
        world.monitors = [configs.Monitor(f"m{i}", url=world.target.url) for i in range(MONITORS)]
        with world:
            world.wait_first_results()
            self.outage(world)
            self.backs_up(world)
            self.outage(world)
            self.names_damage(world)
            self.restores(world)

    def command(self, world, *words, exit_code=0, **env) -> str:
        done = subprocess.run([world.binary("tocsin-collector"), *words, "--config",
                               world.dir / "collector.yaml"], capture_output=True, text=True, timeout=60,
                              env=os.environ | env)
        self.assertEqual(done.returncode, exit_code, f"{words}: {done.stdout}{done.stderr}")
        return done.stdout + done.stderr

    def outage(self, world):
        world.target.set(targets.REFUSING)
        until("the outage opens an incident of each", lambda: len(world.truth().open_incidents()) == MONITORS, 60)
        world.target.set(targets.UP)
        until("the outage ends", lambda: not world.truth().open_incidents(), 60)

    def backs_up(self, world):
        before = world.truth()
        self.backup = world.dir / "backup"
        said = self.command(world, "backup", str(self.backup))
        self.assertIn(f"{MONITORS} monitors", said)
        self.assertEqual(self.backup.stat().st_mode & 0o777, 0o700)
        self.assertEqual({p.name for p in self.backup.iterdir()},
                         {"ack.secret", "collector.db", "curve.public", "curve.secret",
                          "manifest.json", "sealing.secret"})
        self.assertFalse((world.dir / "backup.partial").exists())
        # Everything that was acknowledged before is in it, and the collector went on meanwhile.
        self.saved = {i.id for i in before.incidents()}
        self.assertIn(f"{len(self.saved)} incidents", said)
        world.collector.check()
        self.assertIn(f"{MONITORS} monitors", self.command(world, "verify", str(self.backup)))
        self.assertIn("is whole", self.command(world, "verify"))
        self.assertIn("exists", self.command(world, "backup", str(self.backup), exit_code=1))

    def names_damage(self, world):
        for name in ("collector.db", "curve.secret", "manifest.json"):
            bad = world.dir / "bad"
            shutil.rmtree(bad, ignore_errors=True)
            shutil.copytree(self.backup, bad)
            data = bytearray((bad / name).read_bytes())
            data[len(data) // 2] ^= 1
            (bad / name).write_bytes(data)
            said = self.command(world, "verify", str(bad), exit_code=1)
            if name != "manifest.json":
                self.assertIn(name, said)
            (bad / name).unlink()
            self.assertIn(name, self.command(world, "verify", str(bad), exit_code=1))
            world.collector.check()
        said = self.command(world, "restore", str(world.dir / "bad"), "--replace", exit_code=1)
        self.assertIn("manifest.json", said)

    def restores(self, world):
        # A running collector keeps its state.
        self.assertIn("in use", self.command(world, "restore", str(self.backup), "--replace", exit_code=75))
        self.command(world, "backup", str(world.dir / "later"))
        world.collector.kill()
        # Also of a collector that was killed: what stands in the log is in the copy.
        later = {i.id for i in world.truth().incidents()}
        self.command(world, "backup", str(world.dir / "dead"))
        self.assertIn(f"{len(later)} incidents", self.command(world, "verify", str(world.dir / "dead")))
        self.assertIn("--replace", self.command(world, "restore", str(self.backup), exit_code=1))
        for point in ("app.restore.copied", "app.restore.moved"):
            self.command(world, "restore", str(self.backup), "--replace", exit_code=-signal.SIGKILL,
                         TOCSIN_CRASH_AT=point)
            self.assertIn("restore did not finish", self.command(world, "serve", exit_code=1))
        said = self.command(world, "restore", str(self.backup), "--replace")
        self.assertIn("restored into", said)
        # Nothing was deleted: the newest state lies in one of the directories of what was before.
        kept = [p for p in (world.dir / "collector").glob("before-restore-*/collector.db")]
        self.assertTrue(kept)
        self.assertEqual({i.id for i in world.truth().incidents()}, self.saved)

        world.start_collector()
        world.wait_ready()
        world.wait_live(2)
        world.wait_drained(60)
        # The second outage is known to nobody here any more; a third is found as ever.
        world.target.set(targets.REFUSING)
        until("an outage is seen after the restore", lambda: world.truth().open_incidents(), 60)
        world.target.set(targets.UP)
        until("and its end", lambda: not world.truth().open_incidents(), 60)
        for agent in world.agents.values():
            agent.program.check()
        self.assertEqual(world.truth().open_twice(), [])
        # What agents had got acknowledged after the backup they still had, and sent again.
        self.assertEqual(world.truth().holes(), [])


if __name__ == "__main__":
    unittest.main(verbosity=2)
