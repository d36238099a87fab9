"""The operations of ../workloads/blobs.ts. Python's peers have no asynchronous form: what is in flight comes one by one."""

import time

from measure import latencies, pace
from values import bytes_of, digest_of, key_at


def _keys(step: dict, suffix: str = "") -> list[str]:
    return [key_at(step["size"], index) + suffix for index in range(step["count"])]


def _figure(step: dict, value: float, column: str | None = None) -> dict:
    place = dict(step["place"])
    return {**place, "column": column or place["column"], "value": value}


def fill(peer, step: dict) -> None:
    peer.set_many([(key, bytes_of(step["size"], index)) for index, key in enumerate(_keys(step))])


def digest(peer, step: dict) -> dict:
    return {"seen": [digest_of(peer.get(key) for key in _keys(step))]}


def first(peer, step: dict) -> dict:
    keys = _keys(step)
    start = time.perf_counter()
    for key in keys:
        peer.get(key)
    return {"figures": [_figure(step, len(keys) / (time.perf_counter() - start))]}


def _get(peer, step: dict, keys: list[str]) -> dict | None:
    if step.get("inFlight", 0) != 0:
        return None
    rate = pace(lambda turn: peer.get(keys[turn % len(keys)]), step["time"])
    return {"figures": [_figure(step, rate)]}


def get(peer, step: dict) -> dict | None:
    return _get(peer, step, _keys(step))


def miss(peer, step: dict) -> dict | None:
    return _get(peer, step, _keys(step, "-missing"))


def get_latency(peer, step: dict) -> dict:
    keys = _keys(step)
    p50, p99 = latencies(lambda turn: peer.get(keys[turn % len(keys)]), step["time"])
    column = step["place"]["column"]
    return {"figures": [_figure(step, p50, f"{column} p50"), _figure(step, p99, f"{column} p99")]}


def set_(peer, step: dict) -> dict | None:
    if step["durability"] not in peer.durability or step["inFlight"] != 0:
        return None
    keys, values = _keys(step), [bytes_of(step["size"], seed) for seed in range(8)]
    rate = pace(lambda turn: peer.set(keys[turn % len(keys)], values[turn % 8]), step["time"])
    return {"figures": [_figure(step, rate)]}


def batch(peer, step: dict) -> dict | None:
    if step["durability"] not in peer.durability:
        return None
    pairs = [(key, bytes_of(step["size"], index)) for index, key in enumerate(_keys(step)[:64])]
    rate = pace(lambda _: peer.set_many(pairs), step["time"])
    return {"figures": [_figure(step, rate * len(pairs))]}


OPERATIONS = {
    "fill": fill,
    "digest": digest,
    "first": first,
    "get": get,
    "get latency": get_latency,
    "miss": miss,
    "set": set_,
    "batch": batch,
}
