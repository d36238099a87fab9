/**
 * Two containers on one volume: processes that don't see each other and have the same number. Needs the right to make
 * namespaces.
 */

import { spawnSync } from "node:child_process";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { setTimeout as pause } from "node:timers/promises";
import { afterEach, beforeEach, describe, expect, test } from "vitest";
import { Cache } from "../../src/index.ts";
import { type Process, Programs } from "./harness.ts";
import { checkValue } from "./values.ts";

const CONTAINER = ["unshare", "--pid", "--fork", "--mount-proc", "--kill-child"];
const [command = "", ...rest] = [...CONTAINER, "true"];
const possible = spawnSync(command, rest).status === 0;

describe.skipIf(!possible)("two processes of one number in two PID namespaces", () => {
  let root: string;

  beforeEach(() => {
    root = mkdtempSync(join(tmpdir(), "quiver-containers-"));
  });

  afterEach(() => rmSync(root, { recursive: true, force: true }));

  async function startBoth(): Promise<readonly [Process, Process]> {
    await (await Cache.open(root)).close();
    const programs = new Programs();
    const both = [1, 2].map((number) => programs.start("steady", { root, number, processes: 2 }, CONTAINER));
    const pids = await Promise.all(both.map(async (one) => (await one.message("ready"))["pid"]));
    expect(pids[0]).toBe(pids[1]);
    return both as [Process, Process];
  }

  async function written(one: Process): Promise<number> {
    const before = one.messages.length;
    while (one.messages.length < before + 2) await pause(20);
    return Number(one.messages.at(-1)?.["written"]);
  }

  async function readAll(): Promise<number> {
    await using cache = await Cache.open(root);
    const values = cache.namespace<Uint8Array>("values");
    let count = 0;
    for await (const key of values.keys()) {
      checkValue(key, (await values.get(key)) as Uint8Array);
      count++;
    }
    return count;
  }

  test("write and read at the same time, and both end well", async () => {
    const both = await startBoth();
    await pause(1_000);
    for (const one of both) one.send({ kind: "stop" });
    for (const one of both) {
      const report = await one.message("done");
      expect(report["codes"]).toEqual([]);
      expect(Number(report["written"])).toBeGreaterThan(0);
      expect(Number(report["read"])).toBeGreaterThan(0);
      await one.ended;
      expect(one.errors).toBe("");
    }
    expect(await readAll()).toBeGreaterThan(0);
  });

  test("one is killed, again and again; the other goes on", async () => {
    const [survivor, first] = await startBoth();
    let victim = first;
    const programs = new Programs();
    for (let kill = 0; kill < 5; kill++) {
      await pause(100 + kill * 37);
      await victim.kill();
      const before = await written(survivor);
      expect(await written(survivor)).toBeGreaterThan(before);
      victim = programs.start("steady", { root, number: 2, processes: 2 }, CONTAINER);
      await victim.message("ready");
    }
    await victim.kill();
    survivor.send({ kind: "stop" });
    const report = await survivor.message("done");
    expect(report["codes"]).toEqual([]);
    await survivor.ended;
    expect(survivor.errors).toBe("");
    expect(await readAll()).toBeGreaterThan(0);
  });
});
