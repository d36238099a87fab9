import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, describe, test } from "vitest";
import { FileStore } from "../../src/stores/files.ts";
import { LocalStore } from "../../src/stores/local.ts";
import { MemoryStore } from "../../src/stores/memory.ts";
import { RedisStore } from "../../src/stores/redis.ts";
import type { Store } from "../../src/stores/store.ts";
import { TieredStore, type TieredStoreOptions } from "../../src/stores/tiered.ts";
import { type StoreFactory, storeSuite } from "../../src/testing/index.ts";
import { hasRedis, RedisServer } from "../servers/redis.ts";

const memory = new MemoryStore().capabilities;
const local = { ...memory, persistent: true, shared: true, files: true, mapped: true };
const redis = {
  ...memory,
  sync: false,
  persistent: true,
  shared: true,
  versions: false,
  stale: false,
};

let server: RedisServer | undefined;
let stores = 0;
beforeAll(async () => {
  if (hasRedis) server = await RedisServer.start();
});
afterAll(() => server?.stop());

const onServer = (): Promise<RedisStore> =>
  RedisStore.open({
    socketPath: server?.socketPath ?? "",
    prefix: `suite-${stores++}:`,
    timeout: "60s",
  });

/** Tiers over fresh stores, the local one in a folder of its own. Copies are believed, as nobody else writes. */
function tiered(
  make: (folder: string) => Promise<readonly Store[]>,
  options: TieredStoreOptions = {},
): StoreFactory {
  return async () => {
    const folder = await mkdtemp(join(tmpdir(), "quiver-suite-"));
    const tiers = (await make(folder)).map((store) => ({ store, maxAge: null }));
    const store = await TieredStore.open(tiers, options);
    return { store, dispose: () => rm(folder, { recursive: true, force: true }) };
  };
}

const disk = (folder: string): Promise<LocalStore> => LocalStore.open(folder, { durability: "process" });
const shared = (folder: string): Promise<FileStore> => FileStore.open(folder, { durability: "process" });
const withServer = { describe, test: test.skipIf(!hasRedis) };

storeSuite(
  "memory over memory",
  tiered(async () => [new MemoryStore(), new MemoryStore()]),
  {
    capabilities: memory,
    describe,
    test,
  },
);

storeSuite(
  "a small memory over memory",
  tiered(async () => [new MemoryStore({ maxSize: 1000 }), new MemoryStore()]),
  { capabilities: memory, describe, test },
);

storeSuite(
  "memory over local",
  tiered(async (folder) => [new MemoryStore(), await disk(folder)]),
  { capabilities: local, describe, test, programs: 3 },
);

storeSuite(
  "local over memory",
  tiered(async (folder) => [await disk(folder), new MemoryStore()]),
  { capabilities: { ...memory, files: true, mapped: true }, describe, test, programs: 3 },
);

storeSuite(
  "memory over redis",
  tiered(async () => [new MemoryStore(), await onServer()]),
  { capabilities: redis, ...withServer, ownClock: false, programs: 3 },
);

storeSuite(
  "memory over local over redis",
  tiered(async (folder) => [new MemoryStore(), await disk(folder), await onServer()]),
  {
    capabilities: { ...redis, files: true, mapped: true },
    ...withServer,
    ownClock: false,
    programs: 3,
  },
);

storeSuite(
  "memory over files without a catalog",
  tiered(async (folder) => [new MemoryStore(), await shared(folder)]),
  { capabilities: { ...redis, stale: true }, describe, test, programs: 3 },
);

storeSuite(
  "files without a catalog over redis",
  tiered(async (folder) => [await shared(folder), await onServer()]),
  { capabilities: redis, ...withServer, ownClock: false, programs: 3 },
);

storeSuite(
  "memory over memory, written behind",
  tiered(async () => [new MemoryStore(), new MemoryStore()], { write: "behind" }),
  { capabilities: memory, describe, test, programs: 5 },
);
