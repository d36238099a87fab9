/** Large values: how many a process has mapped, and that no way of letting them go empties or breaks anything. */

import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { Cache, Tensor } from "../../src/index.ts";
import { Programs, torture } from "./harness.ts";
import type { MappingsInput, MappingsReport } from "./programs/mappings.ts";

/** Just above what is read and not mapped. */
const LENGTH = 65_537;

/** The kernel allows 65,530 mappings, the cache 16,384 by default. */
const count = torture ? 66_000 : 600;
const bounds = torture
  ? { maxMappings: 16_384, maxCopies: 1024 ** 3 }
  : { maxMappings: 64, maxCopies: 100 * LENGTH };

let root: string;
let programs: Programs;

beforeAll(async () => {
  root = mkdtempSync(join(tmpdir(), "quiver-mappings-"));
  programs = new Programs();
  await using cache = await Cache.open(root, { durability: "process", memoryLimit: 0 });
  const values = cache.namespace("values", { codec: "npy" });
  await values.set("small", new Tensor(new Float32Array(1000).fill(4)));
  for (let start = 0; start < count; start += 200) {
    const numbers = Array.from({ length: Math.min(200, count - start) }, (_, i) => start + i);
    await values.setMany(
      numbers.map((n) => [`v${n}`, new Tensor(new Float32Array(LENGTH / 4 + 1).fill(n))] as const),
    );
  }
});

afterAll(() => rmSync(root, { recursive: true, force: true }));

interface Reports {
  readonly dropped: MappingsReport;
  readonly refused: MappingsReport;
  readonly again: MappingsReport;
  readonly left: number;
}

async function run(program: string): Promise<Reports> {
  const input: MappingsInput = { root, count, ...bounds };
  const child = programs.start(program, input);
  const report = await child.message("report");
  expect(await child.ended).toEqual({ code: 0, signal: null });
  return report as unknown as Reports;
}

describe("more large values than may be mapped", () => {
  test("are all read where none is kept; what is kept ends in a typed error, and dropping it in order", async () => {
    const { dropped, refused, again, left } = await run("mappings");
    expect(dropped).toMatchObject({ read: count, code: null });
    expect(refused.code).toBe("ERR_QUIVER_TOO_MANY_MAPPINGS");
    expect(refused.read).toBeGreaterThanOrEqual(bounds.maxMappings);
    expect(again).toMatchObject({ read: count, code: null });
    for (const { mappings } of [dropped, refused, again])
      expect(mappings).toBeLessThanOrEqual(bounds.maxMappings);
    expect(left).toBe(0);
  });

  test("in several threads together stay within the bounds of the process", async () => {
    const child = programs.start("mappings-threads", { root, count: Math.min(count, 20_000), ...bounds });
    const { reports, left } = (await child.message("report")) as unknown as {
      reports: Reports[];
      left: number;
    };
    expect(await child.ended).toEqual({ code: 0, signal: null });
    for (const { dropped, refused, again } of reports) {
      for (const { mappings, code } of [dropped, refused, again]) {
        expect(mappings).toBeLessThanOrEqual(bounds.maxMappings);
        expect([null, "ERR_QUIVER_TOO_MANY_MAPPINGS"]).toContain(code);
      }
    }
    expect(left).toBe(0);
  });

  test("survive workers that end, close and are terminated, and attempts to transfer them", async () => {
    const child = programs.start("mappings-lives", { root, count, ...bounds });
    const { left } = await child.message("report");
    expect(await child.ended).toEqual({ code: 0, signal: null });
    expect(left).toBe(0);
  });
});
