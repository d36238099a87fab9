import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, describe, test } from "vitest";
import { FileStore } from "../../src/stores/files.ts";
import { type StoreFactory, storeSuite } from "../../src/testing/index.ts";
import { canMount, Mount } from "../servers/mount.ts";

const capabilities = {
  sync: false,
  persistent: true,
  shared: true,
  files: false,
  mapped: false,
  versions: false,
  stale: true,
  keeps: true,
} as const;

let mount: Mount | undefined;
beforeAll(async () => {
  if (canMount) mount = await Mount.start();
});
afterAll(() => mount?.stop());

/** A store in a folder of its own, whose acknowledgements don't wait for the disk. */
function storesIn(folder: () => string): StoreFactory {
  return async () => {
    const root = await mkdtemp(join(folder(), "quiver-suite-"));
    const store = await FileStore.open(root, { durability: "process" });
    return { store, dispose: () => rm(root, { recursive: true, force: true }) };
  };
}

storeSuite("files without a catalog", storesIn(tmpdir), { capabilities, describe, test });

storeSuite(
  "files without a catalog, over FUSE",
  storesIn(() => mount?.path ?? ""),
  { capabilities, describe, test: test.skipIf(!canMount), programs: 3 },
);
