/** A store over several others: copies in the quick ones of what the last one keeps. */

import { isPlainObject } from "../codecs/values.ts";
import { QuiverError } from "../shared/errors.ts";
import { defaultLogger, type Logger } from "../shared/logger.ts";
import { badOption, checkOptions, type OptionNames } from "../shared/options.ts";
import { type Duration, parseDuration, parseSize, type Size } from "../shared/units.ts";
import { checkStore } from "./check-store.ts";
import type {
  EvictionResult,
  EvictionScan,
  NamespaceSettings,
  Store,
  StoreCapabilities,
  StoreNamespace,
  Usage,
} from "./store.ts";
import { TieredNamespace } from "./tiered/namespace.ts";
import { Tier } from "./tiered/tier.ts";

/** A store, and how long a copy in it is believed. */
export interface TierOption {
  readonly store: Store;
  /**
   * For how long a copy here is served without asking the tiers below; null = until it expires. Others that write to a
   * shared tier below are seen after this time at the latest. Default: "5s" where a tier below is shared, else null.
   */
  readonly maxAge?: Duration | null;
}

/** Options of `TieredStore.open`. */
export interface TieredStoreOptions {
  /**
   * "through": a write is acknowledged when all tiers that work have it. "behind": when the first one has it; the
   * others follow. A crash loses what has not followed yet, at most `maxPending`. Default: "through".
   */
  readonly write?: "through" | "behind";
  /** Bytes of values that may wait with write "behind"; beyond them writes wait for room. Default: "64MB". */
  readonly maxPending?: Size;
  /** Default: the names of the tiers, joined. */
  readonly name?: string;
  /** Is told when a tier fails and is passed over. Default: warnings to standard error. */
  readonly logger?: Logger;
}

const OPTIONS: OptionNames<TieredStoreOptions> = { write: true, maxPending: true, name: true, logger: true };
const TIER: OptionNames<TierOption> = { store: true, maxAge: true };

/** How long copies above a shared tier are believed. */
const COPY_AGE = 5000;

function tierOf(tier: Store | TierOption, index: number): TierOption {
  const field = `tiers[${index}]`;
  if (!isPlainObject(tier) || !("store" in tier)) {
    checkStore(tier, field);
    return { store: tier };
  }
  const option = tier as TierOption;
  checkOptions(option, TIER, field);
  checkStore(option.store, `${field}.store`);
  return option;
}

/**
 * The last tier, the home, keeps every entry; settings, limits, usage, listings, tags, flights and eviction are its
 * own. The tiers before it hold copies, each within its own limit, made by writes and by look-ups that had to go
 * further down. A tier that fails is passed over: look-ups go on to the next one, writes need one tier that works, and
 * what it missed is removed from it before it is believed again. Only removals reject when a tier fails.
 */
export class TieredStore implements Store {
  readonly name: string;
  readonly capabilities: StoreCapabilities;
  readonly #tiers: readonly { readonly store: Store; readonly maxAge: number | null }[];
  readonly #home: Store;
  readonly #pendingLimit: number | undefined;
  readonly #logger: Logger;
  readonly #namespaces = new Map<string, TieredNamespace>();
  #closing: Promise<void> | undefined;

  private constructor(tiers: readonly (Store | TierOption)[], options: TieredStoreOptions) {
    checkOptions(options, OPTIONS);
    if (!Array.isArray(tiers)) throw badOption("tiers", tiers, "a list of stores");
    const given = tiers.map(tierOf);
    const stores = given.map(({ store }) => store);
    const home = stores.at(-1);
    if (home === undefined || stores.length < 2 || new Set(stores).size < stores.length) {
      throw new QuiverError("ERR_QUIVER_BAD_OPTION", "a tiered store needs two or more different stores");
    }
    this.#home = home;
    this.#tiers = given.map(({ store, maxAge }, index) => {
      const isAboveShared = stores.slice(index + 1).some(({ capabilities }) => capabilities.shared);
      const age = maxAge === undefined ? (isAboveShared ? COPY_AGE : null) : maxAge;
      return { store, maxAge: parseDuration(age, "maxAge") };
    });
    this.#pendingLimit =
      options.write === "behind" ? parseSize(options.maxPending ?? "64MB", "maxPending") : undefined;
    this.#logger = options.logger ?? defaultLogger;
    this.name = options.name ?? stores.map(({ name }) => name).join(" over ");
    const all = (can: (capabilities: StoreCapabilities) => boolean) =>
      stores.every(({ capabilities }) => can(capabilities));
    const some = (can: (capabilities: StoreCapabilities) => boolean) =>
      stores.some(({ capabilities }) => can(capabilities));
    this.capabilities = {
      ...home.capabilities,
      sync: all(({ sync }) => sync),
      files: some(({ files }) => files),
      mapped: some(({ mapped }) => mapped),
    };
  }

  /** Puts stores on top of each other, the quickest first; they are closed with this one. ERR_QUIVER_BAD_OPTION. */
  static async open(
    tiers: readonly (Store | TierOption)[],
    options: TieredStoreOptions = {},
  ): Promise<TieredStore> {
    return new TieredStore(tiers, options);
  }

  /** The settings are the home's; tiers above have their own defaults. One of them that can't be opened is left out. */
  async open(
    namespace: string,
    settings: Partial<NamespaceSettings>,
    options: { reconfigure?: boolean } = {},
  ): Promise<StoreNamespace> {
    this.#checkOpen();
    const home = await this.#home.open(namespace, settings, options);
    const known = this.#namespaces.get(namespace);
    if (known !== undefined) return known;
    const tiers: Tier[] = [];
    for (const { store, maxAge } of this.#tiers.slice(0, -1)) {
      try {
        tiers.push(new Tier(await store.open(namespace, {}), maxAge));
      } catch (error) {
        const reason = error instanceof Error ? error.message : String(error);
        this.#logger.warn(`"${namespace}" goes without the tier "${store.name}": ${reason}`);
      }
    }
    const [first = new Tier(home, null), ...others] = [...tiers, new Tier(home, null)];
    const made = new TieredNamespace({
      name: namespace,
      tiers: [first, ...others],
      pendingLimit: this.#pendingLimit,
      sync: this.capabilities.sync,
      logger: this.#logger,
      checkOpen: () => this.#checkOpen(),
    });
    this.#namespaces.set(namespace, made);
    return made;
  }

  async names(): Promise<readonly string[]> {
    this.#checkOpen();
    return this.#home.names();
  }

  /** The home's. */
  usage(): Usage {
    return this.#home.usage();
  }

  /** Over the home; what it evicts leaves the other tiers as well. */
  async evictionScan(options: {
    namespaces?: readonly string[];
    goal: { allocated: number; entries: number };
  }): Promise<EvictionScan> {
    this.#checkOpen();
    const scan = await this.#home.evictionScan(options);
    return {
      next: (limit) => scan.next(limit),
      offer: (scores) => scan.offer(scores),
      evict: async (goal) => {
        const result = await scan.evict(goal);
        await this.#forget(result);
        return result;
      },
      [Symbol.dispose]: () => scan[Symbol.dispose](),
    };
  }

  /** Resolves when everything acknowledged has been written to all tiers. */
  async flush(): Promise<void> {
    await Promise.all([...this.#namespaces.values()].map((namespace) => namespace.flush()));
  }

  /** Flushes, then closes the tiers; rejects with the first failure after having tried all. */
  close(): Promise<void> {
    this.#closing ??= this.#close();
    return this.#closing;
  }

  async #close(): Promise<void> {
    await this.flush();
    const results = await Promise.allSettled(this.#tiers.map(({ store }) => store.close()));
    const failed = results.find((result) => result.status === "rejected");
    if (failed !== undefined) throw failed.reason;
  }

  async #forget({ count, sample }: EvictionResult): Promise<void> {
    if (count === 0) return;
    for (const [name, namespace] of this.#namespaces) {
      const keys = sample.filter((evicted) => evicted.namespace === name).map(({ key }) => key);
      await namespace.forget(keys, sample.length === count);
    }
  }

  #checkOpen(): void {
    if (this.#closing !== undefined) {
      throw new QuiverError("ERR_QUIVER_CLOSED", `the store "${this.name}" is closed`);
    }
  }
}
