"""Clocks, as ../measure.ts has them."""

import time


def pace(run, milliseconds: float) -> float:
    """Operations a second, after a quarter of the time as warm-up."""
    turn = 0

    def spend(budget: float) -> float:
        nonlocal turn
        begun, start = turn, time.perf_counter()
        block = 1
        while (time.perf_counter() - start) * 1000 < budget:
            for _ in range(block):
                run(turn)
                turn += 1
            if block < 4096 and (time.perf_counter() - start) * 1000 < budget / 20:
                block *= 2
        return (turn - begun) / (time.perf_counter() - start)

    spend(milliseconds / 4)
    return spend(milliseconds)


def latencies(run, milliseconds: float, most: int = 20_000) -> tuple[float, float]:
    """Microseconds of the middle operation, and of the one that a hundredth of them exceed."""
    times: list[float] = []
    end = time.perf_counter() + milliseconds / 1000
    while len(times) < most and (time.perf_counter() < end or len(times) < 3):
        start = time.perf_counter()
        run(len(times))
        times.append((time.perf_counter() - start) * 1e6)
    times.sort()
    return times[(len(times) - 1) // 2], times[int((len(times) - 1) * 0.99)]
