/**
 * Writes its own keys and reads those of the others, until told to stop. Says now and then how far it is and how long its
 * slowest read took; errors of writes are told, not thrown.
 */

import { Cache, isQuiverError } from "../../../src/index.ts";
import { Random } from "../../../src/testing/store/random.ts";
import { checkValue, makeValue } from "../values.ts";
import { inputOf, leave, stopped, tell } from "./program.ts";

export interface SteadyInput {
  readonly root: string;
  readonly number: number;
  /** Processes are numbered from 1 to this. */
  readonly processes: number;
}

const KEYS = 40;

const { root, number, processes } = inputOf<SteadyInput>();
const random = new Random(number);
const cache = await Cache.open(root, { memoryLimit: 0 });
const values = cache.namespace<Uint8Array>("values");
let sequence = 0;
let running = true;
const report = { written: 0, read: 0, slowestRead: 0, codes: [] as string[] };
void stopped.then(() => {
  running = false;
});

async function write(): Promise<void> {
  while (running) {
    const key = `${number}-${random.below(KEYS)}`;
    try {
      await values.set(key, makeValue(key, ++sequence, random.pick([400, 12_000, 40_000, 300_000])));
      report.written++;
    } catch (error) {
      report.codes.push(isQuiverError(error) ? error.code : String(error));
    }
  }
}

async function read(): Promise<void> {
  while (running) {
    // Reads of a key that this process is writing would wait for that.
    const other = 1 + ((number + random.below(processes - 1)) % processes);
    const key = `${other}-${random.below(KEYS)}`;
    const start = performance.now();
    const value = await values.get(key);
    report.slowestRead = Math.max(report.slowestRead, performance.now() - start);
    if (value !== undefined) checkValue(key, value);
    report.read++;
    await new Promise((resolve) => setTimeout(resolve, 1));
  }
}

const beat = setInterval(() => tell({ kind: "beat", pid: process.pid, ...report }), 50);
tell({ kind: "ready", pid: process.pid });
await Promise.all([write(), write(), read()]);
clearInterval(beat);
tell({ kind: "done", ...report });
await cache.close();
leave();
