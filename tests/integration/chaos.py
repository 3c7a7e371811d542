#!/usr/bin/env python3
"""make chaos: the scenarios at length. One long cut of the network, kills at the points of a mail, 40 power
cuts where the machine can make them, then, until the time is over, by turns faults of every kind over a system
under load and 50 kills, with fresh seeds. Prints each seed, and at the end what was done, the worst commit and
recovery, and every invariant with its violations."""

import argparse
import os
import re
import subprocess
import sys
import time
from pathlib import Path

HERE = Path(__file__).resolve().parent
FAULTS = re.compile(r"^  \d+ faults: ([^;]+);", re.M)
COMMIT = re.compile(r"^  p99 commit: (\S+) s", re.M)
RECOVERY = re.compile(r"^  recovery: (\S+) s", re.M)
CHECKED = re.compile(r"^  (INV-\S+) +(.+): (\d+) checked, (\d+) violations$", re.M)


def scenario(name: str, *args: str) -> tuple[bool, str]:
    """Runs one, shows its output as it comes, and answers it."""
    print(f"== {name} {' '.join(args)}", flush=True)
    process = subprocess.Popen([sys.executable, "-B", "-u", HERE / name, *args],
                               stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
    lines = []
    for line in process.stdout:
        print(line, end="", flush=True)
        lines.append(line)
    return process.wait() == 0, "".join(lines)


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--build", default="build/dev")
    parser.add_argument("--minutes", type=float, default=10)
    parser.add_argument("--seed", type=int, default=int.from_bytes(os.urandom(4), "big"))
    args = parser.parse_args()
    end = time.monotonic() + args.minutes * 60
    failed, totals, outputs, rounds, kill_rounds = [], {}, [], 0, 0

    outage = max(20.0, min(300.0, args.minutes * 60 / 2))
    ok, _ = scenario("partition_test.py", "--build", args.build, "--outage", f"{outage:g}",
                     "Partition.test_an_outage_of_the_network_loses_nothing_and_pages_nothing")
    if not ok:
        failed.append(f"a cut of {outage:g} s")
    mail_kills = 100 if args.minutes >= 5 else 10
    ok, output = scenario("mail_kills_test.py", "--build", args.build, "--kills", str(mail_kills),
                          "--jobs", "5")
    if not ok:
        failed.append(f"{mail_kills} kills at each point of a mail")
    outputs.append(output)
    ok, output = scenario("power_test.py", "--build", args.build, "--seed", str(args.seed))
    if not ok:
        failed.append(f"power cuts with --seed {args.seed}")
    outputs.append(output)
    cuts = len(re.findall(r"^  cut \d+$", output, re.M))
    while rounds == 0 or time.monotonic() < end:
        seed = args.seed + rounds
        rounds += 1
        minutes = max(0.5, min(5.0, (end - time.monotonic()) / 60))
        ok, output = scenario("faults_test.py", "--build", args.build, "--seed", str(seed), "--minutes",
                              f"{minutes:.1f}")
        if not ok:
            failed.append(f"faults with --seed {seed} --minutes {minutes:.1f}")
        outputs.append(output)
        if rounds > 1 and time.monotonic() >= end:
            break
        kill_rounds += 1
        ok, output = scenario("kills_test.py", "--build", args.build, "--seed", str(seed), "--kills",
                              "50")
        if not ok:
            failed.append(f"kills with --seed {seed}")
        outputs.append(output)
    everything = "\n".join(outputs)
    for name, words, checked, violations in CHECKED.findall(everything):
        before = totals.get((name, words), (0, 0))
        totals[name, words] = (before[0] + int(checked), before[1] + int(violations))

    print(f"\nchaos: one cut of {outage:g} s, {mail_kills} kills at each point of a mail, {cuts} power cuts, "
          f"{kill_rounds} rounds of 50 kills, seeds {args.seed} to {args.seed + rounds - 1}")
    faults = {}
    for counts in FAULTS.findall(everything):
        for number, kind in re.findall(r"(\d+) (\w+)", counts):
            faults[kind] = faults.get(kind, 0) + int(number)
    print("  under load: " + ", ".join(f"{n} {kind}" for kind, n in faults.items()))
    for what, pattern, target in (("p99 commit", COMMIT, 2), ("recovery", RECOVERY, 10)):
        worst = max(map(float, pattern.findall(everything)), default=float("nan"))
        print(f"  {what}: {worst:g} s at worst, {'within' if worst <= target else 'ABOVE'} the target of {target} s")
    for (name, words), (checked, violations) in totals.items():
        print(f"  {name:10} {words}: {checked} checked, {violations} violations")
    for what in failed:
        print(f"FAILED: {what}")
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
