/** Of ten processes that ask for one missing value, one computes it; when that one is killed, another does. */

import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { setTimeout as pause } from "node:timers/promises";
import { afterEach, beforeAll, beforeEach, expect, test } from "vitest";
import { Cache } from "../../src/index.ts";
import { type Process, Programs } from "./harness.ts";

const PROCESSES = 10;
/** Far beyond what an event loop that never waits for a lock is late, on a machine with more processes than cores. */
const LATE_MS = 500;

let programs: Programs;
let root: string;
let processes: Process[];

beforeAll(() => {
  programs = new Programs();
});

beforeEach(() => {
  root = mkdtempSync(join(tmpdir(), "quiver-flight-"));
});

afterEach(async () => {
  await Promise.all(processes.map((one) => one.kill()));
  rmSync(root, { recursive: true, force: true });
});

/** Starts all, and lets them ask at the same time once each has the cache open. */
async function askAll(takes: number): Promise<void> {
  await (await Cache.open(root)).close();
  processes = Array.from({ length: PROCESSES }, () =>
    programs.start("compute", { root, key: "plan", takes }),
  );
  await Promise.all(processes.map((one) => one.message("ready")));
  for (const one of processes) one.send({ kind: "ask" });
}

function computing(): Process[] {
  return processes.filter((one) => one.messages.some(({ kind }) => kind === "computing"));
}

async function firstComputing(among: readonly Process[]): Promise<Process> {
  return Promise.any(among.map(async (one) => (await one.message("computing")) && one));
}

test("ten processes that miss one key compute it once", async () => {
  await askAll(500);
  const answers = await Promise.all(processes.map((one) => one.message("got")));
  const [first, ...others] = computing();
  expect(others).toEqual([]);
  expect(new Set(answers.map(({ pid }) => pid))).toEqual(new Set([first?.pid]));
  for (const { delay } of answers) expect(delay).toBeLessThan(LATE_MS);
  await Promise.all(processes.map((one) => one.stop()));
});

test("when the one that computes is killed, exactly one of the waiting takes over", async () => {
  await askAll(1_000);
  const killed = await firstComputing(processes);
  await pause(300);
  await killed.kill();
  const at = Date.now();
  const others = processes.filter((one) => one !== killed);
  const successor = await firstComputing(others);
  const took = Number((await successor.message("computing"))["at"]) - at;
  const answers = await Promise.all(others.map((one) => one.message("got")));
  expect(computing()).toHaveLength(2);
  expect(new Set(answers.map(({ pid }) => pid))).toEqual(new Set([successor.pid]));
  const slowest = Math.max(...answers.map(({ delay }) => Number(delay)));
  expect(slowest).toBeLessThan(LATE_MS);
  console.log(`taken over after ${took} ms; event loops were late by ${slowest.toFixed(0)} ms at most`);
});

test("a computation that is stopped, not killed, is overtaken, and its late value is dropped", async () => {
  await askAll(1_000);
  const hung = await firstComputing(processes);
  hung.signal("SIGSTOP");
  const others = processes.filter((one) => one !== hung);
  const successor = await firstComputing(others);
  const answers = await Promise.all(others.map((one) => one.message("got")));
  expect(new Set(answers.map(({ pid }) => pid))).toEqual(new Set([successor.pid]));
  hung.signal("SIGCONT");
  await hung.message("got");
  await using cache = await Cache.open(root);
  expect(await cache.namespace("results").get("plan")).toEqual({ pid: successor.pid });
});
