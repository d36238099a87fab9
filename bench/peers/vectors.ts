/**
 * Vector caches against what else there is: gathers of rows in one run, everybody in turn over the same numbers, and
 * creation against writing the same bytes. Prints a table.
 */

import { deepStrictEqual } from "node:assert/strict";
import { type ChildProcess, spawn } from "node:child_process";
import {
  closeSync,
  existsSync,
  fsyncSync,
  mkdirSync,
  openSync,
  readdirSync,
  rmSync,
  writeSync,
} from "node:fs";
import { loadavg } from "node:os";
import { dirname, join } from "node:path";
import { createInterface, type Interface } from "node:readline";
import { fileURLToPath } from "node:url";
import { fromFunction, Tensor, VectorCache } from "quiver-cache";
import { lancedb } from "./adapters/lancedb.ts";

const ROWS = 200_000;
const COLUMNS = 384;
const PICKED = 1_000;
const ROUNDS = 21;
/** Gathers of one turn, of which the fastest counts: a busy machine takes the processor away from the others. */
const GATHERS = 10;

const here = fileURLToPath(new URL(".", import.meta.url));
const folder = join(here, "vectors");
const python = join(here, "../.venv/bin/python");
const rust = join(here, "../../../target/release/examples/rows");

const values = Float32Array.from({ length: ROWS * COLUMNS }, (_, i) => Math.imul(i, 2_654_435_761) >>> 22);
const middle = (list: readonly number[]): number =>
  [...list].sort((a, b) => a - b)[list.length >> 1] ?? Number.NaN;

/** One that is asked for rows; resolves to microseconds and the sum of what it gave. */
type Contender = (rows: Uint32Array) => Promise<readonly [microseconds: number, sum: number]>;

class Child {
  readonly #child: ChildProcess;
  readonly #lines: AsyncIterator<string>;

  constructor(command: string, args: readonly string[]) {
    this.#child = spawn(command, args, { stdio: ["pipe", "pipe", "inherit"] });
    const lines: Interface = createInterface({ input: this.#child.stdout as NodeJS.ReadableStream });
    this.#lines = lines[Symbol.asyncIterator]();
  }

  async line(): Promise<string> {
    const { value, done } = await this.#lines.next();
    if (done) throw new Error("a contender ended early");
    return value;
  }

  async ask(text: string): Promise<readonly [number, number]> {
    this.#child.stdin?.write(`${text}\n`);
    const [nanoseconds, sum] = (await this.line()).split(" ").map(Number);
    return [(nanoseconds ?? Number.NaN) / 1000, sum ?? Number.NaN];
  }

  end(): void {
    this.#child.stdin?.end();
  }
}

async function timed(gather: () => Float32Array | Promise<Float32Array>): Promise<readonly [number, number]> {
  const start = performance.now();
  const got = gather();
  const found = got instanceof Float32Array ? got : await got;
  const taken = (performance.now() - start) * 1000;
  return [taken, found.reduce((sum, value) => sum + value, 0)];
}

rmSync(folder, { recursive: true, force: true });
mkdirSync(folder, { recursive: true });
console.error("creating");
const texts = Array.from({ length: ROWS }, (_, i) => String(i));
const create = async (name: string, batchSize: number): Promise<number> => {
  let at = 0;
  const embed = (batch: readonly string[]): Float32Array[] =>
    batch.map(() => values.subarray(at * COLUMNS, ++at * COLUMNS));
  const vectorizer = fromFunction(embed, { model: "free", dimension: COLUMNS });
  const start = performance.now();
  await VectorCache.create({
    name,
    root: folder,
    texts,
    vectorizer,
    batchSize,
    keepTexts: false,
    reuse: false,
  });
  return performance.now() - start;
};
const plain = (piece: number): number => {
  const path = join(folder, "plain");
  const start = performance.now();
  const file = openSync(path, "w");
  for (let at = 0; at < values.byteLength; at += piece) {
    writeSync(file, new Uint8Array(values.buffer, at, Math.min(piece, values.byteLength - at)));
  }
  fsyncSync(file);
  closeSync(file);
  const taken = performance.now() - start;
  rmSync(path);
  return taken;
};
// How much is written with one call matters: some machines take small calls several times as fast.
const writing = {
  plain: [] as number[],
  "plain, 32 KiB a call": [] as number[],
  "batches of 32": [] as number[],
  "batches of 512": [] as number[],
};
for (let round = 0; round < 7; round++) {
  writing.plain.push(plain(1 << 20));
  writing["plain, 32 KiB a call"].push(plain(1 << 15));
  writing["batches of 32"].push(await create("cache", 32));
  writing["batches of 512"].push(await create("cache", 512));
}
const megabytes = values.byteLength / 1e6;
for (const [name, list] of Object.entries(writing)) {
  const share = middle(list.map((time, i) => (writing.plain[i] as number) / time));
  console.log(
    `create, ${name}: ${Math.round((megabytes / middle(list)) * 1000)} MB/s, ${share.toFixed(2)} of plain`,
  );
}

const cache = await VectorCache.load("cache", { root: folder });
const path = join(cache.path, readdirSync(cache.path).find((name) => name.endsWith(".arrow")) as string);
const all = cache.slice();
const view = all.data as Float32Array;
deepStrictEqual(view.subarray(0, 10_000), values.subarray(0, 10_000));
let warm = 0;
for (let i = 0; i < view.length; i += 16) warm += view[i] as number;
// As the loop in Rust does, and as NumPy's allocator: memory that was there before.
const reused = new Tensor(new Float32Array(PICKED * COLUMNS), [PICKED, COLUMNS]);
const out = new Float32Array(PICKED * COLUMNS);
const contenders: Record<string, Contender> = {
  quiver: (rows) => timed(() => cache.gather(rows, reused).data as Float32Array),
  "quiver, a new tensor": (rows) => timed(() => cache.gather(rows).data as Float32Array),
  "JavaScript, set": (rows) =>
    timed(() => {
      for (let i = 0; i < rows.length; i++) {
        const at = (rows[i] as number) * COLUMNS;
        out.set(view.subarray(at, at + COLUMNS), i * COLUMNS);
      }
      return out;
    }),
  "JavaScript, loop": (rows) =>
    timed(() => {
      for (let i = 0, to = 0; i < rows.length; i++) {
        for (let from = (rows[i] as number) * COLUMNS, end = from + COLUMNS; from < end; ) {
          out[to++] = view[from++] as number;
        }
      }
      return out;
    }),
};
const children: Child[] = [];
const start = view.byteOffset;
const loop = existsSync(rust)
  ? new Child(rust, [path, String(start), String(view.byteLength), String(COLUMNS * 4)])
  : undefined;
if (loop !== undefined) {
  children.push(loop);
  contenders["Rust, loop"] = (rows) => loop.ask(rows.join(","));
}
if (existsSync(python)) {
  const program = join(here, "../python/vectors.py");
  const child = new Child(python, [program, path, cache.path, ...[start, ROWS, COLUMNS].map(String)]);
  children.push(child);
  await child.line();
  contenders["numpy memmap"] = (rows) => child.ask(`numpy ${rows.join(",")}`);
  contenders["datasets"] = (rows) => child.ask(`datasets ${rows.join(",")}`);
}
const lance = await lancedb.tables?.(folder);
await lance?.store("table", values, COLUMNS);
const table = await lance?.open("table", COLUMNS);
if (table !== undefined) contenders["lancedb"] = (rows) => timed(() => table.gather(rows));

console.error("gathering");
const times = new Map(Object.keys(contenders).map((name) => [name, [] as number[]]));
let seed = 1;
const random = (): number => (seed = (Math.imul(seed, 1_664_525) + 1_013_904_223) >>> 0);
for (let round = 0; round < ROUNDS + 2; round++) {
  // Everybody after everybody else as often, and with rows of their own: what one reads is in the processor's cache then.
  const order = Object.keys(contenders)
    .map((name) => ({ name, at: random() }))
    .sort((one, other) => one.at - other.at);
  for (const { name } of order) {
    const picks = Array.from({ length: GATHERS }, () => {
      // Without repetitions, which lancedb leaves out.
      const picked = new Set<number>();
      while (picked.size < PICKED) picked.add(random() % ROWS);
      return Uint32Array.from(picked);
    });
    const own: number[] = [];
    for (const rows of picks) {
      const [taken, sum] = await (contenders[name] as Contender)(rows);
      const expected = rows.reduce((total, row) => {
        let part = 0;
        for (let i = row * COLUMNS; i < (row + 1) * COLUMNS; i++) part += values[i] as number;
        return total + part;
      }, 0);
      deepStrictEqual(sum, expected, name);
      own.push(taken);
    }
    if (round >= 2) times.get(name)?.push(Math.min(...own));
  }
}
const quiver = times.get("quiver") ?? [];
for (const [name, list] of times) {
  const ratio = middle(list.map((time, i) => time / (quiver[i] as number)));
  console.log(`gather, ${name}: ${Math.round(middle(list))} us, ${ratio.toFixed(2)} times quiver's`);
}

const spans = [1, 100, 10_000, ROWS].map((length) => {
  const count = 200_000;
  for (let i = 0; i < count; i++) cache.slice(i % (ROWS - length + 1), (i % (ROWS - length + 1)) + length);
  const began = performance.now();
  for (let i = 0; i < count; i++) cache.slice(i % (ROWS - length + 1), (i % (ROWS - length + 1)) + length);
  return `${length} rows ${(((performance.now() - began) * 1e6) / count).toFixed(0)} ns`;
});
console.log(`slice: ${spans.join(", ")}`);
// A search reads all rows once; beside it a loop in Rust that does nothing else, over the same mapping.
const query = view.slice(0, COLUMNS);
const searches: number[] = [];
const readings: number[] = [];
for (let i = 0; i < ROUNDS; i++) {
  const reading = await loop?.ask("all");
  if (reading !== undefined) readings.push(reading[0] / 1000);
  const began = performance.now();
  await cache.nearest(query, { k: 10, metric: "dot" });
  searches.push(performance.now() - began);
}
const beside = middle(searches.map((time, i) => time / (readings[i] ?? Number.NaN)));
console.log(`nearest 10 of ${ROWS}: ${middle(searches).toFixed(1)} ms (sum ${warm > 0 ? "read" : "none"})`);
console.log(
  `reading all rows: ${middle(readings).toFixed(1)} ms; nearest takes ${beside.toFixed(2)} times as long`,
);
console.log(`load average ${loadavg()[0]?.toFixed(1)}, ${dirname(path)}`);
for (const child of children) child.end();
await lance?.close();
rmSync(folder, { recursive: true });
