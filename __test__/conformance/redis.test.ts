import { createClient } from "@redis/client";
import { Redis } from "ioredis";
import { afterAll, beforeAll, describe, test } from "vitest";
import { RedisStore, type RedisStoreOptions } from "../../src/stores/redis.ts";
import { storeSuite } from "../../src/testing/index.ts";
import { hasRedis, RedisServer } from "../servers/redis.ts";

const capabilities = {
  sync: false,
  persistent: true,
  shared: true,
  files: false,
  mapped: false,
  versions: false,
  stale: false,
  keeps: true,
} as const;

const url = process.env["QUIVER_REDIS_URL"];
let server: RedisServer | undefined;
let stores = 0;

beforeAll(async () => {
  if (url === undefined && hasRedis) server = await RedisServer.start();
});
afterAll(() => server?.stop());

/** Every store has names of its own in the one server. */
const prefix = (): string => `quiver-suite-${process.pid}-${stores++}:`;
const address = (): { url: string } | { socketPath: string } =>
  url === undefined ? { socketPath: server?.socketPath ?? "" } : { url };

/** Where there is no server, each test is counted as skipped. */
const options = {
  capabilities,
  describe,
  test: test.skipIf(!hasRedis && url === undefined),
  ownClock: false,
};

/** Waits as long as a test does, so that a loaded machine decides nothing. */
const open = (more: RedisStoreOptions): Promise<RedisStore> =>
  RedisStore.open({ prefix: prefix(), timeout: "60s", ...more });

storeSuite("redis", async () => ({ store: await open(address()) }), options);

storeSuite(
  "redis over a client of @redis/client",
  async () => {
    const client = await createClient(
      url === undefined ? { socket: { path: server?.socketPath ?? "", tls: false } } : { url },
    ).connect();
    return { store: await open({ client }), dispose: async () => client.destroy() };
  },
  { ...options, programs: 5 },
);

storeSuite(
  "redis over a client of ioredis",
  async () => {
    const client = url === undefined ? new Redis({ path: server?.socketPath ?? "" }) : new Redis(url);
    return { store: await open({ client }), dispose: async () => client.disconnect() };
  },
  { ...options, programs: 5 },
);
