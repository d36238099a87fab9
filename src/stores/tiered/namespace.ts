/** A namespace over several tiers. */

import type { EncodedValue } from "../../codecs/codec.ts";
import { now } from "../../shared/clock.ts";
import { isQuiverError } from "../../shared/errors.ts";
import { KeyQueue } from "../../shared/key-queue.ts";
import type { Logger } from "../../shared/logger.ts";
import type {
  Coherence,
  EntryFacts,
  FactChanges,
  Flight,
  GetFromStore,
  ListQuery,
  NamespaceSettings,
  NewFacts,
  Page,
  PathLease,
  StoredValue,
  StoreNamespace,
  Usage,
  ValueWriter,
} from "../store.ts";
import { unplaced } from "../stored-value.ts";
import { PendingWrites } from "./pending.ts";
import type { Tier } from "./tier.ts";

export interface TieredParts {
  readonly name: string;
  /** From the quickest to the one that has everything. */
  readonly tiers: readonly [Tier, ...Tier[]];
  /** Bytes that may wait to be written below the first tier; undefined = a write waits for all tiers. */
  readonly pendingLimit: number | undefined;
  readonly sync: boolean;
  readonly logger: Logger;
  readonly checkOpen: () => void;
}

/** An extension for a copy whose own isn't known: a codec's name mostly is one. */
const EXTENSION = /^[a-z0-9]{1,16}$/;

/**
 * The last tier, the home, has every entry with all its facts; the others have copies, which can be missing at any
 * time. A look-up goes down until it finds something and leaves copies on its way back. A change goes to the home
 * first, so that no copy is newer than what is kept.
 */
export class TieredNamespace implements StoreNamespace {
  readonly name: string;
  readonly getSync?: (key: string) => StoredValue | undefined;
  readonly path?: (key: string, options: { verify: boolean }) => Promise<PathLease | undefined>;
  readonly flight?: (
    key: string,
    options: { timeout: number; signal?: AbortSignal },
  ) => Promise<Flight | undefined>;

  readonly #tiers: readonly [Tier, ...Tier[]];
  readonly #home: Tier;
  readonly #copies: readonly Tier[];
  readonly #flights: StoreNamespace | undefined;
  readonly #pending: PendingWrites | undefined;
  readonly #logger: Logger;
  readonly #checkOpen: () => void;
  readonly #queue = new KeyQueue();
  /** Changes when many keys are removed at once, so that no copy is left of what was read before. */
  #removals = 0;

  constructor(parts: TieredParts) {
    this.name = parts.name;
    this.#tiers = parts.tiers;
    this.#home = parts.tiers.at(-1) as Tier;
    this.#copies = parts.tiers.slice(0, -1);
    this.#logger = parts.logger;
    this.#checkOpen = parts.checkOpen;
    if (parts.pendingLimit !== undefined && this.#copies.length > 0) {
      const write = (key: string, bytes: Uint8Array, facts: NewFacts) => this.#writeDown(key, bytes, facts);
      this.#pending = new PendingWrites(parts.pendingLimit, write);
    }
    if (parts.sync) this.getSync = (key) => this.#getSync(key);
    if (parts.tiers.some(({ target }) => target.path)) this.path = (key, how) => this.#path(key, how);
    this.#flights = parts.tiers.findLast(({ target }) => target.flight)?.target;
    const flights = this.#flights;
    if (flights !== undefined) this.flight = async (key, options) => flights.flight?.(key, options);
  }

  get settings(): NamespaceSettings {
    return this.#home.target.settings;
  }

  /** That of the first tier: what it has is held decoded as long as it believes it itself. */
  get coherence(): Coherence | undefined {
    return this.#tiers[0].target.coherence;
  }

  async get(key: string, options: GetFromStore = {}): Promise<StoredValue | undefined> {
    this.#checkOpen();
    return this.#queue.read(key, async () => {
      if (options.version !== undefined) return this.#fromHome(key, options);
      return (await this.#find(key)) ?? (options.stale ? this.#fromHome(key, options) : undefined);
    });
  }

  async has(key: string): Promise<boolean> {
    this.#checkOpen();
    return this.#queue.read(key, async () => {
      const pending = this.#isPending(key);
      if (pending !== undefined) return pending;
      return (await this.#firstOf(key, async (target) => (await target.has(key)) || undefined)) ?? false;
    });
  }

  async set(key: string, value: EncodedValue, facts: NewFacts): Promise<EntryFacts> {
    this.#checkOpen();
    // One copy for all tiers, made before the caller may change its own.
    const bytes = new Uint8Array(Buffer.concat(value.parts));
    const own = structuredClone(facts);
    return this.#queue.write(key, () => this.#set(key, bytes, own));
  }

  /** Goes to the home, past the queue of pending writes; look-ups bring the copies. */
  async writer(
    key: string,
    options: { extension: string; sizeHint?: number; signal?: AbortSignal },
  ): Promise<ValueWriter> {
    this.#checkOpen();
    const writer = await this.#home.on(key, (home) => home.writer(key, options));
    return {
      write: (chunk) => writer.write(chunk),
      abort: () => writer.abort(),
      commit: (facts) => {
        const fenced = this.#factsFor(this.#home, facts);
        return this.#queue.write(key, async () => {
          await this.#withdraw(key);
          const stored = await this.#home.on(key, () => writer.commit(fenced));
          await this.#removeCopies(key);
          return stored;
        });
      },
    };
  }

  /** Rejects when a tier fails, after having removed the key from all others: that tier may still show it to others. */
  async delete(key: string): Promise<boolean> {
    this.#checkOpen();
    return this.#queue.write(key, async () => {
      const waited = this.#isPending(key) ?? false;
      await this.#withdraw(key);
      const results = await this.#inAll((tier) => tier.change(key, (target) => target.delete(key)));
      return waited || results.includes(true);
    });
  }

  async info(key: string): Promise<EntryFacts | undefined> {
    this.#checkOpen();
    return this.#queue.read(key, async () => {
      await this.#pending?.settled(key);
      const infos: EntryFacts[] = [];
      for (const tier of this.#tiers.toReversed()) {
        const found = await this.#tried(tier, () => tier.on(key, (target) => target.info(key)));
        if (found !== undefined) infos.push(found);
      }
      const [facts] = infos;
      return (
        facts && {
          ...facts,
          accessCount: infos.reduce((sum, { accessCount }) => sum + accessCount, 0),
          lastAccessed: Math.max(...infos.map(({ lastAccessed }) => lastAccessed)),
        }
      );
    });
  }

  async list(options: ListQuery): Promise<Page> {
    this.#checkOpen();
    await this.flush();
    return this.#home.target.list(options);
  }

  async touch(key: string, changes: FactChanges): Promise<EntryFacts | undefined> {
    this.#checkOpen();
    const own = structuredClone(changes);
    return this.#queue.write(key, async () => {
      await this.#pending?.settled(key);
      const facts = await this.#home.on(key, (home) => home.touch(key, own));
      await this.#removeCopies(key);
      return facts;
    });
  }

  async clear(): Promise<number> {
    return this.#removeMany((target) => target.clear());
  }

  /** Copies don't know their tags, so that all of them go. */
  async deleteByTag(tag: string): Promise<number> {
    return this.#removeMany((target) =>
      target === this.#home.target ? target.deleteByTag(tag) : target.clear(),
    );
  }

  /** How many expired in the home. */
  async expire(now: number): Promise<number> {
    this.#checkOpen();
    await this.flush();
    let count = 0;
    for (const tier of this.#tiers) {
      const expired = await this.#tried(tier, async () => {
        await tier.settle();
        return tier.target.expire(now);
      });
      count = expired ?? 0;
    }
    return count;
  }

  /** The home's. */
  usage(): Usage {
    return this.#home.target.usage();
  }

  async versions(key: string): Promise<readonly EntryFacts[]> {
    this.#checkOpen();
    return this.#queue.read(key, async () => {
      await this.#pending?.settled(key);
      return (await this.#home.target.versions?.(key)) ?? [];
    });
  }

  /** Resolves when no acknowledged write waits any more. */
  async flush(): Promise<void> {
    await this.#pending?.flush();
  }

  /** Takes copies away of what the home has evicted; all of them where not every key is known. */
  async forget(keys: readonly string[], isComplete: boolean): Promise<void> {
    this.#removals++;
    if (isComplete) for (const key of keys) await this.#removeCopies(key);
    else
      for (const tier of this.#copies)
        await this.#tried(tier, () => tier.changeAll((target) => target.clear()));
  }

  async #set(key: string, bytes: Uint8Array, facts: NewFacts): Promise<EntryFacts> {
    const pending = this.#pending;
    const value = { parts: [bytes], byteLength: bytes.byteLength };
    if (pending !== undefined && facts.fence === undefined) {
      const [first] = this.#tiers;
      const stored = await this.#tried(first, () =>
        first.change(key, (target) => target.set(key, value, first.factsOfCopy(facts))),
      );
      if (stored !== undefined) {
        await pending.add(key, bytes, facts);
        return { ...stored, expiresAt: facts.expiresAt };
      }
    }
    await this.#withdraw(key);
    return this.#setThrough(key, value, facts);
  }

  async #setThrough(key: string, value: EncodedValue, facts: NewFacts): Promise<EntryFacts> {
    let stored: EntryFacts | undefined;
    let failure: unknown;
    for (const tier of this.#tiers.toReversed()) {
      // The home may drop a write whose fence is outdated, without a word; copies then come by look-ups.
      const isVoid = tier !== this.#home && facts.fence !== undefined;
      try {
        const taken = await tier.change(key, async (target) => {
          if (!isVoid) return target.set(key, value, this.#factsFor(tier, facts));
          await target.delete(key);
          return undefined;
        });
        stored ??= taken;
      } catch (error) {
        failure ??= error;
        this.#warn(tier, error);
      }
    }
    if (stored !== undefined) return { ...stored, expiresAt: facts.expiresAt };
    throw failure;
  }

  /** What was written to the first tier goes to the others. A tier that fails is owed the key. */
  async #writeDown(key: string, bytes: Uint8Array, facts: NewFacts): Promise<void> {
    const value = { parts: [bytes], byteLength: bytes.byteLength };
    for (const tier of this.#tiers.slice(1).toReversed()) {
      await this.#tried(tier, () =>
        tier.change(key, (target) => target.set(key, value, this.#factsFor(tier, facts))),
      );
    }
  }

  async #find(key: string): Promise<StoredValue | undefined> {
    const removals = this.#removals;
    for (const [index, tier] of this.#tiers.entries()) {
      if (index === 1) await this.#pending?.settled(key);
      const value = await this.#tried(tier, () => tier.on(key, (target) => target.get(key)));
      if (value === undefined) continue;
      if (index === 0) return value;
      await this.#copyUp(key, value, { below: index, removals });
      return unplaced(value);
    }
    return undefined;
  }

  /** Leaves copies in the tiers above the one that had the value, with what is left of its time to live. */
  async #copyUp(
    key: string,
    found: StoredValue,
    { below, removals }: { below: number; removals: number },
  ): Promise<void> {
    const { bytes, codec, expiresAt } = found;
    try {
      if (found.ready !== undefined) await found.ready(0, bytes.byteLength);
      else found.verify?.(0, bytes.byteLength);
    } catch {
      // Whoever asked will find out; nothing damaged is spread.
      return;
    }
    const facts = { codec, extension: EXTENSION.test(codec) ? codec : "dat", expiresAt };
    const value = { parts: [bytes], byteLength: bytes.byteLength };
    for (const tier of this.#tiers.slice(0, below)) {
      if (this.#removals !== removals) return;
      await this.#tried(tier, () =>
        tier.change(key, (target) => target.set(key, value, tier.factsOfCopy(facts))),
      );
      if (this.#removals !== removals) await this.#removeCopies(key);
    }
  }

  #getSync(key: string): StoredValue | undefined {
    this.#checkOpen();
    for (const [index, tier] of this.#tiers.entries()) {
      const value = tier.isClean(key) ? tier.target.getSync?.(key) : undefined;
      if (value !== undefined) return index === 0 ? value : unplaced(value);
      // What lies further down is older than what waits to be written there.
      if (this.#isPending(key) !== undefined) return undefined;
    }
    return undefined;
  }

  async #path(key: string, options: { verify: boolean }): Promise<PathLease | undefined> {
    this.#checkOpen();
    return this.#queue.read(key, async () => {
      await this.#pending?.settled(key);
      return this.#firstOf(key, async (target) => target.path?.(key, options));
    });
  }

  async #fromHome(key: string, options: GetFromStore): Promise<StoredValue | undefined> {
    await this.#pending?.settled(key);
    const value = await this.#home.on(key, (home) => home.get(key, options));
    return value && unplaced(value);
  }

  async #firstOf<T>(
    key: string,
    ask: (target: StoreNamespace) => Promise<T | undefined>,
  ): Promise<T | undefined> {
    for (const tier of this.#tiers) {
      const answer = await this.#tried(tier, () => tier.on(key, ask));
      if (answer !== undefined) return answer;
    }
    return undefined;
  }

  async #removeMany(remove: (target: StoreNamespace) => Promise<number>): Promise<number> {
    this.#checkOpen();
    await this.flush();
    this.#removals++;
    try {
      const results = await this.#inAll((tier) => tier.changeAll(remove));
      return results[0] ?? 0;
    } finally {
      this.#removals++;
    }
  }

  /** Does the same in all tiers, the home first; rejects with the first failure after having tried all. */
  async #inAll<T>(operation: (tier: Tier) => Promise<T>): Promise<readonly T[]> {
    const results: T[] = [];
    const failures: unknown[] = [];
    for (const tier of this.#tiers.toReversed()) {
      try {
        results.push(await operation(tier));
      } catch (error) {
        failures.push(error);
      }
    }
    if (failures.length > 0) throw failures[0];
    return results;
  }

  async #removeCopies(key: string): Promise<void> {
    for (const tier of this.#copies) {
      await this.#tried(tier, () => tier.change(key, (target) => target.delete(key)));
    }
  }

  /** Takes a waiting write back, or waits for the one that is under way. */
  async #withdraw(key: string): Promise<void> {
    this.#pending?.drop(key);
    await this.#pending?.settled(key);
  }

  /** Whether what waits to be written on the key is still to be served; undefined where nothing waits. */
  #isPending(key: string): boolean | undefined {
    const expiresAt = this.#pending?.expiryOf(key);
    return expiresAt === undefined ? undefined : expiresAt === null || now() < expiresAt;
  }

  #factsFor(tier: Tier, facts: NewFacts): NewFacts {
    if (tier !== this.#home) return tier.factsOfCopy(facts);
    const { fence: _, ...unfenced } = facts;
    return tier.target === this.#flights ? facts : unfenced;
  }

  /** undefined where the tier fails: it counts as empty. */
  async #tried<T>(tier: Tier, operation: () => Promise<T>): Promise<T | undefined> {
    try {
      return await operation();
    } catch (error) {
      if (isQuiverError(error, "ERR_QUIVER_CLOSED")) throw error;
      this.#warn(tier, error);
      return undefined;
    }
  }

  #warn(tier: Tier, error: unknown): void {
    // What has no room in a small tier is no failure of it.
    if (isQuiverError(error, "ERR_QUIVER_TOO_LARGE")) return;
    const number = this.#tiers.indexOf(tier) + 1;
    const reason = error instanceof Error ? error.message : String(error);
    this.#logger.warn(`tier ${number} of "${this.name}" is passed over: ${reason}`, `tier ${number}`);
  }
}
