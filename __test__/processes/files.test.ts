/** Several processes on a cache without a catalog: on a local folder, and on one that is mounted through FUSE. */

import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { setTimeout as pause } from "node:timers/promises";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { Cache, type Logger } from "../../src/index.ts";
import { canMount, Mount } from "../servers/mount.ts";
import { type Process, Programs } from "./harness.ts";
import { checkValue } from "./values.ts";

const ignore = (): void => undefined;

let programs: Programs;
beforeAll(() => {
  programs = new Programs();
});

/** Notes what is said. */
function notes(): { readonly logger: Logger; readonly warnings: string[] } {
  const warnings: string[] = [];
  const logger = {
    debug: ignore,
    info: ignore,
    warn: (text: string) => void warnings.push(text),
    error: ignore,
  };
  return { logger, warnings };
}

function suite(
  name: string,
  isPossible: boolean,
  folder: () => Promise<{ path: string; stop: () => Promise<void> }>,
) {
  describe.skipIf(!isPossible)(name, () => {
    let place: { path: string; stop: () => Promise<void> };
    let processes: Process[] = [];
    beforeAll(async () => {
      place = await folder();
    });
    afterAll(async () => {
      await Promise.all(processes.map((one) => one.kill()));
      await place.stop();
    });

    /** A new cache without a catalog, which all who open it later follow. */
    async function begin(title: string): Promise<string> {
      const root = join(place.path, title);
      await (await Cache.open(root, { catalog: "never", logger: notes().logger })).close();
      return root;
    }

    test("one of several processes computes, and another one when that is killed", async () => {
      const root = await begin("compute");
      processes = Array.from({ length: 4 }, () => programs.start("compute", { root, takes: 800 }));
      await Promise.all(processes.map((one) => one.message("ready")));
      for (const one of processes) one.send({ kind: "ask", key: "plan" });
      const first = await Promise.any(
        processes.map(async (one) => (await one.message("computing plan")) && one),
      );
      await pause(100);
      await first.kill();
      const others = processes.filter((one) => one !== first);
      const answers = await Promise.all(others.map((one) => one.message("got plan")));
      expect(new Set(answers.map(({ pid }) => pid)).size).toBe(1);
      const computed = processes.filter((one) => one.messages.some(({ kind }) => kind === "computing plan"));
      expect(computed).toHaveLength(2);
      await Promise.all(others.map((one) => one.stop()));
    });

    test("whatever writers were doing when they were killed, every value is whole", async () => {
      const root = await begin("killed");
      for (let round = 0; round < 3; round++) {
        const input = { root, pinEvery: 1000, pins: 0 };
        processes = [1, 2, 3].map((number) =>
          programs.start("fill", { ...input, number: round * 10 + number, seed: number }),
        );
        await Promise.race(processes.map((one) => one.message("wrote")));
        await pause(150 + 100 * round);
        await Promise.all(processes.map((one) => one.kill()));
        await using cache = await Cache.open(root, { logger: notes().logger });
        const values = cache.namespace<Uint8Array>("values");
        let count = 0;
        for await (const key of values.keys()) {
          const value = await values.get(key);
          if (value === undefined) throw new Error(`${key} is listed and not there`);
          checkValue(key, value);
          count++;
        }
        expect(count).toBeGreaterThan(0);
      }
    });
  });
}

suite("without a catalog, on a local folder", true, async () => {
  const path = mkdtempSync(join(tmpdir(), "quiver-files-"));
  return { path, stop: async () => rmSync(path, { recursive: true, force: true }) };
});

suite("without a catalog, over FUSE", canMount, () => Mount.start());

test.skipIf(!canMount)("a folder that hosts may share is found out, and said once", async () => {
  const mount = await Mount.start();
  try {
    const { logger, warnings } = notes();
    for (let round = 0; round < 2; round++) {
      await using cache = await Cache.open(join(mount.path, "cache"), { logger });
      expect(cache.describe().stores[0]?.name).toBe("files");
      await cache.namespace("n").getOrCompute("k", () => "v");
    }
    expect(warnings).toHaveLength(1);
    expect(warnings[0]).toMatch(/cache: entries are kept in one file an entry.*\(fuse\).*several hosts/);
  } finally {
    await mount.stop();
  }
});
