"""What the collector has committed, read from its SQLite file (docs/store.md) while it runs or after it
was killed. Nothing here asks the collector: this is what would be left if it never came back."""

import functools
import hashlib
import json
import re
import sqlite3
from dataclasses import dataclass
from pathlib import Path

import oracle
from oracle import Page, Series, Stored

ROOT = Path(__file__).resolve().parents[2]

# --- protobuf, as far as it is needed ---------------------------------------------------------------


def _varint(data: bytes, at: int) -> tuple[int, int]:
    value = shift = 0
    while True:
        byte = data[at]
        at += 1
        value |= (byte & 0x7f) << shift
        shift += 7
        if byte < 0x80:
            return value, at


def fields(data: bytes) -> dict[int, list]:
    """Field number -> its values: integers for varints and fixed, bytes for the rest."""
    out, at = {}, 0
    while at < len(data):
        tag, at = _varint(data, at)
        kind = tag & 7
        if kind == 0:
            value, at = _varint(data, at)
        elif kind == 2:
            size, at = _varint(data, at)
            value, at = data[at:at + size], at + size
        elif kind in (1, 5):
            size = 8 if kind == 1 else 4
            value, at = int.from_bytes(data[at:at + size], "little"), at + size
        else:
            raise ValueError(f"wire type {kind}")
        out.setdefault(tag >> 3, []).append(value)
    return out


@functools.cache
def reasons() -> dict[int, str]:
    """The numbers of common/model/outcome.h with their names."""
    numbers = dict(re.findall(r"(k\w+) = (\d+),", (ROOT / "common/model/outcome.h").read_text()))
    names = re.findall(r'\{Reason::(k\w+), "([^"]+)"', (ROOT / "common/model/outcome.cc").read_text())
    return {int(numbers[key]): name for key, name in names}


PHASES = ("dns", "connect", "tls", "send", "wait", "receive", "total")


@dataclass(frozen=True)
class Attempt:
    reason: str
    detail: str
    phases_us: tuple[tuple[str, int], ...]


@dataclass(frozen=True)
class Evidence:
    """A deciding result."""

    series: int
    reason: str
    attempts: tuple[Attempt, ...]


def decode_result(data: bytes) -> Evidence:
    f = fields(data)
    attempts = []
    for raw in f.get(14, []):
        a = fields(raw)
        p = fields(a[5][0]) if 5 in a else {}
        attempts.append(Attempt(reasons()[a.get(3, [0])[0]], a.get(4, [b""])[0].decode(),
                                tuple((name, p.get(n, [0])[0]) for n, name in enumerate(PHASES, 1))))
    return Evidence(f.get(1, [0])[0], reasons()[f.get(11, [0])[0]], tuple(attempts))


# --- rows -------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Incident:
    id: str
    number: int
    kind: str  # monitor or impaired
    state: str
    monitor: str
    region: str
    service: str
    title: str
    because: str
    opened_us: int


@dataclass(frozen=True)
class Vote:
    region: str
    outcome: str


@dataclass(frozen=True)
class Verdict:
    at_ms: int
    status: str
    regions: tuple[str, ...]  # With a vote.
    because: str


@dataclass(frozen=True)
class Stream:
    agent: str
    region: str
    epoch: int
    nonce: str


@dataclass(frozen=True)
class AgentRow:
    agent: str
    region: str
    stored: int
    gapped: int
    refused: int
    forks: int
    cloned: bool


class Truth:
    """Each call reads one consistent state of the file."""

    def __init__(self, path: Path):
        self.path = path

    def rows(self, sql: str, *values) -> list[sqlite3.Row]:
        db = sqlite3.connect(f"file:{self.path}?mode=ro", uri=True, timeout=10)
        try:
            db.row_factory = sqlite3.Row
            return db.execute(sql, values).fetchall()
        finally:
            db.close()

    def series(self) -> list[Series]:
        return [Series(r["series"], r["monitor_key"], r["region"], r["interval_ms"], r["phase_ms"],
                       r["from_us"] // 1000, None if r["to_us"] is None else r["to_us"] // 1000)
                for r in self.rows("SELECT * FROM series")]

    def phase_errors(self) -> list[str]:
        """Series whose phase is not the one of the schedule's definition."""
        ids = {r["monitor_key"]: bytes(r["monitor"]) for r in self.rows("SELECT * FROM series")}
        return [f"series {s.id}: phase {s.phase_ms}" for s in self.series()
                if s.phase_ms != oracle.phase_ms(ids[s.monitor], s.region, s.interval_ms)]

    def stored(self) -> list[Stored]:
        return ([Stored(r["series"], r["tick"], r["tick"], r["outcome"])
                 for r in self.rows("SELECT series, tick, outcome FROM results")]
                + [Stored(r["series"], r["tick_first"], r["tick_last"], "missed")
                   for r in self.rows("SELECT series, tick_first, tick_last FROM missed_runs")])

    def holes(self) -> list[str]:
        """Ticks between the first and the last of a series that are neither a result nor a missed one."""
        ticks = {}
        for r in self.stored():
            ticks.setdefault(r.series, set()).update(range(r.tick, r.tick_last + 1))
        return [f"series {series}: {max(seen) - min(seen) + 1 - len(seen)} ticks are missing"
                for series, seen in ticks.items() if len(seen) != max(seen) - min(seen) + 1]

    def result_digests(self) -> dict[tuple[int, int], str]:
        return {(r["series"], r["tick"]): hashlib.sha256(bytes(r["result"])).hexdigest()
                for r in self.rows("SELECT series, tick, result FROM results")}

    def incidents(self) -> list[Incident]:
        return [Incident(r["id"].hex(), r["number"], r["kind"], r["state"], r["monitor_key"],
                         r["region"], r["service"], r["title"], r["because"], r["opened_us"])
                for r in self.rows("SELECT * FROM incidents ORDER BY number")]

    def open_incidents(self) -> list[Incident]:
        return [i for i in self.incidents() if i.state != "resolved"]

    def open_twice(self) -> list[str]:
        """INV-10: at most one unresolved incident per monitor."""
        open_now = [(i.kind, i.monitor, i.region) for i in self.open_incidents()]
        return sorted({str(k) for k in open_now if open_now.count(k) > 1})

    def _incident(self, incident: str) -> sqlite3.Row:
        return self.rows("SELECT * FROM incidents WHERE id = ?", bytes.fromhex(incident))[0]

    def votes_at_opening(self, incident: str) -> list[Vote]:
        return [Vote(v["region"], v["outcome"]) for v in json.loads(self._incident(incident)["votes"])]

    def evidence(self, incident: str) -> list[Evidence]:
        return [decode_result(raw)
                for raw in fields(bytes(self._incident(incident)["evidence"])).get(1, [])]

    def verdicts_written(self, begin_ms: int, end_ms: int) -> list[Verdict]:
        """By the instant they hold from; replaced ones are left out."""
        return [Verdict(r["at_us"] // 1000, r["status"],
                        tuple(v["region"] for v in json.loads(r["votes"])), r["because"])
                for r in self.rows("SELECT * FROM verdicts WHERE at_us BETWEEN ? AND ? AND late = 0 "
                                   "ORDER BY at_us", begin_ms * 1000, end_ms * 1000)]

    def pages(self) -> list[Page]:
        return [Page(str_uuid(r["id"]), r["incident"].hex(), r["kind"], r["state"])
                for r in self.rows("SELECT * FROM outbox ORDER BY created_us")]

    def streams(self) -> list[Stream]:
        return [Stream(r["agent"].hex(), r["region"], r["epoch"], r["nonce"].hex())
                for r in self.rows("SELECT * FROM streams JOIN agents USING (agent)")]

    def agents(self) -> list[AgentRow]:
        return [AgentRow(r["agent"].hex(), r["region"], r["results_stored"], r["results_gapped"],
                         r["refused_too_old"] + r["refused_future"] + r["refused_unassigned"]
                         + r["refused_duplicate"] + r["refused_quarantined"],
                         r["forks"], bool(r["cloned"]))
                for r in self.rows("SELECT * FROM agents")]

    def accounting_errors(self) -> list[str]:
        """What each agent's row says is stored, against the rows that are there."""
        counted = {}
        for sql in ("SELECT agent, count(*) AS n FROM results GROUP BY agent",
                    "SELECT agent, sum(tick_last - tick_first + 1) AS n FROM missed_runs GROUP BY agent",
                    "SELECT agent, count(*) AS n FROM one_off_results GROUP BY agent"):
            for r in self.rows(sql):
                counted[r["agent"].hex()] = counted.get(r["agent"].hex(), 0) + r["n"]
        return [f"agent {a.agent} of {a.region}: {a.stored} counted as stored, "
                f"{counted.get(a.agent, 0)} rows" for a in self.agents()
                if a.stored != counted.get(a.agent, 0)]


def str_uuid(raw: bytes) -> str:
    h = bytes(raw).hex()
    return f"{h[:8]}-{h[8:12]}-{h[12:16]}-{h[16:20]}-{h[20:]}"
