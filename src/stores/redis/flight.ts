/** The right to compute one key among all clients of a server: a lease with a fencing number, renewed while held. */

import { randomUUID } from "node:crypto";
import { setTimeout as sleep } from "node:timers/promises";
import { isQuiverError, QuiverError } from "../../shared/errors.ts";
import { holdLease, LEASE } from "../lease.ts";
import type { Flight } from "../store.ts";
import type { Script } from "./scripts.ts";
import { CLAIM, RELEASE, RENEW } from "./scripts.ts";

const SHORTEST_PAUSE = 10;
const LONGEST_PAUSE = 200;
/** Between two attempts to give a right back to a server that is away. */
const GIVEN_BACK_EVERY = 100;

type Run = (script: Script, args: readonly string[]) => Promise<unknown>;

/** undefined after `timeout` milliseconds. Rejects when the server fails, or with ERR_QUIVER_ABORTED. */
export async function claimFlight(
  run: Run,
  key: string,
  options: { timeout: number; signal?: AbortSignal },
): Promise<Flight | undefined> {
  const { timeout, signal } = options;
  const end = performance.now() + timeout;
  const claimant = randomUUID();
  for (let pause = SHORTEST_PAUSE; ; pause = Math.min(pause * 2, LONGEST_PAUSE)) {
    if (signal?.aborted) throw aborted(key, signal);
    const fence = await claim(run, key, claimant);
    if (fence > 0) return hold(run, key, { fence, claimant });
    const left = end - performance.now();
    if (left <= 0) return undefined;
    // Uneven pauses, so that those who wait don't all ask at once.
    await pauseFor(Math.min(left, pause * (0.5 + Math.random())), signal);
  }
}

/** The fence, or 0 where somebody else has the right. */
async function claim(run: Run, key: string, claimant: string): Promise<number> {
  try {
    return Number(String(await run(CLAIM, [key, String(LEASE), claimant])));
  } catch (error) {
    // The server may have granted it, and the answer been lost: nobody could compute the key until the lease ends.
    void giveBack(run, key, claimant);
    throw error;
  }
}

async function pauseFor(milliseconds: number, signal: AbortSignal | undefined): Promise<void> {
  try {
    await sleep(milliseconds, undefined, signal && { signal });
  } catch {
    // Aborted: the caller looks at the signal.
  }
}

function hold(run: Run, key: string, { fence, claimant }: { fence: number; claimant: string }): Flight {
  return holdLease(fence, {
    // While the server is away the lease runs on; when it has ended, a late write is void by its number.
    renew: () => run(RENEW, [key, claimant, String(LEASE)]),
    giveBack: () => giveBack(run, key, claimant),
  });
}

/** Goes on trying while the server is away, until the lease has ended by itself. Doesn't reject. */
async function giveBack(run: Run, key: string, claimant: string): Promise<void> {
  const end = performance.now() + LEASE;
  while (performance.now() < end) {
    try {
      await run(RELEASE, [key, claimant]);
      return;
    } catch (error) {
      if (isQuiverError(error, "ERR_QUIVER_CLOSED")) return;
      await sleep(GIVEN_BACK_EVERY, undefined, { ref: false });
    }
  }
}

function aborted(key: string, signal: AbortSignal): QuiverError {
  return new QuiverError("ERR_QUIVER_ABORTED", "waiting for the right to compute was given up", {
    key,
    cause: signal.reason,
  });
}
