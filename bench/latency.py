#!/usr/bin/env python3
"""From stopping the target to the webhook, with an interval of 10 s, as a user would see it: nginx is
stopped at a random moment of the interval, and the clock stands when the signed call has arrived.

Prints each run, then median and worst. The bound of one run is interval + retries + 3 s, where retries
are three of 1 s on a port that refuses at once.
"""

import argparse
import json
import random
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
sys.dont_write_bytecode = True
sys.path.insert(0, str(ROOT / "tests" / "integration"))

import configs  # noqa: E402
from background import free_port  # noqa: E402
from processes import until  # noqa: E402
from world import World  # noqa: E402

INTERVAL_S, RETRIES, RETRY_DELAY_S = 10, 3, 1.0
MEDIAN_TARGET_S = 12.0
WORST_TARGET_S = INTERVAL_S + RETRIES * RETRY_DELAY_S + 3.0


class Nginx:
    def __init__(self, port: int):
        self.dir = Path(tempfile.mkdtemp(prefix="tocsin-nginx-"))
        (self.dir / "tmp").mkdir()
        (self.dir / "nginx.conf").write_text(
            "daemon off; worker_processes 1; pid nginx.pid; error_log error.log warn;\n"
            "events { worker_connections 256; }\n"
            "http { access_log off; client_body_temp_path tmp; proxy_temp_path tmp;\n"
            "  fastcgi_temp_path tmp; uwsgi_temp_path tmp; scgi_temp_path tmp;\n"
            f"  server {{ listen 127.0.0.1:{port}; location / {{ return 200 \"ok\\n\"; }} }} }}\n")
        self.program = shutil.which("nginx", path="/usr/sbin:/usr/bin:/usr/local/sbin")
        if self.program is None:
            raise SystemExit("nginx is not installed; run: tools/install-deps run")
        self.process = None

    def start(self):
        self.process = subprocess.Popen(
            [self.program, "-p", self.dir, "-e", "error.log", "-c", "nginx.conf"])

    def stop(self):
        if self.process is not None:
            self.process.terminate()
            self.process.wait()
            self.process = None

    def close(self):
        self.stop()
        shutil.rmtree(self.dir, ignore_errors=True)


def measure(build: Path, runs: int, rng: random.Random) -> list[float]:
    taken = []
    port = free_port()
    nginx = Nginx(port)
    world = World(build)
    world.monitors = [configs.Monitor("web", url=f"http://127.0.0.1:{port}/",
                                      interval=f"{INTERVAL_S}s", retries=RETRIES)]
    try:
        nginx.start()
        with world:
            def status():
                return world.status()["groups"][0]["components"][0]["status"]

            for number in range(runs):
                until("the monitor is up", lambda: status() == "up", 60)
                until("nothing is open", lambda: not world.truth().open_incidents(), 60)
                # Settled, and then any moment of the interval is as likely as another.
                time.sleep(rng.uniform(1, 1 + INTERVAL_S))
                before = len(world.receiver.calls)
                stopped = time.time()
                nginx.stop()
                until("the webhook", lambda: len(world.receiver.calls) > before, 60, 0.02)
                call = world.receiver.calls[before]
                if call.verified != "ok":
                    raise SystemExit(f"the webhook does not verify: {call.verified}")
                taken.append(call.at - stopped)
                print(f"  run {number + 1}: {taken[-1]:.2f} s", flush=True)
                nginx.start()
                until("the resolve", lambda: len(world.receiver.calls) > before + 1, 90)
    finally:
        nginx.close()
    return taken


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--build", type=Path, default=ROOT / "build" / "dev")
    parser.add_argument("--runs", type=int, default=10)
    parser.add_argument("--seed", type=int, default=random.SystemRandom().randrange(1 << 32))
    parser.add_argument("--out", type=Path)
    args = parser.parse_args()
    print(f"latency: {args.runs} runs, seed {args.seed}, interval {INTERVAL_S} s, 2 regions, quorum 2")
    taken = measure(args.build, args.runs, random.Random(args.seed))
    median, worst = statistics.median(taken), max(taken)
    print(f"latency: median {median:.2f} s (target {MEDIAN_TARGET_S:g}), worst {worst:.2f} s "
          f"(target {WORST_TARGET_S:g})")
    if args.out:
        args.out.write_text(json.dumps({"runs_s": taken, "median_s": median, "worst_s": worst}) + "\n")
    return 0 if median <= MEDIAN_TARGET_S and worst <= WORST_TARGET_S else 1


if __name__ == "__main__":
    sys.exit(main())
