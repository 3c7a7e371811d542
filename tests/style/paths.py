#!/usr/bin/env python3
"""Documents name what exists: every link and every `path/in/backticks` of a Markdown file, every limit
of docs/limits.md in the file it names, and docs/testing.md has every crash point.

A name without an ending stands for a directory, or for a header or source of that name.
"""

import argparse
import posixpath
import re
import sys
from pathlib import Path

import source

TOP = ("agent", "bench", "cmake", "collector", "common", "docs", "packaging", "proto", "tests", "tools")

_CODE = re.compile(r"`((?:" + "|".join(TOP) + r")(?:/[\w.-]+)+/?)`")
_BARE = re.compile(r"(?<![\w/`(\[.-])(docs/[\w-]+\.md)(?![\w/])")
_LINK = re.compile(r"\]\(([^)\s#]+)(?:#[^)]*)?\)")
_FENCE = re.compile(r"^```.*?^```", re.M | re.S)

# Files that a recipe invents as its example.
EXAMPLES = {"collector/channels/email.h"}


def exists(root: Path, name: str) -> bool:
    return any((root / (name + end)).exists() for end in ("", ".h", ".cc"))


def check_text(root: Path, path: str, text: str) -> list[str]:
    errors = []
    text = _FENCE.sub(lambda m: "\n" * m.group(0).count("\n"), text)
    for pattern, relative in ((_CODE, False), (_BARE, False), (_LINK, True)):
        for m in pattern.finditer(text):
            name = m.group(1)
            if "://" in name or name.startswith("mailto:") or name in EXAMPLES:
                continue
            where = posixpath.normpath(posixpath.join(posixpath.dirname(path), name)) if relative \
                else name.rstrip("/")
            if not exists(root, where):
                errors.append(f"{path}:{source.line_of(text, m.start())}: {name} does not exist")
    return errors


_LIMIT = re.compile(r"^\|.*\| `(\w+)` \| `([\w/.-]+)` \|$", re.M)


def check_limits(root: Path, text: str) -> list[str]:
    """Rows `name` | `file`: the name must stand in the file."""
    errors = []
    for name, path in _LIMIT.findall(text):
        file = root / path
        if file.is_file() and not re.search(rf"\b{name}\b", file.read_text(encoding="utf-8")):
            errors.append(f"docs/limits.md: there is no {name} in {path}")
    return errors


_CRASH_POINT = re.compile(r'TOCSIN_CRASH_POINT\("([^"]+)"\)')


def check_crash_points(texts: list[str], document: str) -> list[str]:
    used = {name for text in texts for name in _CRASH_POINT.findall(text)}
    listed = set(re.findall(r"`([a-z_]+(?:\.[a-z_]+){2})`", document))
    return ([f"docs/testing.md: the crash point {n} is missing" for n in sorted(used - listed)]
            + [f"docs/testing.md: there is no crash point {n}" for n in sorted(listed - used)])


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--root", type=Path, default=source.ROOT)
    args = parser.parse_args()
    documents = [p for p in source.project_files(args.root) if p.endswith(".md")]
    errors = []
    for path in documents:
        errors += check_text(args.root, path, (args.root / path).read_text(encoding="utf-8"))
    errors += check_limits(args.root, (args.root / "docs/limits.md").read_text(encoding="utf-8"))
    code = [p for p in source.code_files(args.root, (".cc",)) if not p.startswith("tests/")]
    errors += check_crash_points(
        [(args.root / p).read_text(encoding="utf-8") for p in code],
        (args.root / "docs/testing.md").read_text(encoding="utf-8"))
    for error in errors:
        print(error)
    print(f"paths: {len(documents)} documents, {len(errors)} names of nothing")
    return 1 if errors else 0


if __name__ == "__main__":
    sys.exit(main())
