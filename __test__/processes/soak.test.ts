/**
 * A cache that is full and in use without pause, by processes of which some are killed: what they hold of the system does
 * not grow, and nothing stays behind.
 */

import { mkdtempSync, readdirSync, readFileSync, readlinkSync, rmSync, statSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { setTimeout as pause } from "node:timers/promises";
import { afterAll, beforeAll, expect, test } from "vitest";
import { Cache } from "../../src/index.ts";
import { allocatedIn } from "./disk-usage.ts";
import { type Process, Programs, torture } from "./harness.ts";
import type { SoakMemory } from "./programs/soak.ts";

const MEBIBYTE = 1024 * 1024;
const LIMIT = 64 * MEBIBYTE;
const SECONDS = torture ? Number(process.env["QUIVER_SOAK_SECONDS"] ?? 1200) : 8;
const SAMPLE_MS = torture ? 5_000 : 500;
/** Two work from the beginning to the end and are watched, another one is killed and replaced. */
const STEADY = 2;
const CHURN_MS = torture ? 4_000 : 2_500;

const folder = mkdtempSync(join(tmpdir(), "quiver-soak-"));
const root = join(folder, "cache");
let programs: Programs;

beforeAll(() => {
  programs = new Programs();
});

afterAll(() => rmSync(folder, { recursive: true, force: true }));

/** What one process holds of the system. */
interface Held {
  readonly descriptors: number;
  readonly mappings: number;
}

function heldBy(pid: number): Held {
  const descriptors = readdirSync(`/proc/${pid}/fd`).filter((fd) => linkOf(pid, fd).startsWith(root));
  return {
    descriptors: descriptors.length,
    mappings: readFileSync(`/proc/${pid}/maps`, "utf8").split(`${root}/`).length - 1,
  };
}

function linkOf(pid: number, fd: string): string {
  try {
    return readlinkSync(`/proc/${pid}/fd/${fd}`);
  } catch {
    return "";
  }
}

/** What lies in the cache besides its entries. */
function leftovers(): { temporary: number; trash: number; marks: number; locks: number } {
  const count = (name: string): number =>
    readdirSync(join(root, ".quiver", name), { recursive: true }).length;
  const marks = readdirSync(join(root, ".quiver", "locks")).filter((name) => name.startsWith("p-")).length;
  return { temporary: count("tmp"), trash: count("trash"), marks, locks: locksHeld() };
}

/** Locks on files of the cache, by all processes. */
function locksHeld(): number {
  const files = readdirSync(join(root, ".quiver", "locks")).map((name) =>
    String(statSync(join(root, ".quiver", "locks", name)).ino),
  );
  const lines = readFileSync("/proc/locks", "utf8").trimEnd().split("\n");
  return lines.filter((line) => files.some((inode) => line.includes(`:${inode} `))).length;
}

function start(seed: number): Process {
  return programs.start("soak", { root, seed });
}

/** Kills and replaces one process until told to stop. */
async function churn(until: () => boolean): Promise<number> {
  let killed = 0;
  while (!until()) {
    const victim = start(1000 + killed);
    await victim.message("ready");
    await pause(CHURN_MS * Math.random());
    await victim.kill();
    killed++;
  }
  return killed;
}

function median(numbers: readonly number[]): number {
  return [...numbers].sort((left, right) => left - right)[numbers.length >> 1] ?? 0;
}

test(`in ${SECONDS} s nothing grows, and nothing is left`, async () => {
  await (await Cache.open(root, { maxSize: LIMIT, durability: "process" })).close();
  const steady = Array.from({ length: STEADY }, (_, index) => start(index));
  await Promise.all(steady.map((one) => one.message("ready")));
  const samples: (Held & { readonly disk: number; readonly temporary: number; readonly locks: number })[] =
    [];
  const end = Date.now() + SECONDS * 1000;
  const killing = churn(() => Date.now() >= end);
  while (Date.now() < end) {
    await pause(SAMPLE_MS);
    const { temporary, locks } = leftovers();
    for (const one of steady) {
      await one.checkRunning();
      samples.push({ ...heldBy(one.pid), disk: allocatedIn(root), temporary, locks });
    }
  }
  const killed = await killing;
  for (const one of steady) one.send({ kind: "stop" });
  const done = await Promise.all(steady.map((one) => one.message("done")));
  for (const one of steady) expect(await one.ended, one.errors).toEqual({ code: 0, signal: null });

  const memory = steady
    .flatMap(({ messages }) => messages.filter(({ kind }) => kind === "memory") as unknown as SoakMemory[])
    .sort((left, right) => left.at - right.at);
  const told: string[] = [];
  const growth = (name: string, values: readonly number[]): { early: number; late: number } => {
    const part = (from: number, to: number): number =>
      median(values.slice(Math.floor(values.length * from), Math.ceil(values.length * to)));
    const quarters = [0, 0.25, 0.5, 0.75].map((from) => part(from, from + 0.25));
    told.push(`${name} ${quarters.join(", ")}`);
    return { early: quarters[1] ?? 0, late: quarters[3] ?? 0 };
  };
  const heap = growth(
    "heap",
    memory.map((sample) => sample.heap),
  );
  const anonymous = growth(
    "anonymous",
    memory.map((sample) => sample.anonymous),
  );
  const counted = (name: keyof (typeof samples)[number]): { early: number; late: number } =>
    growth(
      name,
      samples.map((sample) => sample[name]),
    );
  const [descriptors, mappings, disk] = [counted("descriptors"), counted("mappings"), counted("disk")];
  const [temporary, locks] = [counted("temporary"), counted("locks")];
  const operations = done.reduce((sum, report) => sum + Number(report["operations"]), 0);
  console.log(
    `${operations} operations, ${killed} processes killed; medians of the quarters: ${told.join("; ")}`,
  );
  // In the short form memory is still being filled; what is counted is bounded all the same.
  if (torture) {
    expect(heap.late).toBeLessThan(heap.early * 1.1 + 2 * MEBIBYTE);
    expect(anonymous.late).toBeLessThan(anonymous.early * 1.15 + 8 * MEBIBYTE);
  }
  expect(descriptors.late).toBeLessThanOrEqual(descriptors.early * 1.5 + 20);
  expect(mappings.late).toBeLessThanOrEqual(mappings.early * 2 + 100);
  expect(disk.late).toBeLessThan(LIMIT * 1.5);
  expect(temporary.late).toBeLessThanOrEqual(temporary.early + 50);
  expect(locks.late).toBeLessThanOrEqual(locks.early + 20);

  // The next open sweeps after those that were killed.
  await (await Cache.open(root)).close();
  expect(leftovers()).toEqual({ temporary: 0, trash: 0, marks: 0, locks: 0 });
});
