/** The store behind a cache: opened as it can be where its failures are to count as misses. */

import { inTime } from "../shared/deadlines.ts";
import { isQuiverError, QuiverError } from "../shared/errors.ts";
import { LateStore } from "../stores/late.ts";
import { LOCAL_CAPABILITIES } from "../stores/local.ts";
import { MemoryStore } from "../stores/memory.ts";
import { NullStore } from "../stores/null.ts";
import { RedisStore } from "../stores/redis.ts";
import type { Store } from "../stores/store.ts";
import { TieredStore } from "../stores/tiered.ts";
import { type DiskPlan, openDisk } from "./disk.ts";
import { isOfTheCaller } from "./failures.ts";
import type { ResolvedCacheOptions } from "./options.ts";
import type { Backend } from "./pipeline-options.ts";

/** How soon opening the disk is tried again where it has failed and that counts as a miss. */
const RETRY_AFTER = 10_000;

const LOCAL = { name: "local", capabilities: LOCAL_CAPABILITIES };

const UNIX = "unix://";

/** What to open, and with what. */
export interface BackendPlan extends DiskPlan {
  readonly backend: Backend;
  readonly redisUrl: string | undefined;
}

/** A store, and what may be done with it. */
export interface OpenedStore {
  readonly store: Store;
  readonly mode: ResolvedCacheOptions["mode"];
}

export async function openBackend(plan: BackendPlan): Promise<OpenedStore> {
  const { backend, options, logger } = plan;
  const { enabled, mode, onError, maxSize } = options;
  if (!enabled) return { store: new NullStore(), mode };
  if (backend === "memory") return { store: new MemoryStore(maxSize === null ? {} : { maxSize }), mode };
  if (backend === "redis") return { store: await openRedis(plan), mode };
  const disk = onError === "miss" ? await openDiskIfPossible(plan) : await openWritable(plan);
  if (backend === "disk") return disk;
  return { store: await TieredStore.open([disk.store, await openRedis(plan)], { logger }), mode };
}

function openRedis({ redisUrl, logger }: BackendPlan): Promise<RedisStore> {
  if (redisUrl === undefined) return RedisStore.open({ logger });
  if (!redisUrl.startsWith(UNIX)) return RedisStore.open({ url: redisUrl, logger });
  return RedisStore.open({ socketPath: redisUrl.slice(UNIX.length), logger });
}

async function openWritable(plan: BackendPlan): Promise<OpenedStore> {
  const { mode } = plan.options;
  return { store: await openDisk(plan, mode), mode };
}

/** Of a disk that can't be written what is there is read, and one that can't be opened at all is tried again later. */
async function openDiskIfPossible(plan: BackendPlan): Promise<OpenedStore> {
  const { path, logger } = plan;
  const { mode, budget } = plan.options;
  const late = (): QuiverError =>
    new QuiverError("ERR_QUIVER_TIMEOUT", `${path} could not be opened in time`, { path });
  const first = openDisk(plan, mode);
  try {
    return { store: await inTime(first, budget, late), mode };
  } catch (error) {
    if (isOfTheCaller(error)) throw error;
    const reason = error instanceof Error ? error.message : String(error);
    if (isRefused(error)) {
      const store = await openDisk(plan, "read-only").catch(() => undefined);
      logger.warn(`the cache in ${path} ${store ? "is only read" : "can't be opened"}: ${reason}`);
      if (store !== undefined) return { store, mode: "read-only" };
    } else logger.warn(`the cache in ${path} can't be opened: ${reason}`);
    const open = (): Promise<Store> => openDisk(plan, mode);
    return { store: new LateStore({ ...LOCAL, open, retryAfter: RETRY_AFTER, first }), mode };
  }
}

/** What a disk says that can't be written, in its different ways, and goes on saying. */
function isRefused(error: unknown): boolean {
  const codes = ["ERR_QUIVER_READ_ONLY", "ERR_QUIVER_PERMISSION", "ERR_QUIVER_IO"] as const;
  return codes.some((code) => isQuiverError(error, code));
}
