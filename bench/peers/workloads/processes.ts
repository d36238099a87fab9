/** Four processes read and write one store at the same time; afterwards nothing may be lost or torn. */

import { spawn } from "node:child_process";
import { once } from "node:events";
import { createInterface } from "node:readline";
import { fileURLToPath } from "node:url";
import type { Answer, Blobs, Durability, Job, Step } from "../contract.ts";
import { blobsOf, type Context, figure, given, type Operation, placeOf, type Workload } from "../workload.ts";

const WORKERS = 4;
const KEYS = 4_000;
const SIZE = 1_000;

export const processes: Workload = {
  name: "processes",
  title: "Four processes on one store",
  notes: [
    "4,000 values of 1 KB, read and overwritten at random; the figure is the sum of what the four did. Every value carries a checksum and is compared with it; at the end each process looks for the last value that it wrote to each of its keys.",
    "`classic-level` lets one process in; the other three count as wrong.",
    "Reads are awaited one at a time, writes as well. *wrong* counts reads that were torn, errors, and acknowledged writes that are gone.",
  ],
  peers: [
    "quiver",
    "quiver, files",
    "lmdb",
    "better-sqlite3",
    "classic-level",
    "cacache",
    "keyv, sqlite",
    "unstorage, fs",
    "fs",
  ],
  main: ["quiver", "lmdb", "better-sqlite3"],
  prepare: () => [
    [
      { op: "fill", durability: "process" },
      { op: "fill", durability: "full" },
    ],
  ],
  round: (scale) => [
    (["process", "full"] as const).flatMap((durability) =>
      ([0.05, 0.5] as const).map(
        (writes): Step => ({
          op: "mix",
          durability,
          writes,
          // Long enough that compiling the loop is not what is measured.
          time: scale.time * 50,
          place: {
            table: durability === "full" ? "durable writes" : "writes that are not synced",
            column: writes === 0.05 ? "95 % reads" : "50 % reads",
            unit: "/s",
          },
        }),
      ),
    ),
  ],
  operations: { fill, mix, part },
};

/** A value that says whether it is whole: a counter, its owner, and a sum over the rest. */
function wholeValue(owner: number, turn: number): Buffer {
  const value = Buffer.alloc(SIZE, (owner * 31 + turn) & 255);
  value.writeUInt32LE(turn, 0);
  value.writeUInt32LE(owner, 4);
  value.writeUInt32LE(sumOf(value), 8);
  return value;
}

function sumOf(value: Uint8Array): number {
  let sum = 0;
  for (let index = 12; index < value.length; index++) sum = (sum * 31 + (value[index] as number)) >>> 0;
  return (sum ^ (value[0] as number) ^ (value[4] as number)) >>> 0;
}

function isWhole(value: Uint8Array | undefined): boolean {
  if (value === undefined || value.byteLength !== SIZE) return false;
  const buffer = Buffer.from(value.buffer, value.byteOffset, value.byteLength);
  return buffer.readUInt32LE(8) === sumOf(buffer);
}

const keyAt = (index: number): string => `shared-${index}`;

async function fill(context: Context, step: Step): ReturnType<Operation> {
  const blobs = await blobsOf(context, given(step, "durability"));
  if (blobs === undefined) return undefined;
  const entries = Array.from(
    { length: KEYS },
    (_, index) => [keyAt(index), wholeValue(index % WORKERS, 0)] as const,
  );
  for (let at = 0; at < KEYS; at += 500) await blobs.setMany(entries.slice(at, at + 500));
  return undefined;
}

/** Starts the four, lets them begin together, and adds up what they did. */
async function mix(context: Context, step: Step): ReturnType<Operation> {
  if (context.peer.durability[given(step, "durability")] === undefined) return undefined;
  const parts = Array.from({ length: WORKERS }, (_, owner) =>
    startPart(context, { ...step, op: "part", count: owner }),
  );
  await Promise.all(parts.map(({ ready }) => ready));
  for (const { begin } of parts) begin();
  const figures = (await Promise.all(parts.map(({ answer }) => answer))).flatMap((answer) => answer.figures);
  const totalOf = (unit: string): number =>
    figures.filter((one) => one.unit === unit).reduce((sum, { value }) => sum + value, 0);
  const { column } = placeOf(step);
  return {
    figures: [
      ...(figure(step, totalOf("/s")).figures ?? []),
      ...(figure(step, totalOf("wrong"), { column: `${column}: went`, unit: "wrong" }).figures ?? []),
    ],
  };
}

function startPart({ peer, folder, round }: Context, step: Step) {
  const program = fileURLToPath(new URL("../worker.js", import.meta.url));
  const job: Job = { workload: "processes", peer: peer.name, folder, round, steps: [step] };
  const child = spawn(process.execPath, [program, JSON.stringify(job)], {
    stdio: ["pipe", "pipe", "ignore"],
  });
  const lines = createInterface(child.stdout);
  let last = "";
  let isReady = (): void => undefined;
  const ready = new Promise<void>((resolve) => {
    isReady = resolve;
  });
  lines.on("line", (line) => {
    last = line;
    if (line === "ready") isReady();
  });
  const answer = once(child, "close").then(() => {
    isReady();
    // A process that ended without an answer counts as one thing that went wrong.
    if (last.startsWith("{")) return JSON.parse(last) as Answer;
    return { figures: [{ ...placeOf(step), unit: "wrong", value: 1 }] } as const;
  });
  return { ready, answer, begin: () => child.stdin.end("begin\n") };
}

/** One of the four. It alone writes the keys whose number leaves the rest `count`. */
async function part(context: Context, step: Step): ReturnType<Operation> {
  const owner = given(step, "count");
  const blobs = await blobsOf(context, given(step, "durability") as Durability);
  if (blobs === undefined) return undefined;
  console.log("ready");
  await once(process.stdin, "data");
  const { rate, wrong } = await readAndWrite(blobs, owner, given(step, "writes"), given(step, "time"));
  return {
    figures: [
      ...(figure(step, rate).figures ?? []),
      ...(figure(step, wrong, { unit: "wrong" }).figures ?? []),
    ],
  };
}

async function readAndWrite(
  blobs: Blobs,
  owner: number,
  writes: number,
  time: number,
): Promise<{ rate: number; wrong: number }> {
  const written = new Map<string, number>();
  let wrong = 0;
  let turn = 0;
  let seed = owner + 1;
  const random = (): number => {
    seed = (Math.imul(seed, 1_664_525) + 1_013_904_223) >>> 0;
    return seed / 2 ** 32;
  };
  const start = performance.now();
  while (performance.now() - start < time) {
    turn++;
    try {
      if (random() < writes) {
        const key = keyAt(Math.floor((random() * KEYS) / WORKERS) * WORKERS + owner);
        await blobs.set(key, wholeValue(owner, turn));
        written.set(key, turn);
      } else if (!isWhole(await blobs.get(keyAt(Math.floor(random() * KEYS))))) wrong++;
    } catch {
      wrong++;
    }
  }
  const rate = (turn * 1000) / (performance.now() - start);
  for (const [key, expected] of written) {
    const value = await blobs.get(key);
    if (!isWhole(value) || Buffer.from(value ?? []).readUInt32LE(0) !== expected) wrong++;
  }
  return { rate, wrong };
}
