/**
 * What services are promised, measured: lookups and durable writes by four processes on a cache of many entries, opening
 * it, and what a miss of a memoised function costs. Prints a table; judges nothing. `--entries 100000`, `--seconds 20`.
 */

import { fork } from "node:child_process";
import { mkdtempSync, rmSync } from "node:fs";
import { loadavg } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { parseArgs } from "node:util";
import { Cache, type PipelineOptions } from "quiver-cache";
import { bytesOf, keyOf, type PromiseReport, type PromiseWork } from "./promises-work.ts";

const PROCESSES = 4;
const MISSES = 2_000;
const MISS_ROUNDS = 5;

const { values: flags } = parseArgs({
  options: {
    entries: { type: "string", default: "100000" },
    seconds: { type: "string", default: "20" },
  },
});
const entries = Number(flags.entries);
const seconds = Number(flags.seconds);
const folder = mkdtempSync(join(fileURLToPath(new URL("..", import.meta.url)), "promises-"));
const program = fileURLToPath(new URL("./promises-work.js", import.meta.url));

type Row = readonly [what: string, promise: string, measured: string];

function inProcess(work: PromiseWork): Promise<PromiseReport> {
  return new Promise((resolve, reject) => {
    const child = fork(program, [JSON.stringify(work)], { serialization: "advanced" });
    child.on("message", (report) => resolve(report as PromiseReport));
    child.on("exit", (code) => reject(new Error(`a process ended with ${code} and no report`)));
  });
}

async function together(work: Omit<PromiseWork, "number" | "processes">): Promise<PromiseReport> {
  const reports = await Promise.all(
    Array.from({ length: PROCESSES }, (_, number) => inProcess({ ...work, number, processes: PROCESSES })),
  );
  const joined = (pick: (report: PromiseReport) => Float64Array): Float64Array =>
    Float64Array.from(reports.flatMap((report) => [...pick(report)])).sort();
  return { lookups: joined(({ lookups }) => lookups), writes: joined(({ writes }) => writes) };
}

function quantiles(times: Float64Array): string {
  const at = (share: number): string => duration(times[Math.floor((times.length - 1) * share)] as number);
  return `median ${at(0.5)}, 99 % ${at(0.99)}, slowest ${at(1)} of ${times.length}`;
}

function duration(microseconds: number): string {
  return microseconds < 1000 ? `${microseconds.toFixed(1)} us` : `${(microseconds / 1000).toFixed(2)} ms`;
}

async function rowsOf(title: string, files: "always" | "large"): Promise<readonly Row[]> {
  const options: PipelineOptions = {
    path: join(folder, files),
    maxSizeMb: 16_384,
    namespaces: { values: { files } },
  };
  await (await Cache.open(options)).close();
  console.error(`${title}: storing ${entries} values`);
  await together({ options, entries, phase: "fill", seconds });
  const opening = performance.now();
  const cache = await Cache.open(options);
  const opened = performance.now();
  const found = (await cache.namespace<Uint8Array>("values").get(keyOf(entries - 1)))?.byteLength;
  const read = performance.now();
  if (found !== bytesOf(entries - 1).byteLength) throw new Error("what was stored is not there");
  if ((await cache.metrics()).namespaces["values"]?.entries !== entries)
    throw new Error("entries are missing");
  await cache.close();
  console.error(`${title}: ${PROCESSES} processes for ${seconds} s`);
  const { lookups, writes } = await together({ options, entries, phase: "use", seconds });
  return [
    [`lookup, ${title}`, "99 % under 10 ms", quantiles(lookups)],
    [`durable write, ${title}`, "99 % under 50 ms", quantiles(writes)],
    [
      `restart, ${title}`,
      "everything is there",
      `${entries} entries; open ${duration((opened - opening) * 1000)}, first read ${duration((read - opened) * 1000)}`,
    ],
  ];
}

/** One miss after another, against calling the function: the cache's own share. */
async function missRow(): Promise<Row> {
  await using cache = await Cache.open(join(folder, "misses"), { durability: "process", onError: "miss" });
  const value = new Uint8Array(10_240).fill(7);
  const plain = async (_input: number): Promise<Uint8Array> => value;
  const remembered = cache.memoize(plain, { namespace: "stage" });
  const time = async (call: (input: number) => Promise<unknown>, from: number): Promise<number> => {
    const start = performance.now();
    for (let input = from; input < from + MISSES; input++) await call(input);
    return ((performance.now() - start) * 1000) / MISSES;
  };
  await time(remembered, -MISSES);
  const rounds: number[] = [];
  for (let round = 0; round < MISS_ROUNDS; round++) {
    rounds.push((await time(remembered, round * MISSES)) - (await time(plain, 0)));
  }
  rounds.sort((left, right) => left - right);
  const [least = 0, , median = 0, , most = 0] = rounds;
  return [
    'miss of a memoised function, 10 KB, durability "process"',
    "under 150 us",
    `${duration(median)} (${duration(least)} to ${duration(most)} in ${MISS_ROUNDS} rounds)`,
  ];
}

try {
  const load = (loadavg()[0] ?? Number.NaN).toFixed(1);
  const rows = [
    await missRow(),
    ...(await rowsOf("one file an entry", "always")),
    ...(await rowsOf("packed", "large")),
  ];
  console.log(`${entries} values of 10 to 15 KB, ${PROCESSES} processes, load average ${load} before.\n`);
  console.log("| what | promise | measured |\n| --- | --- | --- |");
  for (const row of rows) console.log(`| ${row.join(" | ")} |`);
} finally {
  rmSync(folder, { recursive: true, force: true });
}
