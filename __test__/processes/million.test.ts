/** Very many entries scored by a policy of the user's own: a tenth of them leaves, and the event loop goes on turning. */

import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { monitorEventLoopDelay } from "node:perf_hooks";
import { setTimeout as pause } from "node:timers/promises";
import { afterAll, expect, test } from "vitest";
import { Cache, type EvictionPolicy } from "../../src/index.ts";
import { torture } from "./harness.ts";

const ENTRIES = torture ? 1_000_000 : 100_000;
const LEAVING = ENTRIES / 10;
const BATCH = 20_000;
/** How late the event loop may be; on a busy machine, twice of what it is without any work. */
const LATE_MS = torture ? 50 : 500;
const IDLE_MS = torture ? 5_000 : 500;

const root = mkdtempSync(join(tmpdir(), "quiver-million-"));

afterAll(() => rmSync(root, { recursive: true, force: true }));

/** Large and long unused first; counts what it is shown. */
class SizeTimesAge implements EvictionPolicy {
  readonly name = "size-times-age";
  scored = 0;

  score(columns: Parameters<EvictionPolicy["score"]>[0], now: number, out: Float64Array): void {
    this.scored += columns.length;
    for (let row = 0; row < columns.length; row++) {
      const age = now - (columns.lastAccess[row] as number) + 1;
      out[row] = -(columns.size[row] as number) * Math.log2(age + 1);
    }
  }
}

test(`of ${ENTRIES} entries a tenth is evicted without holding up the event loop`, async () => {
  const policy = new SizeTimesAge();
  await using cache = await Cache.open(root, { durability: "process", eviction: policy, memoryLimit: 0 });
  const values = cache.namespace<Uint8Array>("values");
  for (let start = 0; start < ENTRIES; start += BATCH) {
    await values.setMany(
      Array.from({ length: BATCH }, (_, index) => {
        const number = start + index;
        // Every tenth is large: those are to leave.
        const value = new Uint8Array(number % 10 === 0 ? 1_000 : 50);
        return [`k${number}`, value, { pinned: number % 1_000 === 1 }] as const;
      }),
    );
  }
  await cache.close();

  await using limited = await Cache.open(root, {
    eviction: policy,
    maxEntries: ENTRIES,
    evictionThreshold: 0.95,
    reconfigure: true,
    memoryLimit: 0,
  });
  const idle = await latenessDuring(() => pause(IDLE_MS));
  const start = performance.now();
  let evicted = 0;
  const late = await latenessDuring(async () => {
    evicted = (await limited.evict()).evicted;
  });
  const took = performance.now() - start;

  expect(evicted).toBe(LEAVING);
  expect(policy.scored).toBe(ENTRIES - ENTRIES / 1_000);
  const kept = limited.namespace<Uint8Array>("values");
  expect(await kept.has("k0")).toBe(false);
  expect(await kept.has(`k${ENTRIES - 10}`)).toBe(false);
  expect(await kept.has("k1")).toBe(true);
  expect((await kept.stats()).entries).toBe(ENTRIES - LEAVING);
  console.log(
    `${ENTRIES} scored, ${evicted} evicted in ${took.toFixed(0)} ms; ` +
      `the event loop was late by ${late.toFixed(1)} ms at most, without work by ${idle.toFixed(1)} ms`,
  );
  expect(late).toBeLessThan(Math.max(LATE_MS, 2 * idle));
});

/** By how many milliseconds the event loop was late at most while this went on. */
async function latenessDuring(work: () => Promise<unknown>): Promise<number> {
  const delay = monitorEventLoopDelay({ resolution: 1 });
  delay.enable();
  await work();
  delay.disable();
  return delay.max / 1e6;
}
