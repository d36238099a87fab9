/** One namespace whose entries lie in several stores. */

import type { EncodedValue } from "../codecs/codec.ts";
import { KeyQueue } from "../shared/key-queue.ts";
import { compareKeys } from "../shared/keys.ts";
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
} from "../stores/store.ts";
import { unplaced } from "../stores/stored-value.ts";
import { sumUsage } from "../stores/usage.ts";
import type { Route } from "./rules.ts";

/** A rule and the namespace in its store. */
export interface Leg {
  readonly route: Route;
  readonly target: StoreNamespace;
}

/**
 * A value is found whichever rule stored it: lookups ask the stores in the order of the rules, and a write takes
 * the key out of the stores that come before or after the one it goes to. It does so after storing, so that a key
 * is never without a value between two values; a process that dies in between leaves the older or the newer
 * value of that write, never a third. Replaced values are kept only while they stay in one store.
 */
export class RoutedNamespace implements StoreNamespace {
  readonly name: string;
  /**
   * That of the last rule's store: values from other stores are not held decoded. It covers those that move
   * away from there, because moving deletes them there.
   */
  readonly coherence: Coherence | undefined;
  readonly getSync?: (key: string) => StoredValue | undefined;
  readonly path?: (key: string, options: { verify: boolean }) => Promise<PathLease | undefined>;
  readonly flight?: (
    key: string,
    options: { timeout: number; signal?: AbortSignal },
  ) => Promise<Flight | undefined>;

  readonly #legs: readonly Leg[];
  readonly #targets: readonly StoreNamespace[];
  readonly #home: StoreNamespace;
  /** The one whose flights count for all; its fences mean nothing to the others. */
  readonly #flights: StoreNamespace | undefined;
  readonly #queue = new KeyQueue();

  /** `legs` in the order of their rules, the last one without conditions. */
  constructor(name: string, legs: readonly Leg[]) {
    this.name = name;
    this.#legs = legs;
    this.#targets = [...new Set(legs.map((leg) => leg.target))];
    this.#home = (legs.at(-1) as Leg).target;
    this.coherence = this.#home.coherence;
    this.#flights = this.#targets.findLast((target) => target.flight !== undefined);
    if (this.#targets.every((target) => target.getSync !== undefined))
      this.getSync = (key) => this.#getSync(key);
    if (this.#targets.some((target) => target.path !== undefined))
      this.path = (key, how) => this.#path(key, how);
    const flights = this.#flights;
    if (flights !== undefined) this.flight = async (key, options) => flights.flight?.(key, options);
  }

  get settings(): NamespaceSettings {
    return this.#home.settings;
  }

  async get(key: string, options: GetFromStore = {}): Promise<StoredValue | undefined> {
    return this.#first(key, async (target) => {
      const value = await target.get(key, options);
      return value && this.#handOut(target, value);
    });
  }

  async has(key: string): Promise<boolean> {
    return (await this.#first(key, async (target) => (await target.has(key)) || undefined)) ?? false;
  }

  async set(key: string, value: EncodedValue, facts: NewFacts): Promise<EntryFacts> {
    const target = this.#choose(key, value.byteLength);
    const fenced = this.#fence(target, facts);
    // Taken here and not in the queue: the caller may change the parts once the call has returned.
    const own = this.#queue.isIdle(key) ? value : copyOf(value);
    return this.#queue.write(key, async () => this.#settle(key, target, await target.set(key, own, fenced)));
  }

  async writer(
    key: string,
    options: { extension: string; sizeHint?: number; signal?: AbortSignal },
  ): Promise<ValueWriter> {
    const target = this.#choose(key, options.sizeHint);
    const writer = await target.writer(key, options);
    return {
      write: (chunk) => writer.write(chunk),
      abort: () => writer.abort(),
      commit: (facts) =>
        this.#queue.write(key, async () =>
          this.#settle(key, target, await writer.commit(this.#fence(target, facts))),
        ),
    };
  }

  async delete(key: string): Promise<boolean> {
    return this.#queue.write(key, async () => {
      let found = false;
      for (const target of this.#targetsOf(key)) found = (await target.delete(key)) || found;
      return found;
    });
  }

  async info(key: string): Promise<EntryFacts | undefined> {
    return this.#first(key, (target) => target.info(key));
  }

  async list(options: ListQuery): Promise<Page> {
    const pages = await Promise.all(this.#targets.map((target) => target.list(options)));
    // Of a page that is not the last only what comes up to its end is known.
    const ends = pages.map((page) => page.next).filter((next) => next !== undefined);
    const end = ends.sort(compareKeys)[0];
    const entries = new Map<string, EntryFacts>();
    for (const entry of pages.flatMap((page) => page.entries)) {
      const known = end === undefined || compareKeys(entry.key, end) <= 0;
      if (known && !entries.has(entry.key)) entries.set(entry.key, entry);
    }
    const sorted = [...entries.values()].sort((left, right) => compareKeys(left.key, right.key));
    const shown = sorted.slice(0, options.limit);
    return { entries: shown, next: shown.length < sorted.length ? shown.at(-1)?.key : end };
  }

  async touch(key: string, changes: FactChanges): Promise<EntryFacts | undefined> {
    return this.#queue.write(key, () => this.#ask(key, (target) => target.touch(key, changes)));
  }

  clear(): Promise<number> {
    return this.#sum((target) => target.clear());
  }

  deleteByTag(tag: string): Promise<number> {
    return this.#sum((target) => target.deleteByTag(tag));
  }

  expire(now: number): Promise<number> {
    return this.#sum((target) => target.expire(now));
  }

  usage(): Usage {
    return sumUsage(this.#targets.map((target) => target.usage()));
  }

  async versions(key: string): Promise<readonly EntryFacts[]> {
    const lying = await this.#first(key, async (target) => ((await target.has(key)) ? target : undefined));
    return (await lying?.versions?.(key)) ?? [];
  }

  /** Does not wait for writes under way; they may move the key from one store to another meanwhile. */
  #getSync(key: string): StoredValue | undefined {
    for (const target of this.#targetsOf(key)) {
      const value = target.getSync?.(key);
      if (value !== undefined) return this.#handOut(target, value);
    }
    return undefined;
  }

  async #path(key: string, options: { verify: boolean }): Promise<PathLease | undefined> {
    return this.#first(key, async (target) => target.path?.(key, options));
  }

  /** Takes the key out of the stores that it does not lie in any more. */
  async #settle(key: string, stored: StoreNamespace, facts: EntryFacts): Promise<EntryFacts> {
    for (const target of this.#targetsOf(key)) if (target !== stored) await target.delete(key);
    return facts;
  }

  /** Stores that can hold the key, whatever its size, in the order of the rules. */
  #targetsOf(key: string): readonly StoreNamespace[] {
    const targets = new Set<StoreNamespace>();
    for (const { route, target } of this.#legs) if (route.match?.(key) ?? true) targets.add(target);
    return [...targets];
  }

  #choose(key: string, byteLength: number | undefined): StoreNamespace {
    const leg = this.#legs.find(({ route }) => {
      const unbounded = route.minBytes === 0 && route.maxBytes === Number.POSITIVE_INFINITY;
      const fits =
        byteLength === undefined ? unbounded : byteLength >= route.minBytes && byteLength <= route.maxBytes;
      return fits && (route.match?.(key) ?? true);
    });
    return leg?.target ?? this.#home;
  }

  #fence(target: StoreNamespace, facts: NewFacts): NewFacts {
    if (facts.fence === undefined || target === this.#flights) return facts;
    const { fence: _, ...others } = facts;
    return others;
  }

  #handOut(target: StoreNamespace, value: StoredValue): StoredValue {
    return target === this.#home ? value : unplaced(value);
  }

  /** The first answer of the stores in the order of the rules, as a read of the key. */
  #first<T>(key: string, ask: (target: StoreNamespace) => Promise<T | undefined>): Promise<T | undefined> {
    return this.#queue.read(key, () => this.#ask(key, ask));
  }

  async #ask<T>(
    key: string,
    ask: (target: StoreNamespace) => Promise<T | undefined>,
  ): Promise<T | undefined> {
    for (const target of this.#targetsOf(key)) {
      const answer = await ask(target);
      if (answer !== undefined) return answer;
    }
    return undefined;
  }

  async #sum(act: (target: StoreNamespace) => Promise<number>): Promise<number> {
    let sum = 0;
    for (const target of this.#targets) sum += await act(target);
    return sum;
  }
}

function copyOf(value: EncodedValue): EncodedValue {
  return { ...value, parts: value.parts.map((part) => part.slice()) };
}
