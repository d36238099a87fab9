/**
 * A catalog and its companions cut short or overwritten: opening gives a typed error or rebuilds, reading gives the
 * right value, a miss or a typed error. In processes of their own, because a damaged B-tree may end one.
 */

import {
  closeSync,
  cpSync,
  mkdtempSync,
  openSync,
  readFileSync,
  rmSync,
  statSync,
  truncateSync,
  writeFileSync,
  writeSync,
} from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { Cache } from "../../src/index.ts";
import { bytesOf, type OpenAndUseReport } from "../processes/damaged-values.ts";
import { Programs, torture } from "../processes/harness.ts";

import { newFolder } from "./bench.ts";

const COUNT = 120;
const programs = new Programs();
let sound: string;

beforeAll(async () => {
  sound = mkdtempSync(join(tmpdir(), "quiver-sound-"));
  await using cache = await Cache.open(sound);
  const space = cache.namespace("n");
  for (let i = 0; i < COUNT; i++) await space.set(`k${i}`, new Uint8Array(bytesOf(i)).fill(i + 1));
  for (let i = 0; i < COUNT; i += 3) await space.touch(`k${i}`, { ttl: "1h" });
});

afterAll(() => rmSync(sound, { recursive: true, force: true }));

/** A copy of the sound cache, damaged by `damage`, opened and used by a process. */
async function used(damage: (root: string) => void): Promise<OpenAndUseReport> {
  const root = join(newFolder(), "cache");
  cpSync(sound, root, { recursive: true });
  damage(root);
  const program = programs.start("open-and-use", { root, count: COUNT });
  // A field that is undefined gets lost on the way.
  const sent = (await program.message("report")) as unknown as OpenAndUseReport;
  const report = { ...sent, code: sent.code };
  const { code, signal } = await program.ended;
  expect({ code, signal, errors: program.errors.includes("Error") ? program.errors : "" }).toEqual({
    code: 0,
    signal: null,
    errors: "",
  });
  return report;
}

const catalog = ".quiver/catalog/data.mdb";

function overwrite(path: string, at: number, bytes: Uint8Array): void {
  const file = openSync(path, "r+");
  writeSync(file, bytes, 0, bytes.length, at);
  closeSync(file);
}

/** Numbers that depend on the seed alone. */
function random(seed: number): (below: number) => number {
  let state = seed * 2_654_435_761 + 1;
  return (below) => {
    state = (Math.imul(state, 1_664_525) + 1_013_904_223) >>> 0;
    return state % below;
  };
}

test("an undamaged copy is right in every value", async () => {
  expect(await used(() => undefined)).toMatchObject({
    right: COUNT,
    missing: 0,
    refused: 0,
  });
});

test("cut at page boundaries and between them, it is rebuilt or refused", async () => {
  const { size } = statSync(join(sound, catalog));
  const pages = size / 4_096;
  const step = torture ? 1 : Math.ceil(pages / 10);
  for (let page = 0; page < pages; page += step) {
    for (const length of [page * 4_096, page * 4_096 + 1_000]) {
      const report = await used((root) => truncateSync(join(root, catalog), length));
      expect([undefined, "ERR_QUIVER_CORRUPT"]).toContain(report.code);
    }
  }
});

test("with a damaged meta page it is rebuilt or refused", async () => {
  const offsets = [0, 8, 16, 20, 24, 32, 40, 64, 88, 112, 128, 136, 144].flatMap((at) => [at, at + 4_096]);
  const chosen = torture ? offsets : offsets.filter((_, i) => i % 3 === 0);
  for (const at of chosen) {
    const report = await used((root) => overwrite(join(root, catalog), at, new Uint8Array(8).fill(0xff)));
    expect([undefined, "ERR_QUIVER_CORRUPT", "ERR_QUIVER_IO"]).toContain(report.code);
  }
});

describe("with damaged pages", () => {
  // What the machine's restart makes suspect is walked before LMDB sees it.
  test("after an unclean end it is walked first, and rebuilt from what is whole", async () => {
    const { size } = statSync(join(sound, catalog));
    for (let round = 0; round < (torture ? 200 : 14); round++) {
      const pick = random(round + 1);
      const report = await used((root) => {
        const page = 2 + pick(size / 4_096 - 2);
        const length = round % 2 === 0 ? 4_096 : 1 + pick(64);
        const bytes = Uint8Array.from({ length }, () => (round % 3 === 0 ? 0xff : pick(256)));
        overwrite(join(root, catalog), page * 4_096 + (length === 4_096 ? 0 : pick(4_000)), bytes);
        writeFileSync(join(root, ".quiver/locks/p-1-1"), "another boot");
      });
      expect([undefined, "ERR_QUIVER_CORRUPT"]).toContain(report.code);
    }
  });
});

describe.for([
  "stamps",
  "heat",
  "format.json",
  "locks/leases",
  "locks/flights",
  "locks/open",
  "catalog/lock.mdb",
])(".quiver/%s", (name) => {
  test.for(["emptied", "cut", "noise", "gone"])(
    "%s: opens, or refuses with a typed error",
    async (damage) => {
      const report = await used((root) => {
        const path = join(root, ".quiver", name);
        if (damage === "gone") return rmSync(path, { force: true });
        const bytes = readFileSync(path);
        const pick = random(7);
        if (damage === "emptied") writeFileSync(path, "");
        else if (damage === "cut") writeFileSync(path, bytes.subarray(0, Math.floor(bytes.length / 2)));
        else
          writeFileSync(
            path,
            Uint8Array.from({ length: Math.max(bytes.length, 64) }, () => pick(256)),
          );
      });
      if (report.code === undefined) {
        expect(report).toMatchObject({ right: COUNT, missing: 0, refused: 0 });
      } else {
        expect(name).toBe("format.json");
        expect(report.code).toBe("ERR_QUIVER_CORRUPT");
      }
    },
  );
});
