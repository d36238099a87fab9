/** The right to compute one key among all clients of a server: a lease with a fencing number, renewed while held. */

import { setTimeout as sleep } from "node:timers/promises";
import { QuiverError } from "../../shared/errors.ts";
import { holdLease, LEASE } from "../lease.ts";
import type { Flight } from "../store.ts";
import type { Script } from "./scripts.ts";
import { CLAIM, RELEASE, RENEW } from "./scripts.ts";

const SHORTEST_PAUSE = 10;
const LONGEST_PAUSE = 200;

type Run = (script: Script, args: readonly string[]) => Promise<unknown>;

/** undefined after `timeout` milliseconds. Rejects when the server fails, or with ERR_QUIVER_ABORTED. */
export async function claimFlight(
  run: Run,
  key: string,
  options: { timeout: number; signal?: AbortSignal },
): Promise<Flight | undefined> {
  const { timeout, signal } = options;
  const end = performance.now() + timeout;
  for (let pause = SHORTEST_PAUSE; ; pause = Math.min(pause * 2, LONGEST_PAUSE)) {
    if (signal?.aborted) throw aborted(key, signal);
    const fence = Number(String(await run(CLAIM, [key, String(LEASE)])));
    if (fence > 0) return hold(run, key, fence);
    const left = end - performance.now();
    if (left <= 0) return undefined;
    // Uneven pauses, so that those who wait don't all ask at once.
    await pauseFor(Math.min(left, pause * (0.5 + Math.random())), signal);
  }
}

async function pauseFor(milliseconds: number, signal: AbortSignal | undefined): Promise<void> {
  try {
    await sleep(milliseconds, undefined, signal && { signal });
  } catch {
    // Aborted: the caller looks at the signal.
  }
}

function hold(run: Run, key: string, fence: number): Flight {
  return holdLease(fence, {
    // While the server is away the lease runs on; when it has ended, a late write is void by its number.
    renew: () => run(RENEW, [key, String(fence), String(LEASE)]),
    giveBack: () => run(RELEASE, [key, String(fence)]),
  });
}

function aborted(key: string, signal: AbortSignal): QuiverError {
  return new QuiverError("ERR_QUIVER_ABORTED", "waiting for the right to compute was given up", {
    key,
    cause: signal.reason,
  });
}
