"""One installation in a directory of its own: the real daemons with free ports on the loopback, agents
behind fault proxies, targets that can be broken and a receiver of webhooks.

    with World(regions=["eu-west", "us-east"], monitors=[...]) as world:
        world.target.set(target.REFUSING)
        until("an incident opens", lambda: world.truth().open_incidents())

When a test fails, the directory is kept and named, with every log in it.
"""

import argparse
import os
import re
import shutil
import sys
import tempfile
import time
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "support"))
import configs  # noqa: E402
import target as targets  # noqa: E402
from background import Background, free_port  # noqa: E402
from fault_proxy import FaultProxy  # noqa: E402
from faults import Faults  # noqa: E402
from processes import Program, get, get_json, metrics, run, until  # noqa: E402
from truth import Truth  # noqa: E402
from webhooks import WebhookReceiver  # noqa: E402

ROOT = Path(__file__).resolve().parents[2]
SECRET = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"
SECRET_NAME = "ops-hook"

REGION_NAMES = {"eu-west": "Europe West", "us-east": "US East", "ap-south": "Asia South"}


class Agent:
    """One tocsin-agent: its files, its process, its proxy to the collector."""

    def __init__(self, world: "World", name: str, region: str, state: Path | None = None):
        self.name = name
        self.region = region
        self.port = free_port()
        self.state = state or world.dir / name
        self.config = world.dir / f"{name}.yaml"
        self.config.write_text(configs.agent_yaml(self.port, str(self.state)))
        self.program = Program(name, [str(world.binary("tocsin-agent")), "run", "--config",
                                      str(self.config)], world.dir / f"{name}.log")
        self.proxy: FaultProxy | None = None
        self.faults = world.machine_faults(name, self.state, self.program)

    def metrics(self) -> dict[str, float]:
        return metrics(self.port)

    def working(self) -> bool:
        """It has an assignment, from the collector or from its cache, and runs it."""
        try:
            if self.metrics().get("tocsin_agent_queue_series", 0) > 0:
                self.program.mark_working()
                return True
        except OSError:
            pass
        return False

    def start(self, **env):
        self.program.start(**env)
        until(f"{self.name} works", lambda: self.program.check() or self.working(), 30)


class World:
    def __init__(self, build: Path, monitors=None, regions=("eu-west", "us-east"), log="info",
                 fallback=False, extra="", faults=False):
        self.build = Path(build)
        self.regions = list(regions)
        self.log = log
        self.extra = extra  # More lines of collector.yaml.
        self.fallback = fallback  # The receiver is told as well when the store cannot be written.
        self.dir = Path(tempfile.mkdtemp(prefix="tocsin-"))
        self.background = Background()
        self.api_port = free_port()
        self.agents_port = free_port()
        self.receiver = WebhookReceiver(self.background, free_port(), SECRET)
        self.target = targets.HttpTarget(self.background, free_port())
        self.more_targets: list[targets.HttpTarget] = []
        self.agents: dict[str, Agent] = {}
        self.monitors = monitors
        self.collector_config = self.dir / "collector.yaml"
        self.collector = Program("collector", [str(self.binary("tocsin-collector")), "serve",
                                               "--config", str(self.collector_config)],
                                 self.dir / "collector.log")
        self._keep = False
        self._with_faults = faults
        self.faults = self.machine_faults("collector", self.dir / "collector", self.collector)

    def machine_faults(self, name: str, state: Path, program: Program) -> Faults | None:
        """What can be done to one program's clock and disk, when this world is made for it."""
        if not self._with_faults:
            return None
        faults = Faults(self.build, self.dir / f"{name}.faults", state)
        program.env = faults.env
        return faults

    def binary(self, name: str) -> Path:
        path = self.build / "bin" / name
        if not path.exists():
            raise SystemExit(f"{path} is not built; run `make test`")
        return path

    def add_target(self) -> targets.HttpTarget:
        target = targets.HttpTarget(self.background, free_port())
        self.more_targets.append(target)
        return target

    # --- life ---

    def __enter__(self) -> "World":
        try:
            self._set_up()
        except BaseException:
            self._keep = True
            self._tear_down()
            raise
        return self

    def __exit__(self, kind, value, trace):
        self._keep = kind is not None or bool(os.environ.get("TOCSIN_KEEP"))
        self._tear_down()

    def write_monitors(self):
        (self.dir / "tocsin.yaml").write_text(configs.monitors_yaml(
            {r: REGION_NAMES.get(r, r) for r in self.regions}, self.monitors, self.receiver.url,
            SECRET_NAME))

    def _set_up(self):
        if self.monitors is None:
            self.monitors = [configs.Monitor("web", url=self.target.url)]
        secrets = self.dir / "secrets"
        secrets.mkdir(mode=0o700)
        (secrets / SECRET_NAME).write_text(SECRET + "\n")
        (secrets / SECRET_NAME).chmod(0o600)
        self.write_monitors()
        extra = self.extra + (f"fallback_channel: {{url: \"{self.receiver.url}\", secret: {{file: {SECRET_NAME}}}}}\n"
                 if self.fallback else "")
        self.collector_config.write_text(configs.collector_yaml(
            self.api_port, self.agents_port, str(self.dir / "collector"), str(secrets),
            str(self.dir / "tocsin.yaml"), self.log, extra))
        run([str(self.binary("tocsin-collector")), "init", "--config", str(self.collector_config)])
        self.start_collector()
        for number, region in enumerate(self.regions):
            self.enrol(f"agent-{number + 1}", region)
        for agent in self.agents.values():
            agent.start()
        self.wait_live(len(self.agents))

    def enrol(self, name: str, region: str) -> Agent:
        agent = Agent(self, name, region)
        agent.proxy = FaultProxy(self.background, free_port(), self.agents_port)
        bundle = run([str(self.binary("tocsin-collector")), "enroll", "--region", region, "--endpoint",
                      f"tcp://127.0.0.1:{agent.proxy.port}", "--config", str(self.collector_config)])
        path = self.dir / f"{name}.bundle"
        path.write_text(bundle)
        path.chmod(0o600)
        run([str(self.binary("tocsin-agent")), "enroll", str(path), "--config", str(agent.config)])
        self.agents[name] = agent
        return agent

    def _tear_down(self):
        for agent in self.agents.values():
            agent.program.kill()
        self.collector.kill()
        for agent in self.agents.values():
            if agent.proxy is not None:
                agent.proxy.close()
        self.target.close()
        for target in self.more_targets:
            target.close()
        self.receiver.close()
        self.background.close()
        if self._keep:
            print(f"kept for a look: {self.dir}", file=sys.stderr)
            for program in [self.collector] + [a.program for a in self.agents.values()]:
                print(f"--- end of {program.log.name}\n{program.tail(25)}", file=sys.stderr)
        else:
            shutil.rmtree(self.dir, ignore_errors=True)

    # --- what tests ask ---

    def start_collector(self, **env):
        self.collector.start(**env)
        self.wait_ready()

    def ready(self) -> bool:
        self.collector.check()
        return get(self.api_port, "/readyz")[0] == 200

    def wait_ready(self, deadline_s: float = 30):
        until("the collector is ready", self.ready, deadline_s)

    def wait_live(self, count: int, deadline_s: float = 30):
        until(f"{count} agents are live", lambda: self.live_agents() == count, deadline_s)

    def live_agents(self) -> int:
        return int(self.collector_metrics().get("tocsin_collector_agents_live", -1))

    def collector_metrics(self) -> dict[str, float]:
        return metrics(self.api_port)

    def status(self) -> dict:
        return get_json(self.api_port, "/status/demo.json")

    def truth(self) -> Truth:
        return Truth(self.dir / "collector" / "collector.db")

    def spooled(self) -> int:
        """Results that agents hold and the collector has not acknowledged."""
        return int(sum(a.metrics()["tocsin_agent_spool_results"] for a in self.agents.values()
                       if a.program.alive()))

    def wait_first_results(self, deadline_s: float = 30):
        """Every series of every monitor has a stored result."""
        want = sum(len(self.regions) for _ in self.monitors)
        until(f"{want} series have results",
              lambda: len({r.series for r in self.truth().stored()}) >= want, deadline_s)

    def wait_drained(self, deadline_s: float = 60):
        until("the spools are empty", lambda: self.spooled() == 0, deadline_s)


def arguments(description: str, **more):
    """What each scenario understands; unittest gets the rest."""
    parser = argparse.ArgumentParser(description=description)
    parser.add_argument("--build", type=Path, default=ROOT / "build" / "dev")
    for name, kind_and_default in more.items():
        kind, default = kind_and_default
        parser.add_argument("--" + name.replace("_", "-"), type=kind, default=default)
    args, rest = parser.parse_known_args()
    sys.argv[1:] = rest
    return args


def now_ms() -> int:
    return int(time.time() * 1000)


def crash_points(root: Path = ROOT) -> dict[str, list[str]]:
    """The named crash points of each daemon, read from its sources, so that a new one is used at once; those of
    commands (backup_test.py) left out."""
    out = {"agent": [], "collector": []}
    for path in sorted(root.glob("*/**/*.cc")):
        side = path.relative_to(root).parts[0]
        if side in out:
            for name in re.findall(r'TOCSIN_CRASH_POINT\("([^"]+)"\)', path.read_text()):
                if name not in out[side] and not name.startswith(("app.backup.", "app.restore.")):
                    out[side].append(name)
    return out
