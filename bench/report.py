"""One measured figure, its floor, and the table of them."""

import statistics
from dataclasses import dataclass


@dataclass
class Pairs:
    """Rounds in which both sides were measured one after the other, so that they shared the machine."""

    ours: list[float]
    floor: list[float]

    def ratios(self) -> list[float]:
        return [ours / floor for ours, floor in zip(self.ours, self.floor)]

    def interval(self) -> tuple[float, float]:
        """The smallest and the largest ratio: with six rounds the median lies between them in 97 % of cases."""
        return min(self.ratios()), max(self.ratios())


def paired(ident: str, what: str, unit: str, against: str, pairs: Pairs, target: float | None = None,
           at_least: bool = False) -> dict:
    """The ratio is ours to the floor; with `at_least` the other's to ours, and more is better. A target is met when
    the interval of the ratios reaches it."""
    if at_least:
        pairs_ = Pairs(pairs.floor, pairs.ours)
    else:
        pairs_ = pairs
    low, high = pairs_.interval()
    met = None if target is None else (high >= target if at_least else low <= target)
    ours, floor = statistics.median(pairs.ours), statistics.median(pairs.floor)
    return {"id": ident, "what": what, "value": round(ours, 2), "unit": unit,
            "against": f"{against}: {floor:.4g} {unit}",
            "ratio": round(statistics.median(pairs_.ratios()), 3),
            "interval": [round(low, 3), round(high, 3)], "target": target, "met": met}


def entry(ident: str, what: str, value: float, unit: str, against: str, floor: float,
          target: float | None = None, met: bool | None = None) -> dict:
    """A target is in the value's unit, or a ratio to the floor when it says so in the document."""
    return {"id": ident, "what": what, "value": round(value, 2), "unit": unit,
            "against": f"{against}: {floor:.4g} {unit}", "ratio": round(value / floor, 3),
            "target": target, "met": met}


def bounded(ident: str, what: str, value: float, unit: str, most: float | None) -> dict:
    """A figure with a bound of its own and nothing beside it."""
    return {"id": ident, "what": what, "value": round(value, 2), "unit": unit, "against": "", "ratio": None,
            "target": most, "met": None if most is None else value <= most}


def print_table(entries: list[dict]):
    print(f"{'id':<7} {'what':<40} {'value':>9} {'unit':<9} {'ratio':>6} {'target':>8} {'met':<4} against")
    for e in entries:
        ratio = "" if e["ratio"] is None else f"{e['ratio']:.2f}"
        target = "" if e["target"] is None else f"{e['target']:g}"
        met = {None: "", True: "yes", False: "no"}[e["met"]]
        print(f"{e['id']:<7} {e['what']:<40} {e['value']:>9.1f} {e['unit']:<9} {ratio:>6} {target:>8} {met:<4} "
              f"{e['against'].split(':')[0]}")
