#!/usr/bin/env python3
"""An agent whose key is renewed, one that was restored from a copy of its state directory, and two clones running at once: they
are detected, nothing that was stored is overwritten, and the region has one vote."""

import shutil
import sys
import unittest
import uuid
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent))
import oracle  # noqa: E402
import target as targets  # noqa: E402
from processes import run, until  # noqa: E402
from world import Agent, World, arguments  # noqa: E402

ARGS = arguments(__doc__)


def copy_state(source: Path, to: Path):
    """A copy as a backup or a virtual machine makes it; sockets and locks are not copied."""
    shutil.copytree(source, to, ignore=lambda d, names: [
        n for n in names if not (Path(d) / n).is_file() and not (Path(d) / n).is_dir()])


class Clones(unittest.TestCase):
    def test_a_renewed_key_shuts_the_old_one_out_and_the_agent_goes_on(self):
        with World(ARGS.build) as world:
            agent = world.agents["agent-1"]
            world.wait_first_results()
            mine = next(a for a in world.truth().agents() if a.region == "eu-west")
            agent.program.stop()
            copy_state(agent.state, world.dir / "stolen")
            bundle = world.dir / "renew.bundle"
            bundle.write_text(run(
                [str(world.binary("tocsin-collector")), "enroll", "--agent", str(uuid.UUID(mine.agent)),
                 "--endpoint", f"tcp://127.0.0.1:{agent.proxy.port}", "--config", str(world.collector_config)]))
            bundle.chmod(0o600)
            run([str(world.binary("tocsin-agent")), "enroll", str(bundle), "--config", str(agent.config)])
            agent.start()
            world.wait_live(2)
            thief = Agent(world, "thief", "eu-west", world.dir / "stolen")
            world.agents["thief"] = thief
            thief.program.start()
            until("the old key is refused", lambda: "why=key_refused" in thief.program.text(), 30)
            self.assertEqual(thief.metrics()["tocsin_agent_linked"], 0)
            thief.program.kill()
            del world.agents["thief"]
            count = len(world.truth().stored())
            until("it goes on", lambda: len(world.truth().stored()) > count + 5, 20)
            world.wait_drained()
            truth = world.truth()
            self.assertEqual([a.agent for a in truth.agents() if a.region == "eu-west"], [mine.agent])
            self.assertEqual((truth.accounting_errors(), oracle.stored_twice(truth.stored())), ([], []))
            self.assertEqual([a.forks for a in truth.agents()], [0, 0])

    def test_a_restored_agent_is_detected_and_overwrites_nothing(self):
        with World(ARGS.build) as world:
            agent = world.agents["agent-1"]
            world.wait_first_results()
            agent.program.stop()
            copy_state(agent.state, world.dir / "copy")
            agent.start()  # Epoch n + 1 writes and is acknowledged beyond the copy.
            world.wait_live(2)
            count = len(world.truth().stored())
            until("it stored more", lambda: len(world.truth().stored()) > count + 5, 20)
            agent.program.stop()
            before = world.truth().result_digests()
            shutil.rmtree(agent.state)
            (world.dir / "copy").rename(agent.state)
            agent.start()  # Epoch n + 1 once more, with another nonce.
            world.wait_live(2)
            count = len(world.truth().stored())
            until("it goes on", lambda: len(world.truth().stored()) > count + 5, 20)
            after = world.truth().result_digests()
            self.assertEqual({k: after.get(k) for k in before}, before, "stored results changed")
            self.assertEqual(oracle.stored_twice(world.truth().stored()), [])
            # Two streams of one epoch with different nonces: the copy did not continue the other's.
            streams = [s for s in world.truth().streams() if s.region == "eu-west"]
            epochs = {}
            for stream in streams:
                epochs.setdefault(stream.epoch, set()).add(stream.nonce)
            self.assertTrue(any(len(nonces) == 2 for nonces in epochs.values()), epochs)
            self.assertEqual(world.truth().accounting_errors(), [])

    def test_two_clones_at_once_are_detected_and_have_one_vote(self):
        with World(ARGS.build) as world:
            agent = world.agents["agent-1"]
            world.wait_first_results()
            copy_state(agent.state, world.dir / "copy")
            clone = Agent(world, "clone-of-agent-1", "eu-west", world.dir / "copy")
            world.agents["clone"] = clone
            clone.program.start()
            until("the collector noticed",
                  lambda: any(a.cloned for a in world.truth().agents() if a.region == "eu-west"), 30)
            self.assertIn("clone", world.collector.text().lower())
            before = world.truth().result_digests()
            world.target.set(targets.REFUSING)
            incident = until("the outage is seen",
                             lambda: [i for i in world.truth().incidents() if i.kind == "monitor"], 40)[0]
            votes = world.truth().votes_at_opening(incident.id)
            self.assertEqual(sorted(v.region for v in votes), ["eu-west", "us-east"])
            after = world.truth().result_digests()
            self.assertEqual({k: after.get(k) for k in before}, before, "stored results changed")
            self.assertEqual(oracle.stored_twice(world.truth().stored()), [])
            self.assertEqual(len([i for i in world.truth().incidents() if i.kind == "monitor"]), 1)


if __name__ == "__main__":
    unittest.main(verbosity=2)
