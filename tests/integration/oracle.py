"""What must be true of an installation, as functions of values. They know nothing of how it works.

Slots come from the schedule alone: slot(tick) = tick x interval + phase since the Unix epoch. A slot is
explained by a stored result, by a stored run of missed ticks, or by a time in which its agent was not
there (known to the test because the test killed it).
"""

from dataclasses import dataclass


@dataclass(frozen=True)
class Series:
    id: int
    monitor: str
    region: str
    interval_ms: int
    phase_ms: int
    from_ms: int = 0
    to_ms: int | None = None  # None: still in force.

    def slot_ms(self, tick: int) -> int:
        return tick * self.interval_ms + self.phase_ms

    def ticks(self, begin_ms: int, end_ms: int) -> range:
        """Ticks whose slot lies in [begin, end)."""
        begin_ms = max(begin_ms, self.from_ms)
        end_ms = end_ms if self.to_ms is None else min(end_ms, self.to_ms)
        first = -((self.phase_ms - begin_ms) // self.interval_ms)
        last = -((self.phase_ms - end_ms) // self.interval_ms)
        return range(first, max(first, last))


@dataclass(frozen=True)
class Stored:
    series: int
    tick: int
    tick_last: int
    outcome: str  # up degraded down no_data missed

    @property
    def weight(self) -> int:
        return self.tick_last - self.tick + 1


MASK = (1 << 64) - 1


def phase_ms(monitor_uuid: bytes, region: str, interval_ms: int) -> int:
    """The phase of DEC-5, written down a second time on purpose."""
    h = 0xcbf29ce484222325
    for byte in monitor_uuid + b"\0" + region.encode():
        h = ((h ^ byte) * 0x100000001b3) & MASK
    x = (h + 0x9e3779b97f4a7c15) & MASK
    x = ((x ^ (x >> 30)) * 0xbf58476d1ce4e5b9) & MASK
    x = ((x ^ (x >> 27)) * 0x94d049bb133111eb) & MASK
    return (x ^ (x >> 31)) % interval_ms


def unexplained(series: Series, stored: list[Stored], begin_ms: int, end_ms: int,
                absent: list[tuple[int, int]]) -> list[int]:
    """Ticks due in [begin, end) that nothing explains: lost."""
    known = set()
    for row in stored:
        if row.series == series.id:
            known.update(range(row.tick, row.tick_last + 1))
    return [tick for tick in series.ticks(begin_ms, end_ms)
            if tick not in known
            and not any(a <= series.slot_ms(tick) <= b for a, b in absent)]


def stored_twice(stored: list[Stored]) -> list[tuple[int, int]]:
    """(series, tick) that more than one row claims."""
    seen, twice = set(), []
    for row in stored:
        for tick in range(row.tick, row.tick_last + 1):
            if (row.series, tick) in seen:
                twice.append((row.series, tick))
            seen.add((row.series, tick))
    return twice


def invented(series: list[Series], stored: list[Stored], now_ms: int) -> list[Stored]:
    """Rows of no series, or for a slot that has not come yet."""
    by_id = {s.id: s for s in series}
    return [row for row in stored if row.series not in by_id
            or by_id[row.series].slot_ms(row.tick_last) > now_ms + 2 * by_id[row.series].interval_ms]


def absences(lives: list[list], now_ms: int, start_margin_ms: int, loss_margin_ms: int
             ) -> list[tuple[int, int]]:
    """When a program could not work: from a little before each death (what it had finished but not yet
    synced is lost with it) to a little after it worked again. `lives` holds [working since, ended];
    a life that never came to work has None."""
    out, dead_since = [], 0
    for working, ended in lives:
        if working is not None:
            out.append((dead_since, int(working * 1000) + start_margin_ms))
            dead_since = None
        if ended is not None and dead_since is None:
            dead_since = int(ended * 1000) - loss_margin_ms
    if dead_since is not None:
        out.append((dead_since, now_ms))
    return out


@dataclass(frozen=True)
class Page:
    """An intent of the outbox: one message to one destination."""

    id: str
    incident: str
    kind: str  # trigger or resolve
    state: str  # pending claimed sent cancelled dead


def page_errors(incidents: list[str], pages: list[Page], calls: list[str], kills: int) -> list[str]:
    """`calls` holds the webhook-id of each message received. Every incident has a trigger; every page
    that is said to be sent was received, none that was cancelled unattempted; extra sends are at most
    one per kill in all."""
    errors = []
    received = {}
    for call in calls:
        received[call] = received.get(call, 0) + 1
    by_incident = {}
    for page in pages:
        by_incident.setdefault((page.incident, page.kind), []).append(page)
    for incident in incidents:
        triggers = by_incident.get((incident, "trigger"), [])
        if not triggers:
            errors.append(f"incident {incident} has no page")
        told = [p for p in triggers if p.id in received]
        if triggers and not told and not all(p.state == "cancelled" for p in triggers):
            errors.append(f"incident {incident}: no page was received: {triggers}")
        resolves = by_incident.get((incident, "resolve"), [])
        if told and resolves and not any(p.id in received for p in resolves):
            errors.append(f"incident {incident}: paged, but its resolve was not received: {resolves}")
    known = {p.id: p for p in pages}
    for page in pages:
        if page.state in ("pending", "claimed", "dead"):
            errors.append(f"page {page.id} is still {page.state}")
        if page.state == "sent" and page.id not in received:
            errors.append(f"page {page.id} is called sent, but nobody received it")
    for call in received:
        if call not in known:
            errors.append(f"a message {call} was received that no page stands for")
    extra = sum(n - 1 for n in received.values())
    if extra > kills:
        errors.append(f"{extra} extra messages with {kills} kills: {received}")
    return errors


def report(*checked) -> list[str]:
    """Prints each (invariant, words, how many were looked at, violations); answers all violations."""
    broken = []
    for name, words, count, violations in checked:
        print(f"  {name:10} {words}: {count} checked, {len(violations)} violations", flush=True)
        broken += [f"{name}: {v}" for v in violations]
    return broken
