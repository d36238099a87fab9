/** What the parts of a cache share. */

import type { Logger } from "../shared/logger.ts";
import type { NamespaceSettings, StoreNamespace } from "../stores/store.ts";
import type { CodecSet } from "./codec-set.ts";
import type { CacheEvents } from "./events.ts";
import type { HotTier } from "./hot.ts";
import type { Latencies } from "./latencies.ts";
import type { ResolvedCacheOptions } from "./options.ts";
import type { PendingWork } from "./pending-work.ts";
import type { Tally } from "./statistics.ts";

export interface CacheContext {
  readonly options: ResolvedCacheOptions;
  readonly logger: Logger;
  readonly events: CacheEvents;
  readonly tally: Tally;
  readonly latencies: Latencies;
  readonly memory: HotTier;
  readonly codecs: CodecSet;
  /** What `close` waits for. */
  readonly pending: PendingWork;
  isClosed(): boolean;
  /** Throws ERR_QUIVER_CLOSED after close. */
  checkOpen(): void;
  /** Throws ERR_QUIVER_READ_ONLY where nothing may be written. */
  checkWritable(): void;
  /** Opens a namespace in the stores that its entries go to. */
  open(namespace: string, settings: Partial<NamespaceSettings>): Promise<StoreNamespace>;
  /** Says that something was stored, so that limits are looked at soon. */
  noteWrite(): void;
}
