/** Of many processes that ask for one missing value, one computes it; when that one is killed, another does. */

import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { setTimeout as pause } from "node:timers/promises";
import { afterEach, beforeAll, beforeEach, expect, test } from "vitest";
import { Cache } from "../../src/index.ts";
import { Random } from "../../src/testing/store/random.ts";
import { type Process, Programs, torture } from "./harness.ts";

const PROCESSES = torture ? 100 : 10;
/** Those that are killed one after the other are replaced. */
const HUNTED = 6;
const KILLS = torture ? 100 : 5;
const SEED = Number(process.env["TEST_SEED"] ?? Date.now() % 1_000_000);
/** Far beyond what an event loop that never waits for a lock is late, on a machine with more processes than cores. */
const LATE_MS = 500;

let programs: Programs;
let root: string;
let processes: Process[];

beforeAll(() => {
  programs = new Programs();
});

beforeEach(async () => {
  processes = [];
  root = mkdtempSync(join(tmpdir(), "quiver-flight-"));
  await (await Cache.open(root)).close();
});

afterEach(async () => {
  await Promise.all(processes.map((one) => one.kill()));
  rmSync(root, { recursive: true, force: true });
});

/** Starts so many, each with the cache open. */
async function start(count: number, takes: number): Promise<Process[]> {
  const started = Array.from({ length: count }, () => programs.start("compute", { root, takes }));
  processes.push(...started);
  await Promise.all(started.map((one) => one.message("ready")));
  return started;
}

function ask(key: string, among: readonly Process[]): void {
  for (const one of among) one.send({ kind: "ask", key });
}

/** Those that have computed the key, dead or alive. */
function computing(key: string): Process[] {
  return processes.filter((one) => one.messages.some(({ kind }) => kind === `computing ${key}`));
}

async function firstComputing(key: string, among: readonly Process[]): Promise<Process> {
  return Promise.any(among.map(async (one) => (await one.message(`computing ${key}`)) && one));
}

test(`${PROCESSES} processes that miss one key compute it once`, async () => {
  const asking = await start(PROCESSES, 500);
  ask("plan", asking);
  const answers = await Promise.all(asking.map((one) => one.message("got plan")));
  const [first, ...others] = computing("plan");
  expect(others).toEqual([]);
  expect(new Set(answers.map(({ pid }) => pid))).toEqual(new Set([first?.pid]));
  if (!torture) for (const { delay } of answers) expect(delay).toBeLessThan(LATE_MS);
  await Promise.all(asking.map((one) => one.stop()));
});

test(`each of ${KILLS} times that the one that computes is killed, exactly one of the waiting takes over`, async () => {
  const random = new Random(SEED);
  // Long enough that a process on a busy machine is killed before it has ended.
  const takes = 1_500;
  const alive = new Set(await start(HUNTED, takes));
  const taken: number[] = [];
  for (let round = 0; round < KILLS; round++) {
    const key = `plan ${round}`;
    ask(key, [...alive]);
    const killed = await firstComputing(key, [...alive]);
    await pause(random.below(400));
    await killed.kill();
    const at = Date.now();
    alive.delete(killed);
    const successor = await firstComputing(key, [...alive]);
    taken.push(Number((await successor.message(`computing ${key}`))["at"]) - at);
    const answers = await Promise.all([...alive].map((one) => one.message(`got ${key}`)));
    expect(computing(key), `seed ${SEED}`).toHaveLength(2);
    expect(new Set(answers.map(({ pid }) => pid))).toEqual(new Set([successor.pid]));
    for (const one of await start(1, takes)) alive.add(one);
  }
  taken.sort((left, right) => left - right);
  console.log(`taken over after ${taken[taken.length >> 1]} ms in the median, ${taken.at(-1)} ms at most`);
});

test("a computation that is stopped, not killed, is overtaken, and its late value is dropped", async () => {
  const asking = await start(HUNTED, 1_000);
  ask("plan", asking);
  const hung = await firstComputing("plan", asking);
  hung.signal("SIGSTOP");
  const at = Date.now();
  const others = asking.filter((one) => one !== hung);
  const successor = await firstComputing("plan", others);
  console.log(`overtaken ${Date.now() - at} ms after it was stopped`);
  const answers = await Promise.all(others.map((one) => one.message("got plan")));
  expect(new Set(answers.map(({ pid }) => pid))).toEqual(new Set([successor.pid]));
  hung.signal("SIGCONT");
  await hung.message("got plan");
  await using cache = await Cache.open(root);
  expect(await cache.namespace("results").get("plan")).toEqual({ pid: successor.pid });
});
