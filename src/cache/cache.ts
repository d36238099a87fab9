/** The cache: one root, or one store, opened by this process. */

import { isDeepStrictEqual } from "node:util";
import { notConstructed } from "../shared/arguments.ts";
import { now } from "../shared/clock.ts";
import { cacheClosed, QuiverError } from "../shared/errors.ts";
import { checkNamespace } from "../shared/keys.ts";
import { badOption, checkOptions } from "../shared/options.ts";
import type { CounterKeeper } from "../stores/counters.ts";
import type { Maintenance } from "../stores/local/maintenance.ts";
import { type LocalDescription, LocalStore } from "../stores/local.ts";
import type { NamespaceSettings, StoreCapabilities, Usage } from "../stores/store.ts";
import { CodecSet } from "./codec-set.ts";
import type { CacheContext } from "./context.ts";
import { type CacheEventMap, CacheEvents, checkCallable, checkListener } from "./events.ts";
import { type EvictionReport, Evictor } from "./evictor.ts";
import { swallow } from "./failures.ts";
import { Guard } from "./guard.ts";
import { HotTier } from "./hot.ts";
import { invalidate, type Selection } from "./invalidate.ts";
import { Latencies, type LatencyListener } from "./latencies.ts";
import { measure } from "./listing.ts";
import type { Memoized, MemoizedOf, Memoizee, MemoizeOptions } from "./memoize.ts";
import { type Metrics, takeMetrics } from "./metrics.ts";
import { Namespace } from "./namespace.ts";
import { LazyNamespaceLink } from "./namespace-link.ts";
import { OpenNamespaces } from "./namespaces.ts";
import { type Opening, prepareOpening } from "./opening.ts";
import type { CacheOptions, NamespaceOptions, Origin, ResolvedNamespaceOptions } from "./options.ts";
import { PendingWork } from "./pending-work.ts";
import type { PipelineOptions } from "./pipeline-options.ts";
import { RootWatch } from "./root-watch.ts";
import {
  addCounters,
  type CacheStatistics,
  ProcessCounters,
  type Statistics,
  sumStatistics,
  Tally,
} from "./statistics.ts";
import { VERIFY_OPTIONS, type VerifyOptions, type VerifyReport, verifyEntries } from "./verify.ts";
import { type Recipe, WARM_OPTIONS, type WarmOptions, type WarmReport, warm } from "./warm.ts";
import { type WarmInputsOptions, type WarmInputsReport, warmInputs } from "./warm-inputs.ts";

/** How often counts of this process are added to those of all. */
const FLUSH_PERIOD = 1000;

/** What a cache consists of. */
export interface CacheDescription {
  /** undefined where a store of the user's own takes the place of the disk. */
  readonly path: string | undefined;
  readonly mode: "read-write" | "read-only";
  readonly stores: readonly (Usage & { readonly name: string; readonly capabilities: StoreCapabilities })[];
  readonly namespaces: readonly (Usage & { readonly name: string; readonly settings: NamespaceSettings })[];
  /** Bytes of decoded values held in memory. */
  readonly held: number;
  /** What the store on the disk knows of itself: its file system as found by trying, values in use, format. */
  readonly local?: LocalDescription;
}

interface Handle {
  readonly namespace: Namespace;
  readonly options: ResolvedNamespaceOptions;
}

/**
 * Any number of processes may have the same cache open. Options are fixed once it is open. Values are had through
 * namespaces; what concerns several of them is here.
 */
export class Cache implements AsyncDisposable {
  readonly #opening: Opening;
  readonly #context: CacheContext;
  readonly #evictor: Evictor;
  readonly #flushTimer: NodeJS.Timeout;
  readonly #namespaces: OpenNamespaces;
  /** undefined where no store on the disk has a catalog in the folder. */
  readonly #watch: RootWatch | undefined;
  readonly #handles = new Map<string, Handle>();
  #closing: Promise<void> | undefined;

  private constructor(opening: Opening) {
    if (opening?.router === undefined) throw notConstructed("Cache", "Cache.open(path)");
    this.#opening = opening;
    const { options, logger, router, given } = opening;
    const events = new CacheEvents(logger, opening.path);
    this.#context = {
      options,
      logger,
      events,
      tally: new Tally(counterKeeperOf(opening)),
      latencies: new Latencies(logger),
      memory: new HotTier(options.memoryLimit),
      codecs: new CodecSet(given.codecs ?? []),
      pending: new PendingWork(),
      isClosed: () => this.#closing !== undefined,
      checkOpen: () => {
        if (this.#closing !== undefined) throw cacheClosed();
      },
      checkWritable: () => this.#checkWritable(),
      open: (name, settings) => this.#namespaces.open(name, settings),
      noteWrite: () => this.#evictor.noteWrite(),
    };
    this.#namespaces = new OpenNamespaces(opening, this.#context, (name) => this.#handles.get(name)?.options);
    this.#evictor = new Evictor({
      stores: router.stores,
      limits: options,
      policy: options.eviction,
      threshold: options.evictionThreshold,
      targets: () => this.#namespaces.targets,
      onEvict: (result, namespace) => {
        this.#context.tally.countEvictions(result, namespace);
        events.emit("evict", { ...result, namespace });
      },
      onExpire: (namespace, count) => {
        this.#context.tally.of(namespace).expired += count;
        events.emit("expire", { namespace, count });
      },
      onError: (error) => logger.error(`eviction failed: ${String(error)}`, "eviction"),
      enabled: options.mode === "read-write",
    });
    const { path } = opening;
    const local = this.#localStore;
    this.#watch = local && path !== undefined ? new RootWatch(path, local.describe().uuid) : undefined;
    this.#flushTimer = setInterval(() => {
      this.#flush();
      void this.#watch?.look();
    }, FLUSH_PERIOD);
    this.#flushTimer.unref();
  }

  /**
   * Opens the cache in a folder, making it where there is none. Without a path: QUIVER_PATH, or `quiver` in the
   * platform's folder for caches. Rejects with ERR_QUIVER_BAD_OPTION, naming the field, for what makes no sense, and
   * with ERR_QUIVER_SETTINGS_DIFFER for what differs from what the cache has recorded.
   */
  static async open(path?: string, options?: CacheOptions): Promise<Cache>;
  /** The same in the form for services. */
  static async open(options: PipelineOptions): Promise<Cache>;
  static async open(where?: string | PipelineOptions, options: CacheOptions = {}): Promise<Cache> {
    const opening = await prepareOpening(where, options);
    const cache = new Cache(opening);
    try {
      const known = await cache.#within([], "", () => opening.router.names());
      for (const name of new Set([...known, ...opening.configured])) {
        checkNamespace(name);
        const { settings } = cache.#namespaces.resolve(name, {});
        await cache.#within(undefined, name, () => cache.#namespaces.open(name, settings));
      }
    } catch (error) {
      await cache.#stop();
      // A store of the caller's own stays the caller's until there is a cache that it belongs to.
      if (options.store === undefined) await opening.store.close();
      throw error;
    }
    return cache;
  }

  /** The directory; undefined where a store of the user's own takes the place of the disk. */
  get path(): string | undefined {
    return this.#opening.path;
  }

  /**
   * A namespace, made by its first operation where there is none. Options given again must be the same. Throws
   * ERR_QUIVER_BAD_NAMESPACE and ERR_QUIVER_BAD_OPTION; settings that differ from recorded ones are the first
   * operation's ERR_QUIVER_SETTINGS_DIFFER.
   */
  namespace<T = unknown>(name: string, options?: NamespaceOptions): Namespace<T> {
    this.#checkOpen();
    checkNamespace(name);
    const known = this.#handles.get(name);
    if (known === undefined) return this.#makeHandle(name, options).namespace as Namespace<T>;
    if (options !== undefined && !isDeepStrictEqual(this.#namespaces.resolve(name, options), known.options)) {
      throw new QuiverError(
        "ERR_QUIVER_SETTINGS_DIFFER",
        `namespace "${name}" is in use with other options`,
        {
          fix: "Give options where the namespace is first asked for, or where the cache is opened.",
        },
      );
    }
    return known.namespace as Namespace<T>;
  }

  /** Names of all namespaces there are, sorted. */
  async namespaces(): Promise<readonly string[]> {
    this.#checkOpen();
    return this.#opening.router.names();
  }

  /** Calls `listener` for each event; the returned function removes it. */
  on<Name extends keyof CacheEventMap>(
    name: Name,
    listener: (event: CacheEventMap[Name]) => void,
  ): () => void {
    checkListener(name, listener);
    return this.#context.events.on(name, listener);
  }

  /** Removes a listener; one that was never added is no error. */
  off<Name extends keyof CacheEventMap>(name: Name, listener: (event: CacheEventMap[Name]) => void): void {
    this.#context.events.off(name, listener);
  }

  /** Stores and opened namespaces with what they hold and can do. */
  describe(): CacheDescription {
    this.#checkOpen();
    const { path, options, router } = this.#opening;
    return {
      path,
      mode: options.mode,
      stores: router.stores.map((store) => ({
        name: store.name,
        capabilities: store.capabilities,
        ...store.usage(),
      })),
      namespaces: this.#namespaces.targets
        .map(({ namespace }) => ({
          name: namespace.name,
          settings: namespace.settings,
          ...namespace.usage(),
        }))
        .sort((left, right) => (left.name < right.name ? -1 : 1)),
      held: this.#context.memory.weight,
      ...(this.#localStore && { local: this.#localStore.describe() }),
    };
  }

  /**
   * Work on the files: sweep, compact, back up, adopt, measure. undefined where a store of the user's own takes the
   * place of the disk.
   */
  get maintenance(): Maintenance | undefined {
    return this.#localStore?.maintenance;
  }

  /** Each option with its value and where that came from. */
  explainConfig(): readonly Origin[] {
    return this.#opening.origins;
  }

  /** Sums and the table of namespaces. Looks at every entry for the times of access. */
  async stats(): Promise<CacheStatistics> {
    const namespaces: Record<string, Statistics> = {};
    for (const store of await this.#namespaces.openAll()) {
      namespaces[store.name] = await measure(store, this.#context.tally.read(store.name));
    }
    const sums = sumStatistics(Object.values(namespaces), this.#context.tally.unattributed());
    return { ...sums, namespaces };
  }

  /**
   * The same numbers without the times of access, with latencies, failures by kind and the volume: totals only, so
   * that it may be asked for every few seconds. `prometheusText` and `reportToOpenTelemetry` pass them on.
   */
  async metrics(): Promise<Metrics> {
    this.#checkOpen();
    // They are looked at most when a store is away.
    const opened = this.#namespaces.targets.map(({ namespace }) => namespace);
    const namespaces = await this.#within(opened, "", () => this.#namespaces.openAll());
    const { tally, latencies, memory, options } = this.#context;
    return takeMetrics({
      at: now(),
      path: this.path,
      maxSize: options.maxSize,
      namespaces,
      allocated: this.#opening.router.stores.reduce((sum, store) => sum + store.usage().allocated, 0),
      tally,
      latencies,
      held: memory.weight,
    });
  }

  /**
   * Calls `listener` with how long each operation took that memory did not answer, in microseconds; of reads one in
   * sixteen. It runs in the middle of the operation; what it throws is logged. The returned function removes it.
   */
  onLatency(listener: LatencyListener): () => void {
    checkCallable(listener);
    return this.#context.latencies.on(listener);
  }

  /** Removes what has expired, and brings usage under the low-water marks where it is over the high ones. */
  async evict(): Promise<EvictionReport> {
    this.#checkOpen();
    this.#checkWritable();
    await this.#namespaces.openAll();
    return this.#evictor.run();
  }

  /** Reads every entry and checks it; with `repair` damaged ones are deleted. */
  async verify(options: VerifyOptions = {}): Promise<VerifyReport> {
    checkOptions(options, VERIFY_OPTIONS);
    const namespaces = await this.#namespaces.openAll();
    if (options.repair) this.#checkWritable();
    return verifyEntries(namespaces, this.#context.codecs, options);
  }

  /** Removes all entries of all namespaces; how many there were in each. */
  async clear(): Promise<Readonly<Record<string, number>>> {
    this.#checkOpen();
    const cleared: Record<string, number> = {};
    for (const name of await this.namespaces()) cleared[name] = await this.namespace(name).clear();
    return cleared;
  }

  /** Removes what is selected in all namespaces or in one; how many entries. */
  async invalidate(selection: Selection): Promise<number> {
    this.#checkOpen();
    this.#checkWritable();
    return invalidate(
      {
        namespaces: () => this.#within([], "", () => this.namespaces()),
        namespace: (name) => this.namespace(name),
        deleteByTag: async (name, tag) => {
          const deleted = await this.#within(0, name, async () =>
            (await this.#namespaces.openByName(name)).deleteByTag(tag),
          );
          this.#context.tally.of(name).deletes += deleted;
          return deleted;
        },
      },
      selection,
    );
  }

  /** The function with its results kept in `options.namespace`; see `Namespace.memoize`. */
  memoize<Fn extends Memoizee>(
    fn: Fn,
    options: MemoizeOptions<Parameters<Fn>> & { readonly namespace: string },
  ): MemoizedOf<Fn> {
    if (typeof options !== "object" || options === null) {
      throw badOption("options", options, "an object that names a namespace");
    }
    const { namespace, ...rest } = options;
    return this.namespace(namespace).memoize(fn, rest as MemoizeOptions<Parameters<Fn>>);
  }

  /**
   * Computes the missing keys of a list of recipes. What is there is left alone, so that a call which was
   * interrupted is taken up by the next. Failures are reported, and keep nothing else from being computed.
   */
  warm(recipes: readonly Recipe[], options?: WarmOptions): Promise<WarmReport>;
  /** The same for inputs of a memoised function. */
  warm<Input, Args extends readonly unknown[] | []>(
    inputs: Iterable<Input>,
    memoized: Memoized<Args, unknown>,
    options?: WarmInputsOptions<Input, Args>,
  ): Promise<WarmInputsReport<Input>>;
  async warm(
    what: Iterable<unknown>,
    how: Memoized<readonly unknown[], unknown> | WarmOptions = {},
    options: WarmInputsOptions<unknown, readonly unknown[]> = {},
  ): Promise<WarmReport | WarmInputsReport<unknown>> {
    this.#checkOpen();
    if (typeof how !== "function") return this.#warmRecipes(what as readonly Recipe[], how);
    this.#checkWritable();
    return warmInputs(what, how, options);
  }

  #warmRecipes(recipes: readonly Recipe[], options: WarmOptions): Promise<WarmReport> {
    checkOptions(options, WARM_OPTIONS);
    if (!options.dryRun) this.#checkWritable();
    return warm(
      {
        has: (name, key) => this.namespace(name).has(key),
        compute: (name, key, task) => this.#computeMissing(name, key, task),
      },
      recipes,
      options,
    );
  }

  /** Waits for writes that are under way, then lets go of everything. Calls after this reject with ERR_QUIVER_CLOSED; closing twice is no error. */
  close(): Promise<void> {
    this.#closing ??= this.#close();
    return this.#closing;
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.close();
  }

  async #stop(): Promise<void> {
    clearInterval(this.#flushTimer);
    await this.#evictor.stop();
  }

  async #close(): Promise<void> {
    await this.#within(undefined, "", async () => {
      await this.#stop();
      await this.#context.pending.settled();
    });
    for (const { namespace } of this.#handles.values()) namespace.release();
    this.#flush();
    await this.#within(undefined, "", () => this.#opening.router.close());
  }

  /** What a call about the whole cache comes to; with `onError` "miss" within its budget, and `miss` when it fails. */
  #within<R>(miss: R, namespace: string, operation: () => Promise<R>): Promise<R> {
    return new Guard(this.#context, namespace, this.#context.options.onError).read(
      undefined,
      miss,
      operation,
    );
  }

  /** Whether the value was computed here. Rejects also when it could not be stored: then nothing was warmed. */
  async #computeMissing(
    name: string,
    key: string,
    task: Parameters<Parameters<typeof warm>[0]["compute"]>[2],
  ): Promise<boolean> {
    let computed = false;
    let failure: unknown;
    const remove = this.on("error", (event) => {
      if (event.namespace === name && event.key === key) failure = event.error;
    });
    try {
      const compute = ({ signal }: { readonly signal: AbortSignal }): unknown => {
        computed = true;
        return task.compute(signal);
      };
      const { signal } = task;
      await this.namespace(name).getOrCompute(key, compute, { ...task.options, ...(signal && { signal }) });
    } finally {
      remove();
    }
    if (computed && failure !== undefined) throw failure;
    return computed;
  }

  #makeHandle(name: string, options: NamespaceOptions = {}): Handle {
    if (options?.store !== undefined) {
      throw new QuiverError("ERR_QUIVER_BAD_OPTION", `the store of namespace "${name}" can't be given here`, {
        fix: "Give it to Cache.open as namespaces[name].store, or as a route.",
      });
    }
    const resolved = this.#namespaces.resolve(name, options);
    const link = new LazyNamespaceLink(this.#context, name, resolved.settings, this.#namespaces.get(name));
    const handle = { namespace: new Namespace(this.#context, resolved, link), options: resolved };
    this.#handles.set(name, handle);
    return handle;
  }

  /** Once a second, and at the end: counts go to the store, and what writes evicted is told. */
  #flush(): void {
    try {
      this.#context.tally.flush();
      this.#tellStoreEvictions();
    } catch (error) {
      swallow(this.#context, "", undefined, error);
    }
  }

  /** Writes that find the cache full make room themselves; the store has counted those evictions. */
  #tellStoreEvictions(): void {
    if (this.#context.options.mode === "read-only") return;
    const result = this.#localStore?.takeEvicted();
    if (result !== undefined && result.count > 0) {
      this.#context.events.emit("evict", { ...result, namespace: undefined });
    }
  }

  get #localStore(): LocalStore | undefined {
    const { store } = this.#opening;
    return store instanceof LocalStore ? store : undefined;
  }

  #checkOpen(): void {
    this.#context.checkOpen();
  }

  #checkWritable(): void {
    if (this.#context.options.mode === "read-only") {
      throw new QuiverError("ERR_QUIVER_READ_ONLY", 'the cache was opened with mode "read-only"');
    }
    this.#watch?.check();
  }
}

/** Where counts are kept: in the store where it can, else with the process. */
function counterKeeperOf({ store, options }: Opening): CounterKeeper | undefined {
  if (!("statistics" in store)) return undefined;
  const keeper = store.statistics as CounterKeeper;
  if (options.mode === "read-write") return keeper;
  // What a read-only process counts is shown to it and to nobody else.
  const own = new ProcessCounters();
  return {
    read: (name) => addCounters(keeper.read(name), own.read(name)),
    add: (name, counts) => own.add(name, counts),
  };
}
