/** That loading a large tensor copies nothing, measured by what the system says of the process's memory. */

import { constants } from "node:buffer";
import {
  closeSync,
  existsSync,
  mkdtempSync,
  openSync,
  readSync,
  rmSync,
  statSync,
  truncateSync,
  writeFileSync,
} from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { Cache, Tensor } from "../../src/index.ts";
import { npyHeader } from "../../src/native/tensor.ts";
import { Programs, torture } from "./harness.ts";
import type { ZeroCopyInput, ZeroCopyReport } from "./programs/zero-copy.ts";

const MIB = 1024 * 1024;
const COLUMNS = 1024;
const ROWS = 128 * 1024;

describe.skipIf(!existsSync("/proc/self/smaps_rollup"))("a stored tensor of 1 GiB", () => {
  let root: string;
  let programs: Programs;

  beforeAll(async () => {
    root = mkdtempSync(join(tmpdir(), "quiver-zero-copy-"));
    programs = new Programs();
    await using cache = await Cache.open(root, {
      durability: "process",
      namespaces: { tensors: { layout: "named", codec: "npy" } },
    });
    const tensors = cache.namespace("tensors");
    await tensors.set("small", new Tensor(new Float64Array(8192 * COLUMNS), [8192, COLUMNS]));
    await tensors.set("big", new Tensor(new Float64Array(ROWS * COLUMNS), [ROWS, COLUMNS]));
  });

  afterAll(() => rmSync(root, { recursive: true, force: true }));

  async function run(): Promise<ZeroCopyReport> {
    const input: ZeroCopyInput = { root, rows: ROWS, columns: COLUMNS };
    const child = programs.start("zero-copy", input);
    const report = await child.message("report");
    expect(await child.ended).toEqual({ code: 0, signal: null });
    return report as unknown as ZeroCopyReport;
  }

  test("costs less than 1 MiB to load, slice and check, and page cache alone to read", async () => {
    const { loaded, sliced, checked, read } = await run();
    for (const { resident, private: own } of [loaded, sliced]) {
      expect(resident).toBeLessThan(MIB);
      expect(own).toBeLessThan(MIB);
    }
    expect(checked.anonymous).toBeLessThan(MIB);
    expect(read.anonymous).toBeLessThan(MIB);
    // The measure itself: what is really read is seen.
    expect(read.resident).toBeGreaterThan(1000 * MIB);
  });

  test("keeps what a process writes into its view from the file and from all others", async () => {
    await run();
    const file = openSync(join(root, "tensors", "big.npy"), "r");
    const start = Buffer.alloc(4096);
    readSync(file, start, 0, start.length, 0);
    closeSync(file);
    expect(start.subarray(128).every((byte) => byte === 0)).toBe(true);
    await using cache = await Cache.open(root);
    expect(((await cache.namespace("tensors").get("big")) as Tensor).at(0, 3)).toBe(0);
  });
});

describe("a tensor beyond 4 GiB", () => {
  const LENGTH = 5 * 1024 ** 3;
  /** Of wider elements than bytes there are longer arrays, with any Node. */
  const values = (): Float64Array => new Float64Array(LENGTH / 8);
  const root = mkdtempSync(join(tmpdir(), "quiver-beyond-"));
  afterAll(() => rmSync(root, { recursive: true, force: true }));

  test.skipIf(constants.MAX_LENGTH >= LENGTH)(
    "is refused where Node has no array for its bytes",
    async () => {
      await using cache = await Cache.open(root, { durability: "process" });
      const limit = expect.stringContaining(`${constants.MAX_LENGTH} bytes at most`);
      const refusal = { code: "ERR_QUIVER_TOO_LARGE", hint: limit };
      const set = cache.namespace("tensors").set("huge", new Tensor(values(), [LENGTH / 8192, 1024]));
      await expect(set).rejects.toMatchObject(refusal);
      const file = join(root, "huge.npy");
      writeFileSync(file, npyHeader("float64", [LENGTH / 8], false));
      truncateSync(file, statSync(file).size + LENGTH);
      await expect(Tensor.open(file)).rejects.toMatchObject(refusal);
    },
  );

  test.skipIf(constants.MAX_LENGTH < LENGTH || !torture)(
    "is mapped, sliced and read to its end",
    async () => {
      {
        await using cache = await Cache.open(root, { durability: "process" });
        const huge = values();
        huge[huge.length - 1] = 7;
        await cache.namespace("tensors").set("huge", new Tensor(huge, [LENGTH / 8192, 1024]));
      }
      await using cache = await Cache.open(root);
      const huge = (await cache.namespace("tensors").get("huge")) as Tensor<Float64Array>;
      const [rows = 0] = huge.shape;
      expect(huge.at(rows - 1, 1023)).toBe(7);
      expect(huge.gather([0, rows - 1]).data[2047]).toBe(7);
      const end = huge.slice(rows - 1).data;
      expect([end[1023], end.byteOffset > 2 ** 32]).toEqual([7, true]);
    },
  );
});
