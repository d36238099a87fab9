/** Clocks: how often something can be done in a second, and how long one time takes. */

/** Milliseconds that V8 gets to compile what runs hot, which it does on another thread. */
const WARM_UP = 200;

/** Runs `run` for about `milliseconds` after a warm-up of a quarter of that, but no less than `WARM_UP`; operations a second. */
export function paceSync(run: (turn: number) => unknown, milliseconds: number): number {
  let turn = 0;
  const spend = (budget: number): number => {
    const start = performance.now();
    const begun = turn;
    // The clock is read once a block, so that it costs nothing beside operations of 50 ns.
    for (let block = 1, elapsed = 0; elapsed < budget; elapsed = performance.now() - start) {
      for (let index = 0; index < block; index++) run(turn++);
      if (block < 4_096 && performance.now() - start < budget / 20) block *= 2;
    }
    return ((turn - begun) * 1000) / (performance.now() - start);
  };
  spend(Math.max(milliseconds / 4, WARM_UP));
  return spend(milliseconds);
}

/** The same for operations that are awaited, `inFlight` of them at any time. */
export async function pace(
  run: (turn: number) => unknown,
  milliseconds: number,
  inFlight: number,
): Promise<number> {
  let turn = 0;
  const spend = async (budget: number): Promise<number> => {
    const start = performance.now();
    const begun = turn;
    const lane = async (): Promise<void> => {
      while (performance.now() - start < budget) await run(turn++);
    };
    await Promise.all(Array.from({ length: inFlight }, lane));
    return ((turn - begun) * 1000) / (performance.now() - start);
  };
  await spend(Math.max(milliseconds / 4, WARM_UP));
  return spend(milliseconds);
}

/** Microseconds that single operations took: the middle one, and the one that a hundredth of them exceed. */
export async function latencies(
  run: (turn: number) => unknown,
  milliseconds: number,
  most = 20_000,
): Promise<{ readonly p50: number; readonly p99: number }> {
  const times: number[] = [];
  const end = performance.now() + milliseconds;
  for (let turn = 0; times.length < most && (performance.now() < end || times.length < 3); turn++) {
    const start = performance.now();
    await run(turn);
    times.push((performance.now() - start) * 1000);
  }
  times.sort((a, b) => a - b);
  const at = (share: number): number => times[Math.floor((times.length - 1) * share)] ?? Number.NaN;
  return { p50: at(0.5), p99: at(0.99) };
}

/** Seconds that one run takes. */
export async function secondsOf(run: () => unknown): Promise<number> {
  const start = performance.now();
  await run();
  return (performance.now() - start) / 1000;
}
