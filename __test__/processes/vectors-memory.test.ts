/** Vector caches larger than memory: read through mappings, made batch by batch. */

import { existsSync, mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { Programs, torture } from "./harness.ts";
import { MemoryLimit } from "./memory-limit.ts";
import type { GrowInput } from "./programs/vectors-grow.ts";
import type { LargeInput } from "./programs/vectors-large.ts";
import { makeSparse } from "./sparse-cache.ts";

const MIB = 1024 * 1024;
const DIMENSION = 384;
const ROW = DIMENSION * 4;
/** Bytes of the cache that is read, and what its reader may have in memory of its own. */
const [SIZE, LIMIT] = torture ? [5 * 1024 * MIB, 512 * MIB] : [4.5 * 1024 * MIB, 256 * MIB];
const ROUNDS = torture ? 100 : 5;
const ROWS = Math.ceil(SIZE / ROW / 9) * 9;

/** In which the reader gets no more than that, pages of files included. */
const group = MemoryLimit.of(LIMIT);

let root: string;
let programs: Programs;

beforeAll(() => {
  root = mkdtempSync(join(tmpdir(), "quiver-vectors-memory-"));
  programs = new Programs();
});

afterAll(() => {
  group?.remove();
  rmSync(root, { recursive: true, force: true });
});

async function reportOf(
  program: string,
  input: unknown,
  limit?: MemoryLimit,
): Promise<Readonly<Record<string, unknown>>> {
  const child = programs.start(program, input, limit?.prefix);
  const report = await child.message("report");
  expect(await child.ended).toEqual({ code: 0, signal: null });
  return report;
}

describe.skipIf(!existsSync("/proc/self/smaps_rollup"))("memory", () => {
  /** Reads a cache of so many files, limited where there is a group. */
  async function readCache(files: number, limit?: MemoryLimit): Promise<void> {
    const cache = await makeSparse(root, DIMENSION, files, ROWS / files);
    const beyond = Math.ceil((4 * 1024 * MIB) / ROW);
    const marked = [0, 1, ROWS / 9 - 1, ROWS / 9, beyond - 1, beyond, beyond + 1, ROWS - 1];
    for (const row of marked) cache.mark(row, row + 1);
    const input: LargeInput = { path: cache.path, seed: 1, rounds: ROUNDS, marked };
    const { rows, wrong, views, anonymous, all } = await reportOf("vectors-large", input, limit);
    expect({ rows, wrong }).toEqual({ rows: ROWS, wrong: 0 });
    expect(views).toBeGreaterThan(10 * ROUNDS);
    expect(anonymous).toBeLessThan(LIMIT);
    // One tensor of all: on this Node more than an array buffer holds, and the error says how much that is.
    expect(all).toMatch(/^view true$|^ERR_QUIVER_TOO_LARGE: .* \d+ bytes at most/);
    rmSync(cache.path, { recursive: true });
  }

  // Beyond 4 GiB: in several files, and in one that is longer than an array buffer of Node 20.
  test.each([9, 1])("a cache of several GiB in %i files is read in little memory", (files) =>
    readCache(files),
  );

  test.skipIf(group === undefined).each([9, 1])(
    "a cache of several GiB in %i files is read by a process that gets little memory",
    (files) => readCache(files, group),
  );

  test.skipIf(group === undefined)("a process that wants more than it gets is ended", async () => {
    const child = programs.start("hog", { bytes: 2 * LIMIT }, group?.prefix);
    expect((await child.ended).signal).toBe("SIGKILL");
  });

  test("making a cache takes as much memory for many texts as for few", async () => {
    const dimension = 32;
    const growth = async (texts: number): Promise<number> => {
      const input: GrowInput = { root, name: `grown-${texts}`, texts, dimension };
      return (await reportOf("vectors-grow", input))["growth"] as number;
    };
    const few = await growth(10_000);
    const many = await growth(torture ? 1_000_000 : 100_000);
    expect(many - few).toBeLessThan(64 * MIB);
  });
});
