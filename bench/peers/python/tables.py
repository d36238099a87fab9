"""The operations of ../workloads/tables.ts."""

import time

import numpy
from measure import pace
from values import digest_of, matrix, random_rows

def _figure(step: dict, value: float, column: str | None = None) -> dict:
    place = dict(step["place"])
    return {**place, "column": column or place["column"], "value": value}


def store(peer, step: dict) -> dict | None:
    values = matrix(step["rows"], step["columns"])
    start = time.perf_counter()
    peer.store(step["name"], values)
    seconds = time.perf_counter() - start
    return {"figures": [_figure(step, values.nbytes / 1e6 / seconds)]} if "place" in step else None


def _sum(values: numpy.ndarray) -> float:
    return float(values.sum(dtype=numpy.float64))


def digest(peer, step: dict) -> dict:
    table = peer.open(step["name"], step["columns"])
    picked = random_rows(step["rows"], step["count"], 1)
    gathered = table.gather(picked)
    into = _gather_into(table, step)(picked)
    sliced = table.slice(100, 300)
    digested = digest_of([numpy.ascontiguousarray(values) for values in (gathered, into, sliced)])
    return {"seen": [digested, f"{_sum(table.all()):.0f}"]}


def _gather_into(table, step: dict):
    """Into memory that is there. Who can't makes new memory."""
    if not hasattr(table, "gather_into"):
        return table.gather
    out = numpy.empty((step["count"], step["columns"]), numpy.float32)
    return lambda rows: table.gather_into(rows, out)


def first_row(peer, step: dict) -> dict:
    total = 0.0

    def opening(name: str):
        nonlocal total
        start = time.perf_counter()
        table = peer.open(name, step["columns"])
        total += float(table.slice(0, 1)[0, 1])
        return table, start, (time.perf_counter() - start) * 1000

    very_first = opening("warm-0")[2]
    for index in range(1, step["count"]):
        opening(f"warm-{index}")
    table, start, first = opening(step["name"])
    part = -(-step["rows"] // 100)
    total += _sum(table.slice(1_000, 1_000 + part))
    hundredth = (time.perf_counter() - start) * 1000
    everything = table.all()
    whole = (time.perf_counter() - start) * 1000
    total += float(everything[-1, -1])
    column = step["place"]["column"]
    return {
        "figures": [
            _figure(step, very_first, "4 MB, first of a process"),
            _figure(step, first, f"{column}, first row"),
            _figure(step, hundredth, f"{column}, sum of a hundredth"),
            _figure(step, whole, f"{column}, whole, verified"),
        ],
        "seen": [f"{total:.0f}"],
    }


def _warmed(peer, step: dict):
    table = peer.open(step["name"], step["columns"])
    _sum(table.all())
    return table


def _gathering(way_of):
    """Gathers other rows in each of many turns, in the way that a table has for it."""

    def run(peer, step: dict) -> dict:
        table = _warmed(peer, step)
        picks = [random_rows(step["rows"], step["count"], turn) for turn in range(64)]
        gather = way_of(table, step)
        rate = pace(lambda turn: gather(picks[turn % len(picks)]), step["time"])
        return {"figures": [_figure(step, rate)]}

    return run


def slice_(peer, step: dict) -> dict:
    table, count = _warmed(peer, step), step["count"]
    span = step["rows"] - count + 1

    def take(turn: int) -> None:
        start = (turn * 97) % span
        table.slice(start, start + count)

    return {"figures": [_figure(step, pace(take, step["time"]))]}


def scan(peer, step: dict) -> dict:
    table = _warmed(peer, step)
    megabytes = step["rows"] * step["columns"] * 4 / 1e6
    rate = pace(lambda _: table.all().sum(), step["time"])
    return {"figures": [_figure(step, rate * megabytes)]}


def batches(peer, step: dict) -> dict:
    table, count, rows = _warmed(peer, step), step["count"], step["rows"]

    def run(_: int) -> None:
        for at in range(0, rows - count + 1, count):
            table.slice(at, at + count)[0, 0]

    return {"figures": [_figure(step, pace(run, step["time"]) * (rows // count))]}


OPERATIONS = {
    "store": store,
    "digest": digest,
    "first row": first_row,
    "gather": _gathering(lambda table, _: table.gather),
    "gather into": _gathering(_gather_into),
    "slice": slice_,
    "scan": scan,
    "batches": batches,
}
