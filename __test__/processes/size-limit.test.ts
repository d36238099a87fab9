/** The size limit as the file system sees it, under writers that never pause. */

import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { setTimeout as pause } from "node:timers/promises";
import { afterAll, beforeAll, expect, test } from "vitest";
import { Cache } from "../../src/index.ts";
import { allocatedIn } from "./disk-usage.ts";
import { type Process, Programs, torture } from "./harness.ts";

const MEBIBYTE = 1024 * 1024;
const LIMIT = (torture ? 1024 : 96) * MEBIBYTE;
const WRITERS = 8;
/** Looks at the folder once the limit has been reached. */
const LOOKS = torture ? 600 : 15;

const folder = mkdtempSync(join(tmpdir(), "quiver-limit-"));
let programs: Programs;

beforeAll(() => {
  programs = new Programs();
});

afterAll(() => rmSync(folder, { recursive: true, force: true }));

/** Looks at what is there at one moment: a walk among files that come and go meets some that are never there together. */
function whileStopped<T>(writers: readonly Process[], look: () => T): T {
  for (const one of writers) one.signal("SIGSTOP");
  try {
    return look();
  } finally {
    for (const one of writers) one.signal("SIGCONT");
  }
}

test.each([
  ["one file an entry", "always", 1.1],
  ["packed", "large", 1.5],
] as const)(
  "of values of 10 to 15 KB, %s, eight writers never leave more on the disk",
  async (_, files, most) => {
    const root = join(folder, files);
    {
      await using cache = await Cache.open(root, {
        maxSize: LIMIT,
        durability: "process",
        namespaces: { values: { files } },
      });
      expect(cache.namespace("values").settings?.files).toBe(files);
    }
    const writers = Array.from({ length: WRITERS }, (_, number) =>
      programs.start("fill", {
        root,
        number,
        seed: number,
        pinEvery: 0,
        pins: 0,
        least: 10_000,
        most: 15_000,
      }),
    );
    await Promise.all(writers.map((one) => one.message("ready")));
    let highest = 0;
    for (let looks = 0; looks < LOOKS; ) {
      const allocated = whileStopped(writers, () => allocatedIn(root));
      highest = Math.max(highest, allocated);
      if (highest > LIMIT * 0.8) looks++;
      await pause(200);
    }
    for (const one of writers) one.send({ kind: "stop" });
    const reports = await Promise.all(writers.map((one) => one.message("written")));
    for (const one of writers) expect(await one.ended, one.errors).toEqual({ code: 0, signal: null });
    const written = reports.reduce((sum, report) => sum + Number(report["written"]), 0);
    console.log(
      `${files}: ${written} written, at most ${((highest / LIMIT) * 100).toFixed(1)} % of the limit on the disk`,
    );
    expect(highest).toBeLessThanOrEqual(LIMIT * most);
  },
);
