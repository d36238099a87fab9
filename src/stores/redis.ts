/** The store on a Redis server, or one that speaks like it (Valkey, KeyDB). */

import { notConstructed } from "../shared/arguments.ts";
import { now } from "../shared/clock.ts";
import { QuiverError } from "../shared/errors.ts";
import { defaultLogger, type Logger } from "../shared/logger.ts";
import { checkOptions, type OptionNames } from "../shared/options.ts";
import { type Duration, parseDuration, parseSize, type Size } from "../shared/units.ts";
import { ListedScan } from "./listed-scan.ts";
import { connect, connectionOver, type RedisLike } from "./redis/connection.ts";
import { Link } from "./redis/link.ts";
import { RedisNamespace } from "./redis/namespace.ts";
import { arrayOf, baseOf } from "./redis/rows.ts";
import { completeSettings, parseSettings, reconcileSettings } from "./settings.ts";
import type {
  EvictionScan,
  NamespaceSettings,
  Store,
  StoreCapabilities,
  StoreNamespace,
  Usage,
} from "./store.ts";
import { sumUsage } from "./usage.ts";

/** Options of `RedisStore.open`. */
export interface RedisStoreOptions {
  /** Where the server is: `redis[s]://[[user][:password]@]host[:port][/database]`. Default: "redis://127.0.0.1:6379". */
  readonly url?: string;
  /** Path of a Unix socket, in place of a url. */
  readonly socketPath?: string;
  /** A connected client of yours, of @redis/client, ioredis or iovalkey, in place of a url. It stays open when the store is closed. */
  readonly client?: RedisLike;
  /** Begins every name in the server. Default: "quiver:". */
  readonly prefix?: string;
  /** How long an operation may take, besides a millisecond for each 16 KiB it moves. Default: "1s". */
  readonly timeout?: Duration;
  /** Larger values are ERR_QUIVER_TOO_LARGE. The server's own limit is 512 MB. Default: "256MB". */
  readonly maxValueSize?: Size;
  /** Default: "redis". */
  readonly name?: string;
  /** Is told when the server goes away and comes back. Default: warnings to standard error. */
  readonly logger?: Logger;
}

const OPTIONS: OptionNames<RedisStoreOptions> = {
  url: true,
  socketPath: true,
  client: true,
  prefix: true,
  timeout: true,
  maxValueSize: true,
  name: true,
  logger: true,
};

/** What the server says about itself. */
export interface RedisDescription {
  readonly version: string;
  /** Bytes of memory in use, by everything in the server. */
  readonly usedMemory: number;
  /** 0 = no limit. */
  readonly maxMemory: number;
  /** What the server does when it is full: "noeviction", "allkeys-lru", … */
  readonly maxMemoryPolicy: string;
  /** Keys that the server evicted since it was started. */
  readonly evicted: number;
  /** Keys that the server removed in time since it was started. */
  readonly expired: number;
}

/**
 * What holds: each operation is atomic on the server; a value is never torn or mixed with another's facts; entries
 * leave in time by the server's own clock. What doesn't: nobody here can tell without asking whether a value is
 * current, so that no decoded values are held in memory; usage is known as of this process's last operation; whole
 * seconds since the last access are the server's, accesses are counted only logarithmically and under an LFU policy;
 * and what the server's own eviction (maxmemory-policy) takes is gone whether it was pinned or not. Under an "allkeys-"
 * policy it may take indexes: then all entries of a namespace are missing, or a tag no longer finds its own. "noeviction"
 * with a `maxSize` of the cache, or a "volatile-" policy, leave them alone. How durable an acknowledged write is, is the
 * server's configuration.
 *
 * While the server can't be reached every call fails at once, with ERR_QUIVER_UNREACHABLE, and the store looks for it
 * ten times a second.
 */
export class RedisStore implements Store {
  readonly name: string;
  readonly capabilities: StoreCapabilities = {
    sync: false,
    persistent: true,
    shared: true,
    files: false,
    mapped: false,
    versions: false,
    stale: false,
    keeps: true,
  };

  readonly #prefix: string;
  readonly #maxValueSize: number;
  readonly #logger: Logger;
  readonly #link: Link;
  readonly #namespaces = new Map<string, RedisNamespace>();
  /** When an eviction last looked at everything; what was used after that counts as visited. */
  #scannedAt = 0;
  #closed = false;

  private constructor(options: RedisStoreOptions, makeLink: (store: RedisStore) => Link) {
    if (makeLink === undefined) throw notConstructed("RedisStore", "RedisStore.open(options)");
    this.name = options.name ?? "redis";
    this.#prefix = options.prefix ?? "quiver:";
    this.#maxValueSize = parseSize(options.maxValueSize ?? "256MB", "maxValueSize");
    this.#logger = options.logger ?? defaultLogger;
    this.#link = makeLink(this);
  }

  /**
   * Connects, or uses the client. Resolves after `timeout` at the latest, also when the server isn't there: it may
   * come. Rejects only with ERR_QUIVER_BAD_OPTION and ERR_QUIVER_UNSUPPORTED (no @redis/client).
   */
  static async open(options: RedisStoreOptions = {}): Promise<RedisStore> {
    checkOptions(options, OPTIONS);
    const timeout = parseDuration(options.timeout ?? "1s", "timeout");
    const { client, url, socketPath } = options;
    if (client !== undefined && (url !== undefined || socketPath !== undefined)) {
      throw new QuiverError("ERR_QUIVER_BAD_OPTION", "a client and an address exclude each other");
    }
    const address = { ...(url !== undefined && { url }), ...(socketPath !== undefined && { socketPath }) };
    const connection =
      client === undefined ? await connect({ ...address, connectTimeout: timeout }) : connectionOver(client);
    const store = new RedisStore(options, (made) => {
      const onUp = (): void => void made.#recordAll().catch(() => undefined);
      return new Link(connection, { timeout, name: made.name, logger: made.#logger, onUp });
    });
    await store.#link.open();
    return store;
  }

  /**
   * While the server is away the namespace gets the settings given, and what the server has recorded once it is
   * back.
   */
  async open(
    namespace: string,
    settings: Partial<NamespaceSettings>,
    options: { reconfigure?: boolean } = {},
  ): Promise<StoreNamespace> {
    this.#checkOpen();
    const { reconfigure = false } = options;
    const known = this.#namespaces.get(namespace);
    const recorded = this.#link.isUp
      ? await this.#record(namespace, known?.settings ?? completeSettings(settings))
      : (known?.settings ?? completeSettings(settings));
    const reconciled = reconcileSettings(namespace, recorded, settings, reconfigure);
    if (reconciled !== recorded && this.#link.isUp) {
      await this.#link.send(["SET", this.#settingsName(namespace), JSON.stringify(reconciled)]);
    }
    const opened = this.#namespaces.get(namespace) ?? this.#made(namespace, reconciled);
    opened.settings = reconciled;
    if (this.#link.isUp) await opened.refreshUsage();
    return opened;
  }

  /** While the server is away, those that are open here. */
  async names(): Promise<readonly string[]> {
    this.#checkOpen();
    if (!this.#link.isUp) return [...this.#namespaces.keys()].sort();
    return arrayOf(await this.#link.send(["SMEMBERS", this.#indexName()]))
      .map(String)
      .sort();
  }

  /** Of the namespaces that are open here. */
  usage(): Usage {
    return sumUsage([...this.#namespaces.values()].map((namespace) => namespace.usage()));
  }

  /** Of the namespaces named, or of all that are open here. */
  async evictionScan(options: {
    namespaces?: readonly string[];
    goal: { allocated: number; entries: number };
  }): Promise<EvictionScan> {
    this.#checkOpen();
    const names = options.namespaces ?? [...this.#namespaces.keys()];
    const namespaces = names.map((name) => this.#namespaces.get(name)).filter((found) => found !== undefined);
    const scan = new ListedScan(namespaces, options.goal, this.#scannedAt);
    this.#scannedAt = now();
    return scan;
  }

  /** What the server says about itself: its memory, its limit, and what it removed. */
  async describe(): Promise<RedisDescription> {
    const text = String(await this.#link.send(["INFO"]));
    const field = (name: string): string => new RegExp(`^${name}:(.*?)\\r?$`, "m").exec(text)?.[1] ?? "";
    return {
      version: field("valkey_version") || field("redis_version"),
      usedMemory: Number(field("used_memory")),
      maxMemory: Number(field("maxmemory")),
      maxMemoryPolicy: field("maxmemory_policy"),
      evicted: Number(field("evicted_keys")),
      expired: Number(field("expired_keys")),
    };
  }

  async close(): Promise<void> {
    if (this.#closed) return;
    this.#closed = true;
    this.#link.close();
  }

  #made(name: string, settings: NamespaceSettings): RedisNamespace {
    const base = baseOf(this.#prefix, name);
    const made = new RedisNamespace({
      name,
      base,
      settings,
      link: this.#link,
      maxValueSize: this.#maxValueSize,
    });
    this.#namespaces.set(name, made);
    return made;
  }

  /** The settings that are recorded, which are those given where there were none. */
  async #record(namespace: string, settings: NamespaceSettings): Promise<NamespaceSettings> {
    const name = this.#settingsName(namespace);
    await this.#link.send(["SADD", this.#indexName(), namespace]);
    await this.#link.send(["SET", name, JSON.stringify(settings), "NX"]);
    return parseSettings(String(await this.#link.send(["GET", name]))) ?? settings;
  }

  /** After a time away the server may have forgotten the namespaces, or others may have changed them. */
  async #recordAll(): Promise<void> {
    const { maxMemoryPolicy } = await this.describe();
    if (maxMemoryPolicy.startsWith("allkeys-")) {
      const advice =
        'it may evict indexes, and all entries with them; choose "noeviction" or a "volatile-" policy';
      this.#logger.warn(`${this.name} has the maxmemory-policy "${maxMemoryPolicy}": ${advice}`);
    }
    for (const namespace of this.#namespaces.values()) {
      namespace.settings = await this.#record(namespace.name, namespace.settings);
      await namespace.refreshUsage();
    }
  }

  #settingsName(namespace: string): string {
    return `${baseOf(this.#prefix, namespace)}settings`;
  }

  #indexName(): string {
    return `${this.#prefix}namespaces`;
  }

  #checkOpen(): void {
    if (this.#closed) throw new QuiverError("ERR_QUIVER_CLOSED", `the store "${this.name}" is closed`);
  }
}
