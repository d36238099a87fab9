/**
 * Asks for a missing key whenever it is told to, computes it if it is the one to compute, and says what it got and how
 * long its event loop was held up meanwhile.
 */

import { monitorEventLoopDelay } from "node:perf_hooks";
import { setTimeout as pause } from "node:timers/promises";
import { Cache } from "../../../src/index.ts";
import type { Message } from "../harness.ts";
import { inputOf, leave, stopped, tell } from "./program.ts";

export interface ComputeInput {
  readonly root: string;
  /** How long computing takes, ms. */
  readonly takes: number;
}

const { root, takes } = inputOf<ComputeInput>();
const cache = await Cache.open(root);
const results = cache.namespace<{ readonly pid: number }>("results");
tell({ kind: "ready" });
process.on("message", ({ kind, key }: Message) => {
  if (kind === "ask") void ask(key as string);
});

async function ask(key: string): Promise<void> {
  const delay = monitorEventLoopDelay({ resolution: 5 });
  delay.enable();
  const { pid } = await results.getOrCompute(key, async () => {
    tell({ kind: `computing ${key}`, at: Date.now() });
    await pause(takes);
    return { pid: process.pid };
  });
  delay.disable();
  tell({ kind: `got ${key}`, pid, delay: delay.max / 1e6 });
}

await stopped;
await cache.close();
leave();
