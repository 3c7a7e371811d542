#!/usr/bin/env python3
"""What this project does not write, and what to write instead.

Each rule is data: a pattern, where it holds, and a message that names the replacement. Afterwards the
ten longest files and functions are printed: figures to talk about, not limits.
"""

import argparse
import re
import sys
from dataclasses import dataclass
from pathlib import Path

import source


@dataclass(frozen=True)
class Rule:
    name: str
    pattern: str
    message: str
    where: str = "code"  # Matched in: code, comments, or text (everything).
    only: str = r".*\.(h|cc)"  # Paths it holds for.
    allowed: tuple[str, ...] = ()  # Paths that may, because they are the replacement.


CLOCK = ("common/base/clock.cc",)
# Clients of the loopback in tests give up after a deadline.
POLLING = ("tests/support/loopback_",)
# Programs of their own that measure; they link no clock of ours.
FLOORS = ("bench/floor/",)

RULES = (
    Rule("clock", r"\b(system_clock|steady_clock|high_resolution_clock|file_clock|utc_clock)\s*::\s*"
                  r"now\b",
         "take `Now now` as an argument, or Clock& in a shell's constructor",
         allowed=FLOORS + POLLING),
    Rule("clock", r"\b(clock_gettime|gettimeofday|timespec_get|ftime)\s*\(|(?<![\w:.>])(std::)?time\s*\("
                  r"\s*(nullptr|NULL|0|&\w+)\s*\)",
         "read time from common/base/clock.h; only clock.cc asks the system",
         allowed=CLOCK + FLOORS),
    Rule("sleep", r"\b(sleep|usleep|nanosleep|clock_nanosleep|sleep_for|sleep_until)\s*\(",
         "arm a timer on the loop; in a test advance the ManualClock, or poll with a deadline",
         allowed=FLOORS),
    Rule("chance", r"(?<![\w:.>])(std::)?s?rand\s*\(|\b(random_device|drand48|lrand48|mt19937(_64)?|"
                   r"random_shuffle|default_random_engine)\b",
         "take Rng& (common/base/rng.h) in the constructor; keys and nonces come from OpenSSL",
         allowed=FLOORS),
    Rule("mutex", r"\bstd::(recursive_|timed_|shared_|recursive_timed_|shared_timed_)?mutex\b|"
                  r"\bstd::(condition_variable|lock_guard|unique_lock|scoped_lock)\b|\bpthread_mutex_",
         "an object belongs to one thread; send a value through common/io/mailbox.h",
         only=r"(agent|collector|common)/.*\.(h|cc)",
         allowed=("common/io/mailbox.h", "common/io/log.cc")),
    Rule("format", r"#\s*include\s*<format>|\bstd::v?format\s*\(",
         "g++ 12 has no <format>: use <fmt/format.h>"),
    Rule("expected", r"#\s*include\s*<expected>|\bstd::expected\b",
         "g++ 12 has no std::expected: use Expected<T> of common/base/expected.h"),
    Rule("catch-all", r"\bcatch\s*\(\s*\.\.\.\s*\)",
         "catch the exceptions the library documents, at the adapter's boundary, and make an Error"),
    Rule("throw", r"(?<![\w])throw\b(?!\s*\()",
         "return Expected<T> for what the world does wrong, CHECK what we do wrong",
         only=r"(agent|collector|common)/.*\.(h|cc)"),
    Rule("using-namespace", r"\busing\s+namespace\s+\w",
         "name what you use; a header's using directive reaches everybody who includes it",
         only=r".*\.h"),
    Rule("using-date", r"\busing\s+namespace\s+date\b",
         "date:: and std::chrono share names; write date:: each time"),
    Rule("date-door", r"#\s*include\s*<date/",
         "civil time exists in collector/core/civil_time.cc only",
         allowed=("collector/core/civil_time.cc",)),
    Rule("assert", r"(?<![\w.])assert\s*\(|#\s*include\s*<cassert>",
         "use CHECK, which also holds in release builds, or ASSUME"),
    Rule("stdout", r"\bstd::(cout|cerr|clog)\b",
         "log through common/io/log.h; a command writes its answer with fmt::print",
         only=r"(agent|collector|common)/.*\.(h|cc)"),
    Rule("todo", r"\b(TODO|FIXME|XXX|HACK)\b(?!\(#\d+\):)",
         "write `// TODO(#12): ...` with the number of an open issue, or do it now",
         where="comments"),
    # A table's rule has gaps between its columns and passes.
    Rule("banner", r"(?m)^\s*(//+|\*)\s*[=*#-]{12,}\s*$", "no banners; a blank line is enough",
         where="comments",
         only=r"(agent|collector|common)/.*\.(h|cc)"),
)

COLUMNS_MAX = 100
URL = re.compile(r"https?://\S+")

# A path that exists on somebody's machine only. Spelled in parts, or this file would match itself.
MACHINE_ROOTS = ("home", "Users", "root", "work", "mnt", "media")
MACHINE_PATH = re.compile(
    r"(?<![\w.:}/-])/(?:(?:" + "|".join(MACHINE_ROOTS) + r")/[\w.-]+|tmp/[\w.-]+/[\w.-]*)")
# Documents may show where a user's own file could be.
MACHINE_PATH_FINE = re.compile(r"^(tests/style/.*_test\.py|LICENSE)$")

TEXT_SUFFIXES = (".h", ".cc", ".c", ".cmake", ".txt", ".json", ".md", ".py", ".sh", ".proto", ".sql",
                 ".yaml", ".yml", ".walk", ".conf", ".css", ".ts", ".tsx", ".html", ".service")
TEXT_NAMES = ("Makefile", "run", ".clang-format", ".clang-tidy", ".editorconfig", ".gitignore")


def check_rules(path: str, text: str) -> list[str]:
    code, comments = source.split_code(text)
    parts = {"code": code, "comments": comments, "text": text}
    errors = []
    for rule in RULES:
        if not re.fullmatch(rule.only, path) or path.startswith(tuple(rule.allowed) or ("\0",)):
            continue
        for m in re.finditer(rule.pattern, parts[rule.where]):
            line = source.line_of(text, m.start())
            found = " ".join(m.group(0).split())
            errors.append(f"{path}:{line}: {rule.name}: `{found}`: {rule.message}")
    return errors


def check_shape(path: str, text: str) -> list[str]:
    errors = []
    if path.endswith(".h") and not re.match(r"#pragma once\n", text):
        errors.append(f"{path}:1: pragma-once: the first line of a header is `#pragma once`")
    if text and not text.endswith("\n"):
        errors.append(f"{path}: newline: the file must end with a newline")
    for number, line in enumerate(text.split("\n"), 1):
        if line != line.rstrip():
            errors.append(f"{path}:{number}: space: no blanks at the end of a line")
        if "\t" in line:
            errors.append(f"{path}:{number}: tab: two blanks, not tabs")
        if len(line) > COLUMNS_MAX and not URL.search(line) and "#include" not in line:
            errors.append(f"{path}:{number}: columns: {len(line)} of at most {COLUMNS_MAX}; run "
                          "`make fmt`")
    return errors


def check_machine_paths(path: str, text: str) -> list[str]:
    if MACHINE_PATH_FINE.match(path):
        return []
    errors = []
    for m in MACHINE_PATH.finditer(text):
        if "XXXXXX" in m.group(0):
            continue  # A mkdtemp template.
        errors.append(f"{path}:{source.line_of(text, m.start())}: machine-path: `{m.group(0)}` exists "
                      "on one machine only; write it relative to the project or take it from the "
                      "environment")
    return errors


# --- figures -------------------------------------------------------------------------------------

_FUNCTION = re.compile(r"^[\w:~<>,*&\[\] ]*?([\w:~]+(?:operator[^\s(]+)?)\s*\([^;{}]*\)[^;{}=]*\{", re.M)
_NOT_A_FUNCTION = {"if", "for", "while", "switch", "catch", "namespace", "struct", "class", "enum"}


def functions(code: str) -> list[tuple[int, int, str]]:
    """(length in lines, first line, name) of what looks like a function at namespace level."""
    found, at = [], 0
    while (m := _FUNCTION.search(code, at)) is not None:
        name = m.group(1)
        at = m.end()
        if name in _NOT_A_FUNCTION or m.group(0).lstrip().startswith(("namespace", "struct", "enum")):
            continue
        depth, end = 1, m.end()
        while end < len(code) and depth:
            depth += {"{": 1, "}": -1}.get(code[end], 0)
            end += 1
        found.append((code.count("\n", m.start(1), end) + 1, source.line_of(code, m.start(1)), name))
        at = end
    return found


def print_figures(texts: dict[str, str]) -> None:
    files = sorted(((t.count("\n"), p) for p, t in texts.items()), reverse=True)[:10]
    longest = []
    for path, text in texts.items():
        if not path.startswith("tests/") and path.endswith(".cc"):
            code, _ = source.split_code(text)
            longest += [(n, f"{path}:{line} {name}") for n, line, name in functions(code)]
    print("longest files:")
    for n, path in files:
        print(f"  {n:5} {path}")
    print("longest functions:")
    for n, where in sorted(longest, reverse=True)[:10]:
        print(f"  {n:5} {where}")


def check_tree(root: Path) -> tuple[list[str], dict[str, str]]:
    errors, texts = [], {}
    for path in source.code_files(root):
        text = (root / path).read_text(encoding="utf-8")
        texts[path] = text
        errors += check_rules(path, text) + check_shape(path, text)
    for path in source.project_files(root):
        if path.endswith(TEXT_SUFFIXES) or path.rsplit("/", 1)[-1] in TEXT_NAMES \
                or path.startswith("tools/"):
            errors += check_machine_paths(
                path, (root / path).read_text(encoding="utf-8", errors="replace"))
    return errors, texts


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--root", type=Path, default=source.ROOT)
    args = parser.parse_args()
    errors, texts = check_tree(args.root)
    for error in errors:
        print(error)
    print_figures(texts)
    print(f"style: {len(texts)} source files, {len(errors)} violations")
    return 1 if errors else 0


if __name__ == "__main__":
    sys.exit(main())
