import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { describe, test } from "vitest";
import { LocalStore } from "../../src/stores/local.ts";
import type { Store } from "../../src/stores/store.ts";
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

/** The same store, whose namespaces keep every value as a file of its own. */
async function oneFileAnEntry(): Promise<{ store: Store; dispose: () => Promise<void> }> {
  const { store, dispose } = await factory();
  const always: Store = {
    name: store.name,
    capabilities: store.capabilities,
    open: (namespace, settings, options) => store.open(namespace, { files: "always", ...settings }, options),
    names: () => store.names(),
    usage: () => store.usage(),
    evictionScan: (options) => store.evictionScan(options),
    close: () => store.close(),
  };
  return { store: always, dispose };
}

storeSuite("local, one file an entry", oneFileAnEntry, { capabilities, describe, test, programs: 10 });
