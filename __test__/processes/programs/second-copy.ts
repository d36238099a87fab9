/** Loads a second copy of the package into this process, and opens one cache with both. */

import { cpSync } from "node:fs";
import { fileURLToPath } from "node:url";
import { Cache, isQuiverError } from "../../../src/index.ts";
import { inputOf, leave, tell } from "./program.ts";

const { root } = inputOf<{ readonly root: string }>();
const copy = new URL("../../../copy/", import.meta.url);
cpSync(fileURLToPath(new URL("../../../src/", import.meta.url)), fileURLToPath(copy), { recursive: true });
const second: typeof import("../../../src/index.ts") = await import(new URL("index.js", copy).href);

async function codeOf(open: () => Promise<unknown>): Promise<string | null> {
  try {
    await open();
    return null;
  } catch (error) {
    return isQuiverError(error) || second.isQuiverError(error) ? error.code : String(error);
  }
}

const first = await Cache.open(root);
await first.namespace("n").set("k", "value");
const codes = [
  await codeOf(() => second.Cache.open(root)),
  await codeOf(() => second.Cache.open(root, { mode: "read-only" })),
];
const value = await first.namespace("n").get("k");
await first.close();
const after = await second.Cache.open(root);
const again = await after.namespace("n").get("k");
const late = await codeOf(() => Cache.open(root));
await after.close();
tell({ kind: "report", codes, late, value, again });
leave();
