/** Matrices of float32: stored, opened, and read by rows, ranges and as a whole. */

import type { Awaitable, Place, Step, Table, Tables, Unit } from "../contract.ts";
import { pace, secondsOf } from "../measure.ts";
import { digestOf, matrix, randomRows, sumOf } from "../values.ts";
import { type Context, figure, given, type Operation, type Scale, type Workload } from "../workload.ts";

/** Columns of an embedding as small models make them. */
const COLUMNS = 384;

/** Rows taken by one gather. */
const PICKED = 1_000;

const EMBEDDINGS = { name: "embeddings", rows: 200_000 } as const;
const MATRICES = [
  { name: "matrix-64", column: "64 MB", rows: 43_690 },
  { name: "matrix-1024", column: "1 GB", rows: 699_050 },
] as const;

/** Who is given matrices of a gigabyte: those that store one as one piece, and so within seconds. */
const LARGE: readonly string[] = ["quiver", "fs", "lmdb", "numpy memmap"];

/**
 * Smaller ones that are opened before others are timed, so that what runs has been compiled: larger than the 4 MiB up to
 * which `quiver` makes one buffer.
 */
const WARM = { count: 96, rows: 2_800, column: "4 MB" } as const;

export const tables: Workload = {
  name: "tables",
  title: "Matrices and embeddings of float32",
  notes: [
    `*first row* goes from asking for a stored matrix, in a process that has opened the cache and read a row of ${WARM.count} of ${WARM.column}, to holding its first row; the files are in the page cache. Peers of Node are asked synchronously where they can. \`quiver\` has verified what it shows. *first of a process* is the same for the first of those.`,
    "Gathers take other rows each time, from a matrix that was read before, into a new result, and into memory that is there where the peer can; JavaScript peers copy row by row. *slice* is a view where the peer can give one.",
    "A matrix of 1 GB goes to those peers only that store and map or read it as one piece.",
    "*whole, verified* makes all of it readable: `quiver` compares it with its checksums, the others have none. *sum of all* is `tensor.summary()`, which finds extremes as well, the sum of NumPy, or a loop in JavaScript.",
  ],
  peers: [
    "quiver",
    "fs",
    "lmdb",
    "arrow, fs",
    "lancedb",
    "numpy memmap",
    "safetensors",
    "pyarrow",
    "datasets",
  ],
  main: ["quiver", "fs", "lmdb", "numpy memmap"],
  prepare: (scale, peer) => [
    [
      ...Array.from(
        { length: warmOf(scale) },
        (_, index): Step => ({ op: "store", name: warmName(index), rows: WARM.rows, columns: COLUMNS }),
      ),
      ...matricesOf(scale, peer).map(
        ({ name, rows }): Step => ({ op: "store", name, rows, columns: COLUMNS }),
      ),
      { op: "store", ...embeddingsOf(scale), columns: COLUMNS },
    ],
    [{ op: "digest", ...embeddingsOf(scale), columns: COLUMNS, count: PICKED }],
  ],
  round: (scale, peer) => [
    ...matricesOf(scale, peer).map((matrix) => matrixSteps(scale, matrix)),
    embeddingSteps(scale),
    ...matricesOf(scale, peer).map(({ name, column, rows }): Step[] => [
      { op: "store", place: placeAt("store, durable", column, "MB/s"), name, rows, columns: COLUMNS },
    ]),
  ],
  operations: {
    store,
    digest,
    "first row": firstRow,
    gather: gathering((table) => (rows) => table.gather(rows)),
    "gather into": gathering(gatherInto),
    slice,
    scan,
    batches,
  },
};

function embeddingsOf({ name }: Scale): { readonly name: string; readonly rows: number } {
  return name === "tiny" ? { ...EMBEDDINGS, rows: 2_000 } : EMBEDDINGS;
}

function matricesOf(
  { name }: Scale,
  peer: string,
): readonly { name: string; column: string; rows: number }[] {
  const matrices = name === "short" || !LARGE.includes(peer) ? MATRICES.slice(0, 1) : MATRICES;
  return name === "tiny" ? matrices.map((matrix) => ({ ...matrix, rows: 2_000 })) : matrices;
}

function placeAt(table: string, column: string, unit: Unit): Place {
  return { table, column, unit };
}

function matrixSteps(
  scale: Scale,
  { name, column, rows }: { name: string; column: string; rows: number },
): Step[] {
  const place = placeAt("open", column, "ms");
  return [{ op: "first row", place, name, rows, columns: COLUMNS, count: warmOf(scale), inMemory: true }];
}

function warmOf({ name }: Scale): number {
  return name === "tiny" ? 2 : WARM.count;
}

function warmName(index: number): string {
  return `warm-${index}`;
}

function embeddingSteps(scale: Scale): Step[] {
  const { name, rows } = embeddingsOf(scale);
  const table = `${EMBEDDINGS.rows.toLocaleString("en")} embeddings of ${COLUMNS}`;
  const step = (op: string, column: string, unit: Unit, count: number): Step => ({
    op,
    place: placeAt(table, column, unit),
    name,
    rows,
    columns: COLUMNS,
    count,
    time: scale.time * 4,
  });
  return [
    step("gather", `gather of ${PICKED.toLocaleString("en")} rows`, "/s", PICKED),
    step("gather into", "into memory that is there", "/s", PICKED),
    step("slice", "slice of 10,000 rows", "/s", Math.min(10_000, rows)),
    step("batches", "batches of 256 rows, a value of each", "/s", 256),
    step("scan", "sum of all", "MB/s", rows),
  ];
}

function opened(context: Context): Promise<Tables> | undefined {
  const open = context.peer.tables?.bind(context.peer);
  return open && context.opened("tables", () => open(context.folder));
}

async function tableOf(context: Context, step: Step): Promise<Table | undefined> {
  return (await opened(context))?.open(given(step, "name"), given(step, "columns"));
}

async function store(context: Context, step: Step): ReturnType<Operation> {
  const stored = await opened(context);
  if (stored === undefined) return undefined;
  const columns = given(step, "columns");
  const values = matrix(given(step, "rows"), columns);
  const seconds = await secondsOf(() => stored.store(given(step, "name"), values, columns));
  return step.place && figure(step, values.byteLength / 1e6 / seconds);
}

async function digest(context: Context, step: Step): ReturnType<Operation> {
  const table = await tableOf(context, step);
  if (table === undefined) return undefined;
  const rows = given(step, "rows");
  const picked = randomRows(rows, given(step, "count"), 1);
  const gathered = await table.gather(picked);
  const into = await gatherInto(table, step)(picked);
  const sliced = await table.slice(100, 300);
  const sum = sumOf(await table.all());
  return { seen: [digestOf([gathered, into, sliced].map(bytesOf)), String(sum)] };
}

function bytesOf({ buffer, byteOffset, byteLength }: Float32Array): Uint8Array {
  return new Uint8Array(buffer, byteOffset, byteLength);
}

async function firstRow(context: Context, step: Step): ReturnType<Operation> {
  const stored = await opened(context);
  if (stored === undefined) return undefined;
  const columns = given(step, "columns");
  let sum = 0;
  const opening = async (name: string): Promise<{ table: Table; start: number; first: number }> => {
    const start = performance.now();
    const table = await stored.open(name, columns);
    sum += (await table.slice(0, 1))[1] ?? Number.NaN;
    return { table, start, first: performance.now() - start };
  };
  const { first: veryFirst } = await opening(warmName(0));
  for (let index = 1; index < given(step, "count"); index++) await opening(warmName(index));
  const { table, start, first } = await opening(given(step, "name"));
  const part = Math.ceil(given(step, "rows") / 100);
  sum += sumOf(await table.slice(1_000, 1_000 + part));
  const hundredth = performance.now() - start;
  await table.verify?.();
  const all = await table.all();
  const whole = performance.now() - start;
  sum += all[all.length - 1] ?? Number.NaN;
  const at = (what: string, value: number, matrix = step.place?.column) =>
    figure(step, value, { column: `${matrix}, ${what}` }).figures ?? [];
  return {
    figures: [
      ...at("first of a process", veryFirst, WARM.column),
      ...at("first row", first),
      ...at("sum of a hundredth", hundredth),
      ...at("whole, verified", whole),
    ],
    seen: [String(sum)],
  };
}

/** Opened, verified and read once, so that nothing is met for the first time while the clock runs. */
async function warmed(context: Context, step: Step): Promise<Table | undefined> {
  const table = await tableOf(context, step);
  await table?.verify?.();
  if (table !== undefined) sumOf(await table.all());
  return table;
}

/** Gathers other rows in each of many turns, in the way that a table has for it. */
function gathering(wayOf: (table: Table, step: Step) => (rows: Uint32Array) => unknown): Operation {
  return async (context, step) => {
    const table = await warmed(context, step);
    if (table === undefined) return undefined;
    const picks = Array.from({ length: 64 }, (_, turn) =>
      randomRows(given(step, "rows"), given(step, "count"), turn),
    );
    const gather = wayOf(table, step);
    return figure(
      step,
      await pace((turn) => gather(picks[turn % picks.length] as Uint32Array), given(step, "time"), 1),
    );
  };
}

/** Into memory that is there. Who can't makes new memory. */
function gatherInto(table: Table, step: Step): (rows: Uint32Array) => Awaitable<Float32Array> {
  const out = new Float32Array(given(step, "count") * given(step, "columns"));
  return (rows) => table.gatherInto?.(rows, out) ?? table.gather(rows);
}

async function slice(context: Context, step: Step): ReturnType<Operation> {
  const table = await warmed(context, step);
  if (table === undefined) return undefined;
  const count = given(step, "count");
  const span = given(step, "rows") - count + 1;
  const take = (turn: number) => table.slice((turn * 97) % span, ((turn * 97) % span) + count);
  return figure(step, await pace(take, given(step, "time"), 1));
}

async function scan(context: Context, step: Step): ReturnType<Operation> {
  const table = await warmed(context, step);
  if (table === undefined) return undefined;
  const megabytes = (given(step, "rows") * given(step, "columns") * 4) / 1e6;
  const expected = sumOf(await table.all());
  const pass = async (): Promise<void> => {
    const sum = table.sum?.() ?? sumOf(await table.all());
    if (sum !== expected) throw new Error(`the sum was ${sum} and not ${expected}`);
  };
  const rate = await pace(pass, given(step, "time"), 1);
  return figure(step, rate * megabytes);
}

async function batches(context: Context, step: Step): ReturnType<Operation> {
  const table = await warmed(context, step);
  if (table === undefined) return undefined;
  const [rows, count] = [given(step, "rows"), given(step, "count")];
  let sum = 0;
  const pass = async (): Promise<void> => {
    for (let at = 0; at + count <= rows; at += count) sum += (await table.slice(at, at + count))[0] ?? 0;
  };
  const rate = await pace(pass, given(step, "time"), 1);
  if (Number.isNaN(sum)) throw new Error("a batch had no values");
  return figure(step, rate * Math.floor(rows / count));
}
