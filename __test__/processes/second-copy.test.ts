/** Two copies of the package in one process, as package managers install them for two versions. */

import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { expect, test } from "vitest";
import { Programs } from "./harness.ts";

test("a cache that one copy has open is refused to the other, and works on", async () => {
  const root = mkdtempSync(join(tmpdir(), "quiver-copies-"));
  try {
    const child = new Programs().start("second-copy", { root });
    const report = await child.message("report");
    expect(await child.ended).toEqual({ code: 0, signal: null });
    expect(report).toMatchObject({
      codes: ["ERR_QUIVER_DUPLICATE_COPY", "ERR_QUIVER_DUPLICATE_COPY"],
      late: "ERR_QUIVER_DUPLICATE_COPY",
      value: "value",
      again: "value",
    });
  } finally {
    rmSync(root, { recursive: true, force: true });
  }
});
