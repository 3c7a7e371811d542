#!/usr/bin/env python3
"""Every header compiles alone: it includes what it uses.

A result is remembered in the build directory under a hash of the compiler, the flags and the text of
the header and of every project header below it, so a second run only compiles what changed. JOBS
compilers run at once.
"""

import argparse
import hashlib
import json
import os
import posixpath
import re
import shlex
import shutil
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import source

_INCLUDE = re.compile(r'^[ \t]*#[ \t]*include[ \t]*"([^"\n]+)"', re.M)
JOBS = 2


def build_flags(root: Path, build: Path) -> list[str]:
    """Include paths and definitions of the build; the root alone when nothing is configured."""
    flags = ["-std=c++20", "-I", str(root)]
    commands = build / "compile_commands.json"
    if not commands.is_file():
        return flags
    seen = set()
    for entry in json.loads(commands.read_text()):
        words = shlex.split(entry["command"])
        for at, word in enumerate(words):
            if word == "-isystem":
                item = ("-isystem", words[at + 1])
            elif word.startswith(("-I", "-DTOCSIN", "-D_GLIBCXX")):
                item = (word,)
            else:
                continue
            if item not in seen:
                seen.add(item)
                flags += item
    return flags


def closure(root: Path, path: str, seen: dict[str, bytes]) -> dict[str, bytes]:
    """The header and every project header it reaches, with their texts."""
    if path not in seen:
        seen[path] = (root / path).read_bytes()
        for name in _INCLUDE.findall(seen[path].decode("utf-8")):
            name = posixpath.normpath(name)
            if (root / name).is_file():
                closure(root, name, seen)
    return seen


def key_of(root: Path, path: str, salt: bytes) -> str:
    h = hashlib.sha256(salt)
    for name, text in sorted(closure(root, path, {}).items()):
        h.update(f"\0{name}\0{len(text)}\0".encode() + text)
    return h.hexdigest()


def compile_alone(root: Path, path: str, command: list[str], stubs: Path) -> str:
    """The compiler's complaint; empty when the header is fine."""
    stub = stubs / (path.replace("/", "_") + ".cc")
    text = f'#include "{path}"\n'
    if not stub.exists() or stub.read_text() != text:
        stub.write_text(text)
    done = subprocess.run(command + ["-c", str(stub), "-o", str(stub.with_suffix(".o"))], text=True,
                          capture_output=True, cwd=root)
    return "" if done.returncode == 0 else done.stderr


def check_tree(root: Path, build: Path, compiler: str) -> tuple[list[str], int, int]:
    """(errors, headers, how many of them had to be compiled)"""
    # An object file instead of -fsyntax-only: ccache remembers it across build directories.
    ccache = [shutil.which("ccache")] if shutil.which("ccache") else []
    command = ccache + [compiler] + build_flags(root, build) + ["-Wall", "-Wextra", "-Wno-missing-field-initializers", "-Werror"]
    version = subprocess.run([compiler, "--version"], capture_output=True, check=True).stdout
    salt = version + "\0".join(command).encode()
    cache_file = build / "style-headers.json"
    try:
        good = set(json.loads(cache_file.read_text()))
    except (OSError, ValueError):
        good = set()

    stubs = build / "style-headers"
    stubs.mkdir(parents=True, exist_ok=True)
    headers = source.code_files(root, (".h",))
    keys = {path: key_of(root, path, salt) for path in headers}
    todo = [path for path in headers if keys[path] not in good]
    with ThreadPoolExecutor(JOBS) as pool:
        answers = list(pool.map(lambda path: compile_alone(root, path, command, stubs), todo))
    failed = {path: answer for path, answer in zip(todo, answers) if answer}

    fresh = cache_file.with_suffix(f".{os.getpid()}")
    fresh.write_text(json.dumps(sorted(keys[p] for p in headers if p not in failed)))
    fresh.replace(cache_file)
    errors = [f"{path}: does not compile alone:\n{answer}" for path, answer in failed.items()]
    return errors, len(headers), len(todo)


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--root", type=Path, default=source.ROOT)
    parser.add_argument("--build", type=Path, default=source.ROOT / "build" / "dev")
    parser.add_argument("--compiler", default="g++")
    args = parser.parse_args()
    errors, headers, compiled = check_tree(args.root, args.build, args.compiler)
    for error in errors:
        print(error)
    print(f"headers: {headers} headers, {compiled} compiled now, {len(errors)} do not stand alone")
    return 1 if errors else 0


if __name__ == "__main__":
    sys.exit(main())
