/** A process that is stopped while it writes: the others read on, and write on once it is continued or killed. */

import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { setTimeout as pause } from "node:timers/promises";
import { afterEach, beforeAll, beforeEach, expect, test } from "vitest";
import { Cache } from "../../src/index.ts";
import { Random } from "../../src/testing/store/random.ts";
import { type Message, type Process, Programs, torture } from "./harness.ts";
import { checkValue } from "./values.ts";

const STOPS = torture ? 300 : 15;
/** How long the process is stopped each time, ms: far less than writers wait for each other. */
const STOPPED = 200;

let programs: Programs;
let root: string;

beforeAll(() => {
  programs = new Programs();
});

beforeEach(() => {
  root = mkdtempSync(join(tmpdir(), "quiver-stopped-"));
});

afterEach(() => rmSync(root, { recursive: true, force: true }));

async function startBoth(): Promise<readonly [Process, Process]> {
  await (await Cache.open(root)).close();
  const both = [1, 2].map((number) => programs.start("steady", { root, number, processes: 2 }));
  await Promise.all(both.map((one) => one.message("ready")));
  return both as [Process, Process];
}

function last(one: Process): Message {
  return one.messages.at(-1) as Message;
}

async function checkAll(): Promise<void> {
  await using cache = await Cache.open(root);
  const values = cache.namespace<Uint8Array>("values");
  for await (const key of values.keys()) checkValue(key, (await values.get(key)) as Uint8Array);
}

test("others read on whenever it is stopped, and no write fails once it is continued", async () => {
  const [holder, other] = await startBoth();
  const random = new Random(Date.now());
  let blocked = 0;
  for (let stop = 0; stop < STOPS; stop++) {
    await pause(random.below(60));
    const before = last(other);
    holder.signal("SIGSTOP");
    await pause(STOPPED);
    const after = last(other);
    expect(Number(after["read"]), "reads while the holder is stopped").toBeGreaterThan(
      Number(before["read"] ?? 0),
    );
    if (after["written"] === before["written"]) blocked++;
    holder.signal("SIGCONT");
  }
  const reports: Message[] = [];
  for (const one of [holder, other]) one.send({ kind: "stop" });
  for (const one of [holder, other]) {
    reports.push(await one.message("done"));
    await one.ended;
    expect(one.errors).toBe("");
  }
  expect(reports.map((report) => report["codes"])).toEqual([[], []]);
  await checkAll();
  console.log(
    `stopped ${STOPS} times, ${blocked} times with the lock; slowest read ${reports[1]?.["slowestRead"]} ms`,
  );
});

test("one that is killed while it is stopped leaves nothing locked", async () => {
  const [holder, other] = await startBoth();
  for (let stop = 0; stop < 20; stop++) {
    holder.signal("SIGSTOP");
    await pause(120);
    const before = last(other)["written"];
    await pause(120);
    if (last(other)["written"] === before) break;
    holder.signal("SIGCONT");
    await pause(stop * 3);
  }
  await holder.kill();
  const before = Number(last(other)["written"]);
  await pause(1_000);
  expect(Number(last(other)["written"])).toBeGreaterThan(before);
  await other.stop();
  await checkAll();
});
