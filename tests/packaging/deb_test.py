#!/usr/bin/env python3
"""The packages as an operator meets them, on two hosts with systemd: install, enrol, the story, secrets, kill,
upgrade with data, purge; then the packages' own smoke test on a third.

    tests/packaging/deb_test.py [--debs build/deb] [--older build/deb-older] [--work build/deb-hosts]

Prints one line for each step. Exits 77, with the reason, on a machine that cannot make such hosts.
"""

import argparse
import base64
import json
import re
import secrets
import shutil
import subprocess
import sys
import time
from pathlib import Path

sys.dont_write_bytecode = True
ROOT = Path(__file__).resolve().parents[2]
sys.path.insert(0, str(Path(__file__).parent))

from hosts import APT, Host, Network, cannot, make_base, run  # noqa: E402

EXPOSURE_MAX = 1.2
# What Debian policy keeps: users are never removed, and these are the administrator's or other packages'.
MAY_STAY = re.compile(r"^/etc/(passwd|group|shadow|gshadow|subuid|subgid)-?$|^/etc/\.pwd\.lock$"
                      r"|^/etc/tocsin(/secrets(/.*)?)?$"
                      r"|^/var/lib/(dpkg|apt|systemd|ucf|nginx|pam)(/|$)|^/var/lib/dbus|^/etc/machine-id$"
                      r"|^/usr/share/info/dir|^/etc/ld\.so\.cache$|^/srv/|^/root/\.config(/|$)")


def say(text: str):
    print(f"deb_test: {text}", flush=True)


def packages_in(folder: Path, *names: str) -> list[Path]:
    out = []
    for name in names:
        found = sorted(folder.glob(f"{name}_*.deb"))
        assert len(found) == 1, f"{folder}: expected one package {name}, found {found}; run make deb first"
        out.append(found[0])
    return out


class Hosts:
    def __init__(self, given):
        self.given = given
        self.network = Network("tocsin-deb")
        self.receiver = None
        self.hosts = []
        try:
            self._base = given.work / "base"
            make_base(self._base, ["ca-certificates", "nginx-light", "curl", "procps"])
            self.collector = self.add("collector")
            self.agent = self.add("agent")
        except BaseException:
            self.close()
            raise

    def add(self, name: str) -> Host:
        space, address = self.network.add(name)
        host = Host(name, self._base, self.given.work / name, space, address)
        self.hosts.append(host)
        return host

    def receive(self, secret: str):
        """A webhook receiver on the collector's host, outside of its root."""
        secret_file = self.given.work / "secret"
        secret_file.write_text(secret)
        self.calls = self.given.work / "calls.jsonl"
        self.calls.unlink(missing_ok=True)
        self.receiver = subprocess.Popen(
            ["ip", "netns", "exec", "tocsin-deb-collector", sys.executable,
             ROOT / "tests/support/webhook_receiver.py", "--port", "7490", "--secret-file", secret_file,
             "--log", self.calls], stdout=subprocess.DEVNULL, stdin=subprocess.DEVNULL)

    def types_received(self) -> list[str]:
        if not self.calls.exists():
            return []
        return re.findall(r"io\.tocsin\.[a-z_.]+\.v1", self.calls.read_text())

    def close(self):
        if self.receiver is not None:
            self.receiver.terminate()
            self.receiver.wait()
        for host in self.hosts:
            host.close()
        self.network.close()


def put_debs(host: Host, debs: list[Path]) -> list[str]:
    folder = host.root / "srv/debs"
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    for deb in debs:
        shutil.copy(deb, folder)
    return [f"/srv/debs/{deb.name}" for deb in debs]


def install(hosts: Hosts):
    before = {}
    for host, names in ((hosts.collector, ("tocsin-collector", "tocsinctl")), (hosts.agent, ("tocsin-agent",))):
        before[host.name] = host.files()
        debs = packages_in(hosts.given.older, *names)
        host.chroot(*APT, "install", *put_debs(host, debs))
        host.boot(hosts.given.work / f"{host.name}.log")
    hosts.collector.until("the collector is ready", lambda: "\"ready\":true" in hosts.collector.try_run(
        "curl", "-sS", "http://127.0.0.1:7400/readyz"))
    say(f"installed {debs[0].name} and its like; the collector started by itself")
    for host, unit in ((hosts.collector, "tocsin-collector.service"), (hosts.agent, "tocsin-agent@.service")):
        text = host.run("systemd-analyze", "security", "--offline=true", f"/lib/systemd/system/{unit}")
        score = float(re.search(r"exposure level for \S+: ([0-9.]+)", text)[1])
        assert score <= EXPOSURE_MAX, text
        problems = host.try_run("systemd-analyze", "verify", "--man=no", f"/lib/systemd/system/{unit}")
        assert "tocsin" not in problems, problems
        say(f"{unit}: exposure {score}, nothing to complain about")
    return before


def enrol(hosts: Hosts, secret: str):
    collector, agent = hosts.collector, hosts.agent
    (collector.root / "etc/tocsin/secrets/ops-hook").write_text(secret)
    (collector.root / "etc/tocsin/secrets/ops-hook").chmod(0o600)
    # Credentials are handed over at the start.
    collector.run("systemctl", "restart", "tocsin-collector")
    collector.sh("tocsin-collector admin-token | tocsinctl login")
    (collector.root / "srv/story.yaml").write_text("""
regions: [{key: eu-west, name: Europe West}, {key: us-east, name: US East}]
channels: [{key: ops-hook, type: webhook, url: "http://127.0.0.1:7490/", secret: {file: ops-hook}}]
escalation-policies: [{key: web, steps: [{delay: 0s, notify: [{channel: ops-hook}]}]}]
services: [{key: web, policy: web}]
monitors: [{key: shop, name: Shop, type: http, url: "http://127.0.0.1/", interval: 2s, retries: 1, service: web}]
status-pages: [{slug: shop, title: Shop, groups: [{name: Site, components: [{monitor: shop}]}]}]
""")
    say("apply:\n" + collector.run("tocsinctl", "apply", "-f", "/srv/story.yaml", "--yes").rstrip())
    for region, port in (("eu-west", 7402), ("us-east", 7403)):
        bundle = collector.run("tocsin-collector", "enroll", "--region", region,
                               "--endpoint", f"tcp://{collector.address}:7401")
        (agent.root / f"srv/{region}.bundle").write_text(bundle)
        agent.sh(f"tocsin-agent enroll /srv/{region}.bundle > /etc/tocsin/agent-{region}.yaml 2>/srv/enroll.log")
        text = (agent.root / f"etc/tocsin/agent-{region}.yaml").read_text()
        text = text.replace("127.0.0.1:7402", f"127.0.0.1:{port}")
        text = text.replace("{class: public, allow: [], deny: []}", "{class: private, allow: [127.0.0.0/8]}")
        (agent.root / f"etc/tocsin/agent-{region}.yaml").write_text(text)
        agent.run("tocsin-agent", "check-config", "--config", f"/etc/tocsin/agent-{region}.yaml")
        agent.run("systemctl", "enable", "--now", f"tocsin-agent@{region}")
        owner = agent.run("stat", "--format", "%U %a", f"/var/lib/tocsin-agent/{region}").strip()
        assert owner == "tocsin-agent 700", owner
    again = agent.try_run("tocsin-agent", "enroll", "/srv/eu-west.bundle", "--state-dir",
                          "/var/lib/tocsin-agent/again")
    assert "refuse" in again, f"a bundle worked twice: {again}"
    say("two regions are enrolled across the network; a spent bundle is refused")


def status_is(hosts: Hosts, status: str):
    # It may be asked while the collector starts.
    hosts.collector.until(f"the monitor is {status}", lambda: f"\"status\":\"{status}\"" in
                          hosts.collector.try_run("tocsinctl", "get", "monitors", "shop", "--json")
                          .replace("\": \"", "\":\""), 90)


def story(hosts: Hosts):
    status_is(hosts, "up")
    sent = len(hosts.types_received())
    hosts.agent.run("systemctl", "stop", "nginx")
    status_is(hosts, "down")
    hosts.collector.until("the webhook came", lambda: "io.tocsin.incident.opened.v1"
                          in hosts.types_received()[sent:])
    say("incident:\n" + hosts.collector.run("tocsinctl", "get", "incidents").rstrip())
    hosts.agent.run("systemctl", "start", "nginx")
    status_is(hosts, "up")
    hosts.collector.until("the resolve came", lambda: "io.tocsin.incident.resolved.v1"
                          in hosts.types_received()[sent:])
    verified = [json.loads(line) for line in hosts.calls.read_text().splitlines()]
    assert all(call["verdict"] == "ok" for call in verified), verified
    say(f"the story: down by quorum, paged, up, resolved; {len(verified)} webhooks verified with the secret "
        "that systemd handed over")


def kill(hosts: Hosts):
    for host, unit in ((hosts.collector, "tocsin-collector"), (hosts.agent, "tocsin-agent@eu-west")):
        old = host.main_pid(unit)
        host.run("kill", "-KILL", str(old))
        host.until(f"{unit} runs again", lambda: host.main_pid(unit) not in (0, old)
                   and host.try_run("systemctl", "is-active", unit).strip() == "active")
    status_is(hosts, "up")
    say("both were killed and came back")


def upgrade(hosts: Hosts):
    collector, agent = hosts.collector, hosts.agent
    incidents = collector.run("tocsinctl", "get", "incidents", "--json")
    config = (collector.root / "etc/tocsin/collector.yaml").read_text() + "log: info\n"
    (collector.root / "etc/tocsin/collector.yaml").write_text(config)
    pids = {unit: agent.main_pid(unit) for unit in ("tocsin-agent@eu-west", "tocsin-agent@us-east")}
    old = collector.main_pid("tocsin-collector")
    for host, names in ((collector, ("tocsin-collector", "tocsinctl")), (agent, ("tocsin-agent",))):
        host.run("dpkg", "--install", "--force-confold", *put_debs(host, packages_in(hosts.given.debs, *names)))
    collector.until("the collector is ready", lambda: "\"ready\":true" in collector.try_run(
        "curl", "-sS", "http://127.0.0.1:7400/readyz"))
    assert collector.main_pid("tocsin-collector") != old, "the upgrade did not restart the collector"
    for unit, pid in pids.items():
        agent.until(f"{unit} was restarted", lambda: agent.main_pid(unit) not in (0, pid))
    assert collector.run("tocsinctl", "get", "incidents", "--json") == incidents, "incidents changed"
    assert (collector.root / "etc/tocsin/collector.yaml").read_text() == config, "a changed file was replaced"
    say("upgraded: the collector and both agents restarted; incidents and the changed file are kept")
    story(hosts)


def watchdog(hosts: Hosts):
    old = hosts.collector.main_pid("tocsin-collector")
    hosts.collector.run("kill", "-STOP", str(old))
    hosts.collector.until("the watchdog restarted the collector",
                          lambda: hosts.collector.main_pid("tocsin-collector") not in (0, old), 120)
    status_is(hosts, "up")
    say("a collector that hangs is restarted by the watchdog")


def purge(hosts: Hosts, before: dict):
    for host, names in ((hosts.collector, ("tocsin-collector", "tocsinctl")), (hosts.agent, ("tocsin-agent",))):
        pids = [host.main_pid(unit) for unit in host.run(
            "sh", "-c", "systemctl list-units --plain --no-legend 'tocsin-*.service' | cut -d' ' -f1").split()]
        host.run("dpkg", "--purge", *names)
        left = {path for path in host.files() - before[host.name] if "tocsin" in path and not MAY_STAY.match(path)}
        assert not left, f"{host.name}: left behind: {sorted(left)}"
        for pid in pids:
            assert pid != 0
            assert host.try_run("kill", "-0", str(pid)), f"{host.name}: process {pid} still runs after the purge"
        assert "tocsin-" in host.run("getent", "passwd", names[0])
    kept = (hosts.collector.root / "etc/tocsin/secrets/ops-hook").exists()
    assert kept, "the administrator's secret was removed"
    say("purged: nothing is left but the users and the administrator's secrets")


def smoke(hosts: Hosts):
    """The test that Debian runs of an installed package, on a host of its own."""
    host = hosts.add("smoke")
    debs = packages_in(hosts.given.debs, "tocsin-agent", "tocsin-collector", "tocsinctl")
    host.chroot(*APT, "install", "python3-minimal", *put_debs(host, debs))
    shutil.copy(ROOT / "packaging/debian/tests/smoke", host.root / "srv/smoke")
    host.boot(hosts.given.work / f"{host.name}.log")
    said = host.run("sh", "/srv/smoke").splitlines()
    assert said and said[-1] == "smoke: the incident is open", said
    say("the packages' own smoke test passed on a fresh host")


def main() -> int:
    arguments = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    arguments.add_argument("--debs", type=Path, default=ROOT / "build/deb")
    arguments.add_argument("--older", type=Path, default=ROOT / "build/deb-older")
    arguments.add_argument("--work", type=Path, default=ROOT / "build/deb-hosts")
    given = arguments.parse_args()
    given.work = given.work.resolve()
    if why := cannot():
        print(f"deb_test: skipped: {why}")
        return 77
    given.work.mkdir(parents=True, exist_ok=True)
    secret = "whsec_" + base64.b64encode(secrets.token_bytes(32)).decode()
    started = time.monotonic()
    hosts = Hosts(given)
    try:
        before = install(hosts)
        hosts.receive(secret)
        enrol(hosts, secret)
        story(hosts)
        kill(hosts)
        upgrade(hosts)
        watchdog(hosts)
        purge(hosts, before)
        smoke(hosts)
    except BaseException:
        for host in hosts.hosts:
            print(f"--- journal of {host.name}\n{host.journal()}", file=sys.stderr)
        raise
    finally:
        hosts.close()
    say(f"done in {time.monotonic() - started:.0f} s")
    return 0


if __name__ == "__main__":
    sys.exit(main())
