#!/usr/bin/env python3
"""Every source file is formatted as .clang-format says. With --fix: format them (make fmt).

Only clang-format-16 counts: other versions disagree in details. Exit 77 (skipped) when it is missing.
"""

import argparse
import shutil
import subprocess
import sys
from pathlib import Path

import source

TOOL = "clang-format-16"


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--root", type=Path, default=source.ROOT)
    parser.add_argument("--fix", action="store_true")
    args = parser.parse_args()
    if shutil.which(TOOL) is None:
        print(f"format: {TOOL} is not installed (tools/install-deps developer)")
        return 77
    files = source.code_files(args.root)
    how = ["-i"] if args.fix else ["--dry-run", "-Werror"]
    done = subprocess.run([TOOL, *how, *files], cwd=args.root)
    verdict = "formatted" if args.fix else ("clean" if done.returncode == 0 else "run `make fmt`")
    print(f"format: {len(files)} files, {verdict}")
    return done.returncode


if __name__ == "__main__":
    sys.exit(main())
