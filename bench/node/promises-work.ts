/** One of the processes that `promises.ts` starts: stores its share of the entries, or looks up all and writes some. */

import { setTimeout as pause } from "node:timers/promises";
import { Cache, type PipelineOptions } from "quiver-cache";

export interface PromiseWork {
  readonly options: PipelineOptions;
  readonly entries: number;
  readonly phase: "fill" | "use";
  readonly seconds: number;
  readonly number: number;
  readonly processes: number;
}

/** Microseconds that each call took. */
export interface PromiseReport {
  readonly lookups: Float64Array;
  readonly writes: Float64Array;
}

const TOGETHER = 64;
/** Between two writes of a process, ms; a stage that takes seconds writes less often. */
const WRITE_EVERY = 20;
const LOOKUPS = 200_000;

export function keyOf(index: number): string {
  return `values:${index.toString(16).padStart(64, "0")}`;
}

/** 10 to 15 KB. */
export function bytesOf(index: number): Uint8Array {
  return new Uint8Array(10_000 + ((index * 2654435761) % 5_000)).fill(index % 251);
}

async function work({
  options,
  entries,
  phase,
  seconds,
  number,
  processes,
}: PromiseWork): Promise<PromiseReport> {
  const cache = await Cache.open(options);
  const values = cache.namespace<Uint8Array>("values");
  const failures: unknown[] = [];
  cache.on("error", ({ error }) => void failures.push(error));
  const lookups: number[] = [];
  const writes: number[] = [];
  const timed = async (times: number[], call: () => Promise<unknown>): Promise<void> => {
    const start = performance.now();
    await call();
    if (times.length < LOOKUPS) times.push((performance.now() - start) * 1000);
  };
  if (phase === "fill") {
    let next = number;
    const lane = async (): Promise<void> => {
      for (let index = next; index < entries; index = next) {
        next += processes;
        await values.set(keyOf(index), bytesOf(index), { ttl: null });
      }
    };
    await Promise.all(Array.from({ length: TOGETHER }, lane));
  } else {
    const end = Date.now() + seconds * 1000;
    const any = (): number => Math.floor(Math.random() * entries);
    const read = async (): Promise<void> => {
      for (let turn = 0; Date.now() < end; turn++) {
        const index = any();
        await timed(lookups, async () => {
          const value = await values.get(keyOf(index));
          if (value === undefined || value[0] !== index % 251) throw new Error(`${index} is not what it was`);
        });
        // A service has its requests come from outside: the event loop turns between them.
        if (turn % 16 === 15) await pause(1);
      }
    };
    const write = async (): Promise<void> => {
      while (Date.now() < end) {
        const index = any();
        await timed(writes, () => values.set(keyOf(index), bytesOf(index), { ttl: null }));
        await pause(WRITE_EVERY);
      }
    };
    await Promise.all([read(), write()]);
  }
  await cache.close();
  if (failures.length > 0) throw failures[0];
  return { lookups: Float64Array.from(lookups), writes: Float64Array.from(writes) };
}

const given = process.argv[2];
if (process.send !== undefined && given !== undefined) {
  process.send(await work(JSON.parse(given) as PromiseWork), () => process.disconnect());
}
