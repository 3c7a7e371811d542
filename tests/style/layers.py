#!/usr/bin/env python3
"""Who may include whom. The table of ARCHITECTURE.md as data, checked against every #include.

All third-party headers of a Debian machine stand in the same directory, so the compiler cannot stop a
wrong include; this does. An exception that nobody uses any more is an error too.
"""

import argparse
import posixpath
import re
import sys
from dataclasses import dataclass, field
from pathlib import Path

import source

# --- the table -----------------------------------------------------------------------------------


@dataclass(frozen=True)
class Layer:
    sees: tuple[str, ...]  # Directories besides itself.
    third_party: tuple[str, ...] = ()  # Families any file of it may use.


BASE = ("common/base",)
MODEL = BASE + ("common/model",)
WIRE = MODEL + ("common/codec", "common/assert", "common/wire")
AGENT = ("agent/core", "agent/ports")
COLLECTOR = ("collector/core", "collector/ports")
IO = ("common/io",)

LAYERS = {
    "common/base": Layer((), ("expected", "fmt")),
    "common/model": Layer(BASE, ("fmt",)),
    "common/codec": Layer(MODEL, ("fmt",)),
    "common/assert": Layer(MODEL, ("fmt",)),
    "common/wire": Layer(MODEL + ("common/codec", "common/assert"), ("fmt", "protobuf")),
    "agent/core": Layer(MODEL + ("common/assert",), ("fmt",)),
    "collector/core": Layer(MODEL + ("common/assert",), ("fmt",)),
    "common/io": Layer(
        MODEL + ("common/codec", "common/assert"),
        ("fmt", "system", "event", "cares", "openssl", "zmq", "spdlog", "yaml", "prometheus",
         "curl", "argon2")),
    # The tree of monitors, services and channels as YAML, JSON and store columns is read in
    # collector/ports (catalog_node), so ports see codec and assert.
    "agent/ports": Layer(MODEL + ("agent/core",), ("fmt",)),
    "collector/ports": Layer(
        MODEL + ("common/codec", "common/assert", "collector/core"), ("fmt",)),
    "agent/probe": Layer(WIRE + IO + AGENT, ("fmt", "system")),
    "agent/spool": Layer(WIRE + IO + AGENT, ("fmt", "system")),
    "agent/uplink": Layer(WIRE + IO + AGENT, ("fmt", "system")),
    "collector/engine": Layer(WIRE + IO + COLLECTOR, ("fmt", "system")),
    "collector/ingest": Layer(WIRE + IO + COLLECTOR, ("fmt", "system")),
    "collector/store": Layer(WIRE + IO + COLLECTOR, ("fmt", "system", "sqlite")),
    "collector/channels": Layer(WIRE + IO + COLLECTOR, ("fmt", "system")),
    "collector/api": Layer(WIRE + IO + COLLECTOR, ("fmt", "system")),
    "collector/status": Layer(WIRE + IO + COLLECTOR, ("fmt", "system")),
    "agent/compat": Layer(WIRE + IO + AGENT + ("agent/probe",), ("fmt", "system")),
    "agent/app": Layer(
        WIRE + IO + AGENT + ("agent/probe", "agent/compat", "agent/spool", "agent/uplink"),
        ("fmt", "system")),
    # A client of the API: it sees nothing of the collector.
    "collector/ctl": Layer(MODEL + ("common/codec",) + IO, ("fmt", "system")),
    "collector/app": Layer(
        WIRE + IO + COLLECTOR + ("collector/engine", "collector/ingest", "collector/store",
                                 "collector/channels", "collector/api", "collector/status"),
        ("fmt", "system")),
}

# Only tests and benchmarks see both sides and any library.
UNLIMITED = ("tests", "bench")

# (file, family or project directory): one file that may do what its layer may not. Each needs a
# reason.
EXCEPTIONS = {
    ("common/base/digest.cc", "openssl"): "SHA-256 and HMAC for frames, minted ids and signatures",
    ("common/base/ip_address.cc", "system"): "inet_pton and inet_ntop: text and bytes, no socket",
    ("common/codec/http1.cc", "llhttp"): "the only door to llhttp for responses",
    ("common/codec/content_coding.cc", "brotli"): "the only door to brotli",
    ("common/codec/content_coding.cc", "zlib"): "the only door to zlib",
    ("common/codec/http2.cc", "nghttp2"): "the only door to nghttp2",
    ("common/codec/json.cc", "nlohmann"): "the only door to nlohmann json",
    ("common/assert/regex.cc", "re2"): "the only door to RE2",
    ("common/assert/json_lookup.cc", "simdjson"): "the only door to simdjson",
    ("common/wire/convert.h", "protobuf"): "shared by wire's own .cc files, included by nobody else",
}

# Which family a header in angle brackets belongs to. What no row names must be C++ standard.
FAMILIES = (
    ("expected", r"tl/expected\.hpp"),
    ("fmt", r"fmt/.*"),
    ("openssl", r"openssl/.*"),
    ("llhttp", r"llhttp\.h"),
    ("nghttp2", r"nghttp2/.*"),
    ("brotli", r"brotli/.*"),
    ("zlib", r"zlib\.h"),
    ("nlohmann", r"nlohmann/.*"),
    ("re2", r"re2/.*"),
    ("simdjson", r"simdjson\.h"),
    ("protobuf", r"google/protobuf/.*|tocsin/v1/.*\.pb\.h"),
    ("event", r"event2?/.*|event2?\.h|evutil\.h"),
    ("cares", r"ares(_\w+)?\.h"),
    ("zmq", r"zmq\.hp?p?"),
    ("spdlog", r"spdlog/.*"),
    ("yaml", r"yaml\.h"),
    ("prometheus", r"prometheus/.*"),
    ("curl", r"curl/.*"),
    ("argon2", r"argon2\.h"),
    ("sqlite", r"sqlite3\.h"),
    ("pqxx", r"pqxx/.*"),
    ("date", r"date/.*"),
    ("test", r"(gtest|gmock|benchmark|rapidcheck)(/.*|\.h)"),
    # The operating system: adapters only.
    ("system", r"(sys|netinet|arpa|net|linux|asm)/.*"
               r"|(unistd|fcntl|poll|signal|netdb|dirent|pwd|grp|termios|pthread|sched|syslog|dlfcn"
               r"|ifaddrs|malloc|endian|byteswap|getopt|libgen|resolv|spawn|time|errno|string|strings|stdlib"
               r"|stdio|stdint|math|limits|locale)\.h"),
)

STANDARD = re.compile(r"[a-z_0-9]+")  # <vector>, <cstdint>: no dot, no slash.

# --- the check -----------------------------------------------------------------------------------

_INCLUDE = re.compile(r'^[ \t]*#[ \t]*include[ \t]*(?:"([^"\n]+)"|<([^>\n]+)>)', re.M)


@dataclass
class Report:
    errors: list[str] = field(default_factory=list)
    used: set[tuple[str, str]] = field(default_factory=set)
    includes: int = 0


def family_of(header: str) -> str | None:
    """The family of <header>; None: the C++ standard library; "?" if nobody knows it."""
    for name, pattern in FAMILIES:
        if re.fullmatch(pattern, header):
            return name
    return None if STANDARD.fullmatch(header) else "?"


def layer_of(path: str, layers=None) -> str | None:
    """The layer a file stands in: the longest directory of the table."""
    parts = path.split("/")
    for n in range(len(parts) - 1, 0, -1):
        name = "/".join(parts[:n])
        if name in (layers or LAYERS):
            return name
    return None


def check_file(path: str, text: str, report: Report, layers=None, exceptions=None) -> None:
    layers = LAYERS if layers is None else layers
    exceptions = EXCEPTIONS if exceptions is None else exceptions
    if path.split("/")[0] in UNLIMITED:
        return
    own = layer_of(path, layers)
    if own is None:
        report.errors.append(f"{path}:1: stands in no layer; add its directory to LAYERS in "
                             "tests/style/layers.py and to the table of ARCHITECTURE.md")
        return

    def allowed(what: str, ok: bool) -> bool:
        if ok:
            return True
        if (path, what) in exceptions:
            report.used.add((path, what))
            return True
        return False

    code, _ = source.split_code(text)
    for m in _INCLUDE.finditer(code):
        report.includes += 1
        where = f"{path}:{source.line_of(code, m.start())}"
        quoted, angled = m.group(1), m.group(2)
        name = posixpath.normpath(quoted or angled)
        target = layer_of(name, layers)
        if quoted and target is None and family_of(name) in (None, "?"):
            report.errors.append(f'{where}: "{name}" is no path from the root of the project; write '
                                 "the whole path, and third-party headers in angle brackets")
            continue
        if target is not None:
            if angled:
                report.errors.append(f'{where}: a project header is included as "{name}"')
            if target != own and not allowed(target, target in layers[own].sees):
                report.errors.append(f"{where}: {own} must not see {target} ({name}); it sees "
                                     f"{', '.join(layers[own].sees) or 'nothing'}")
            continue
        family = family_of(name)
        if family is None:
            continue
        if family == "?":
            report.errors.append(f"{where}: <{name}> belongs to no known library; add it to FAMILIES "
                                 "in tests/style/layers.py")
        elif not allowed(family, family in layers[own].third_party):
            report.errors.append(f"{where}: {own} must not use {family} (<{name}>); put it behind a "
                                 "file that may, or behind a port")
        elif path.endswith(".h") and family not in ("expected", "fmt", "system") and not allowed(
                family, False):
            report.errors.append(f"{where}: <{name}> in a header; forward-declare its types or use a "
                                 "struct Impl, so that users of the header do not see the library")


def check_table(layers=None) -> list[str]:
    """The table itself: no layer sees one that sees it, and both daemons stay apart."""
    layers = LAYERS if layers is None else layers
    errors = []
    for name, layer in layers.items():
        for seen in layer.sees:
            if seen not in layers:
                errors.append(f"layers.py: {name} sees {seen}, which is no layer")
            elif name in layers[seen].sees:
                errors.append(f"layers.py: {name} and {seen} see each other")
            if {name.split("/")[0], seen.split("/")[0]} == {"agent", "collector"}:
                errors.append(f"layers.py: {name} sees {seen}; only tests see both sides")
            if name.startswith("common/") and not seen.startswith("common/"):
                errors.append(f"layers.py: {name} sees {seen}; common knows neither daemon")
    return errors


def check_tree(root: Path, exceptions=None) -> Report:
    exceptions = EXCEPTIONS if exceptions is None else exceptions
    report = Report(errors=check_table())
    for path in source.code_files(root):
        check_file(path, (root / path).read_text(encoding="utf-8"), report, exceptions=exceptions)
    for entry in sorted(set(exceptions) - report.used):
        report.errors.append(f"layers.py: the exception {entry} is not used; remove it")
    return report


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--root", type=Path, default=source.ROOT)
    args = parser.parse_args()
    report = check_tree(args.root)
    for error in report.errors:
        print(error)
    print(f"layers: {report.includes} includes, {len(report.errors)} violations")
    return 1 if report.errors else 0


if __name__ == "__main__":
    sys.exit(main())
