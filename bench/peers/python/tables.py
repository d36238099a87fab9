"""The operations of ../workloads/tables.ts."""

import time

import numpy
from measure import pace
from values import digest_of, matrix, random_rows

WARM = [f"warm-{index}" for index in range(12)]


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
    into = _gathering_into(table)(picked, numpy.empty((step["count"], step["columns"]), numpy.float32))
    sliced = table.slice(100, 300)
    digested = digest_of([numpy.ascontiguousarray(values) for values in (gathered, into, sliced)])
    return {"seen": [digested, f"{_sum(table.all()):.0f}"]}


def _gathering_into(table):
    """Who can't gather into memory that is there makes new memory."""
    return getattr(table, "gather_into", lambda rows, _: table.gather(rows))


def first_row(peer, step: dict) -> dict:
    columns = step["columns"]
    total = sum(float(peer.open(name, columns).slice(0, 1)[0, 1]) for name in WARM)
    start = time.perf_counter()
    table = peer.open(step["name"], columns)
    total += float(table.slice(0, 1)[0, 1])
    first = (time.perf_counter() - start) * 1000
    part = -(-step["rows"] // 100)
    total += _sum(table.slice(1_000, 1_000 + part))
    hundredth = (time.perf_counter() - start) * 1000
    everything = table.all()
    whole = (time.perf_counter() - start) * 1000
    total += float(everything[-1, -1])
    column = step["place"]["column"]
    return {
        "figures": [
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


def gather(peer, step: dict) -> dict:
    table = _warmed(peer, step)
    picks = [random_rows(step["rows"], step["count"], turn) for turn in range(64)]
    rate = pace(lambda turn: table.gather(picks[turn % len(picks)]), step["time"])
    return {"figures": [_figure(step, rate)]}


def gather_into(peer, step: dict) -> dict:
    table = _warmed(peer, step)
    picks = [random_rows(step["rows"], step["count"], turn) for turn in range(64)]
    into = _gathering_into(table)
    out = numpy.empty((step["count"], step["columns"]), numpy.float32)
    rate = pace(lambda turn: into(picks[turn % len(picks)], out), step["time"])
    return {"figures": [_figure(step, rate)]}


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
    "gather": gather,
    "gather into": gather_into,
    "slice": slice_,
    "scan": scan,
    "batches": batches,
}
