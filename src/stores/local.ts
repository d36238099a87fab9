/** The store on the local disk: the native engine behind the Store contract. */

import { type NativeStore, openNative, Requests, translated, translatedAsync } from "../native/store.ts";
import { cacheClosed } from "../shared/errors.ts";
import { parseSize, type Size } from "../shared/units.ts";
import { LocalClock } from "./local/clock.ts";
import { LocalCounters } from "./local/counters.ts";
import { Exchange } from "./local/exchange.ts";
import { Maintenance } from "./local/maintenance.ts";
import { LocalNamespace } from "./local/namespace.ts";
import { LocalScan } from "./local/scan.ts";
import { SlotTables } from "./local/slot-tables.ts";
import { Snapshot } from "./local/snapshot.ts";
import { completeSettings, reconcileSettings } from "./settings.ts";
import type {
  EvictionResult,
  EvictionScan,
  NamespaceSettings,
  Store,
  StoreCapabilities,
  StoreNamespace,
  Usage,
} from "./store.ts";

export interface LocalStoreOptions {
  /** What acknowledged writes survive: "full" power cuts, "process" the death of processes. Recorded at creation. Default: "full". */
  readonly durability?: "full" | "process";
  /** Limit in allocated bytes over all namespaces; recorded. Default: none. */
  readonly maxSize?: Size | null;
  /** Limit in entries over all namespaces; recorded. Default: none. */
  readonly maxEntries?: number | null;
  /** Name of the cache-wide eviction policy; recorded. */
  readonly eviction?: string | null;
  /** Replace recorded settings. Default: false. */
  readonly reconfigure?: boolean;
  /** "read-only" writes nothing, usage included. Default: "read-write". */
  readonly mode?: "read-write" | "read-only";
  /** Who may open the files. Default: "readable": by all, written by the owner. */
  readonly permissions?: "private" | "readable" | "group";
  /** Large values in use as views at once; beyond that they are copied. Default: 16,384. */
  readonly maxMappings?: number;
  /** Bytes of such copies; beyond that ERR_QUIVER_TOO_MANY_MAPPINGS. Default: "1GB". */
  readonly maxCopies?: Size;
}

/** What is known of an open cache. */
export interface LocalDescription {
  readonly path: string;
  readonly uuid: string;
  /** Version of the on-disk format. */
  readonly layout: number;
  readonly settings: Readonly<Record<string, unknown>>;
  /** What opening had to mend, in words. */
  readonly notices: readonly string[];
  /** Large values in use in this process. */
  readonly openValues: {
    readonly mappings: number;
    readonly mappedBytes: number;
    readonly copiedBytes: number;
  };
  /** What the file system can do, found by trying. */
  readonly fileSystem: Readonly<Record<string, string | boolean>>;
}

/** What the store on the disk can do, open or not. */
export const LOCAL_CAPABILITIES: StoreCapabilities = {
  sync: true,
  persistent: true,
  shared: true,
  files: true,
  mapped: true,
  versions: true,
  stale: true,
  keeps: true,
};

export class LocalStore implements Store {
  readonly name = "local";
  readonly capabilities: StoreCapabilities = LOCAL_CAPABILITIES;
  /** Counters that all processes share. */
  readonly statistics: LocalCounters;
  readonly maintenance: Maintenance;

  readonly #native: NativeStore;
  readonly #requests: Requests;
  readonly #clock: LocalClock;
  readonly #snapshot: Snapshot;
  readonly #exchange: Exchange;
  readonly #tables: SlotTables;
  readonly #namespaces = new Map<string, LocalNamespace>();
  #closing: Promise<void> | undefined;

  private constructor(native: NativeStore) {
    this.#native = native;
    this.#requests = new Requests(native);
    this.#clock = new LocalClock(native);
    this.#snapshot = new Snapshot(native);
    this.#exchange = new Exchange(native.exchange());
    this.#tables = new SlotTables(native);
    this.statistics = new LocalCounters(native);
    this.maintenance = new Maintenance(native, (name) => this.#handleOf(name));
  }

  /** Opens the cache in the folder, making it where there is none. All isolates of a process share one native store. */
  static async open(path: string, options: LocalStoreOptions = {}): Promise<LocalStore> {
    const { maxSize = null, maxCopies = "1GB" } = options;
    const native = await openNative(path, {
      settings: {
        durability: options.durability ?? "full",
        maxSize: maxSize === null ? null : parseSize(maxSize, "maxSize"),
        maxEntries: options.maxEntries ?? null,
        eviction: options.eviction ?? null,
      },
      reconfigure: options.reconfigure ?? false,
      readOnly: options.mode === "read-only",
      modes: options.permissions ?? "readable",
      mappings: options.maxMappings ?? 16_384,
      copies: parseSize(maxCopies, "maxCopies"),
    });
    return new LocalStore(native);
  }

  async open(
    namespace: string,
    settings: Partial<NamespaceSettings>,
    options: { reconfigure?: boolean } = {},
  ): Promise<StoreNamespace> {
    this.#checkOpen();
    this.#clock.apply();
    const opened = await this.#openNative(namespace, completeSettings(settings), false);
    const reconciled = reconcileSettings(namespace, opened.settings, settings, options.reconfigure ?? false);
    if (reconciled !== opened.settings) {
      const again = await this.#openNative(namespace, reconciled, true);
      this.#namespaces.get(namespace)?.reconfigured(again.settings);
    }
    // Only those that are known when it is closed are told.
    this.#checkOpen();
    const known = this.#namespaces.get(namespace);
    if (known !== undefined) return known;
    const made = new LocalNamespace({
      name: namespace,
      settings: reconciled,
      native: this.#native,
      handle: this.#handleOf(namespace),
      requests: this.#requests,
      clock: this.#clock,
      snapshot: this.#snapshot,
      exchange: this.#exchange,
      tables: this.#tables,
      epochSlot: opened.epochSlot,
    });
    this.#namespaces.set(namespace, made);
    return made;
  }

  async names(): Promise<readonly string[]> {
    this.#checkOpen();
    return translated(() => this.#native.namespaceNames());
  }

  usage(): Usage {
    return translated(() => this.#native.usage());
  }

  async evictionScan(options: {
    namespaces?: readonly string[];
    goal: { allocated: number; entries: number };
  }): Promise<EvictionScan> {
    this.#checkOpen();
    this.#clock.apply();
    const { namespaces, goal } = options;
    const names = namespaces && [...namespaces];
    return new LocalScan(translated(() => this.#native.scan(names, goal.allocated, goal.entries)));
  }

  /** What writes evicted since this was last asked, because they found the cache full. */
  takeEvicted(): EvictionResult {
    return JSON.parse(translated(() => this.#native.takeEvicted()));
  }

  describe(): LocalDescription {
    return JSON.parse(this.#native.describe());
  }

  close(): Promise<void> {
    this.#requests.handOver();
    for (const namespace of this.#namespaces.values()) namespace.close();
    this.#closing ??= translatedAsync(() => this.#native.close());
    return this.#closing;
  }

  #checkOpen(): void {
    if (this.#closing !== undefined) throw cacheClosed();
  }

  async #openNative(
    namespace: string,
    settings: NamespaceSettings,
    reconfigure: boolean,
  ): Promise<{ epochSlot: number; settings: NamespaceSettings }> {
    return JSON.parse(
      await translatedAsync(() =>
        this.#native.openNamespace(namespace, JSON.stringify(settings), reconfigure),
      ),
    );
  }

  #handleOf(namespace: string): number {
    return translated(() => this.#native.handle(namespace));
  }
}
