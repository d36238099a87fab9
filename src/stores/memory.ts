/** The store that keeps values in this process's memory. */

import { QuiverError } from "../shared/errors.ts";
import { checkOptions, type OptionNames } from "../shared/options.ts";
import { parseSize, type Size } from "../shared/units.ts";
import { MemoryNamespace, type Owner } from "./memory/namespace.ts";
import { type Goal, MemoryScan } from "./memory/scan.ts";
import { SlotTable } from "./memory/slots.ts";
import { completeSettings, reconcileSettings } from "./settings.ts";
import type {
  EvictionScan,
  NamespaceSettings,
  Store,
  StoreCapabilities,
  StoreNamespace,
  Usage,
} from "./store.ts";
import { sumUsage } from "./usage.ts";

/** Options of a `MemoryStore`. */
export interface MemoryStoreOptions {
  /** Default: "memory". */
  readonly name?: string;
  /**
   * Limit of the store itself, in allocated bytes (see `Usage`). A write that would pass it first evicts what
   * was used least recently, pinned entries never. Default: none; limits of caches and namespaces are theirs.
   */
  readonly maxSize?: Size;
  /** Entries that holders of decoded values can check without asking; 8 bytes each. Default: 1,048,576. */
  readonly slots?: number;
}

const OPTIONS: OptionNames<MemoryStoreOptions> = { name: true, maxSize: true, slots: true };

/** Share of the limit that is freed beyond what a write needs, so that not every write has to look for room. */
const SPARE_ROOM = 1 / 20;
const SCANNED_AT_ONCE = 65_536;

/**
 * Keeps everything until it is closed or the process ends. An entry is counted as its bytes rounded up to 16,
 * plus 256. Values are copied in; what is handed out are views on the store's copy.
 */
export class MemoryStore implements Store {
  readonly name: string;
  readonly capabilities: StoreCapabilities = {
    sync: true,
    persistent: false,
    shared: false,
    files: false,
    mapped: false,
    versions: true,
    stale: true,
    keeps: true,
  };

  readonly #maxSize: number;
  readonly #namespaces = new Map<string, MemoryNamespace>();
  readonly #owner: Owner;
  #closed = false;

  /** Throws ERR_QUIVER_BAD_OPTION. */
  constructor(options: MemoryStoreOptions = {}) {
    checkOptions(options, OPTIONS);
    this.name = options.name ?? "memory";
    this.#maxSize =
      options.maxSize === undefined ? Number.POSITIVE_INFINITY : parseSize(options.maxSize, "maxSize");
    this.#owner = {
      slots: new SlotTable(options.slots ?? 1_048_576),
      checkOpen: () => this.#checkOpen(),
      reserve: (key, allocated, freed) => this.#reserve(key, allocated, freed),
    };
  }

  async open(
    namespace: string,
    settings: Partial<NamespaceSettings>,
    options: { reconfigure?: boolean } = {},
  ): Promise<StoreNamespace> {
    this.#checkOpen();
    const existing = this.#namespaces.get(namespace);
    if (existing === undefined) {
      const made = new MemoryNamespace(namespace, completeSettings(settings), this.#owner);
      this.#namespaces.set(namespace, made);
      return made;
    }
    const reconciled = reconcileSettings(
      namespace,
      existing.settings,
      settings,
      options.reconfigure ?? false,
    );
    if (reconciled !== existing.settings) existing.reconfigure(reconciled);
    return existing;
  }

  async names(): Promise<readonly string[]> {
    this.#checkOpen();
    return [...this.#namespaces.keys()].sort();
  }

  usage(): Usage {
    return sumUsage([...this.#namespaces.values()].map((namespace) => namespace.usage()));
  }

  async evictionScan(options: { namespaces?: readonly string[]; goal: Goal }): Promise<EvictionScan> {
    this.#checkOpen();
    const names = options.namespaces ?? [...this.#namespaces.keys()];
    const namespaces = names.map((name) => this.#namespaces.get(name)).filter((found) => found !== undefined);
    return new MemoryScan(namespaces, options.goal);
  }

  async close(): Promise<void> {
    this.#closed = true;
    this.#namespaces.clear();
  }

  #checkOpen(): void {
    if (this.#closed) throw new QuiverError("ERR_QUIVER_CLOSED", `the store "${this.name}" is closed`);
  }

  #reserve(key: string, allocated: number, freed: () => number): void {
    if (allocated > this.#maxSize) {
      throw new QuiverError(
        "ERR_QUIVER_TOO_LARGE",
        `the value takes ${allocated} bytes; the store "${this.name}" may hold ${this.#maxSize}`,
        { key, expected: this.#maxSize, found: allocated },
      );
    }
    if (this.#maxSize === Number.POSITIVE_INFINITY) return;
    for (;;) {
      const excess = this.usage().allocated + allocated - freed() - this.#maxSize;
      if (excess <= 0) return;
      if (this.#evictLeastRecentlyUsed(excess + Math.floor(this.#maxSize * SPARE_ROOM)) > 0) continue;
      throw new QuiverError(
        "ERR_QUIVER_TOO_LARGE",
        `pinned entries leave no room in the store "${this.name}"`,
        {
          key,
          hint: "Pinned entries are never evicted, and they fill the store.",
          fix: "Unpin or delete some of them, or raise maxSize.",
        },
      );
    }
  }

  /** Returns the bytes freed. */
  #evictLeastRecentlyUsed(allocated: number): number {
    const goal = { allocated, entries: 0 };
    using scan = new MemoryScan([...this.#namespaces.values()], goal);
    for (let columns = scan.nextSync(SCANNED_AT_ONCE); columns; columns = scan.nextSync(SCANNED_AT_ONCE)) {
      scan.offer(columns.lastAccess);
    }
    return scan.evictSync(goal).bytes;
  }
}
