import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { describe, test } from "vitest";
import { LocalStore } from "../../src/stores/local.ts";
import { storeSuite } from "../../src/testing/index.ts";

const capabilities = {
  sync: true,
  persistent: true,
  shared: true,
  files: true,
  mapped: true,
  versions: true,
  stale: true,
  keeps: true,
} as const;

/** A store in a folder of its own, whose acknowledgements don't wait for the disk. */
async function factory(): Promise<{ store: LocalStore; dispose: () => Promise<void> }> {
  const root = await mkdtemp(join(tmpdir(), "quiver-suite-"));
  const store = await LocalStore.open(root, { durability: "process" });
  return { store, dispose: () => rm(root, { recursive: true, force: true }) };
}

storeSuite("local", factory, { capabilities, describe, test });
