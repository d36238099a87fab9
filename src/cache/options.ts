/**
 * Options: what users may write, and what becomes of it. They are resolved once, when a cache or a namespace is
 * opened, into types without optional fields; whatever makes no sense is refused there with the field's name.
 */

import type { Codec, Compression } from "../codecs/codec.ts";
import type { EvictionPolicy } from "../policy/eviction.ts";
import type { EvictionOption } from "../policy/resolve.ts";
import type { RouteRule } from "../routing/rules.ts";
import type { Logger } from "../shared/logger.ts";
import { unknownOption } from "../shared/options.ts";
import type { Duration, Size } from "../shared/units.ts";
import type { NamespaceSettings, Store } from "../stores/store.ts";
import type { CodecOption } from "./codec-set.ts";
import type { Source } from "./config-sources.ts";
import * as read from "./option-readers.ts";
import type { ObjectSharing } from "./sharing.ts";

/** Options of `Cache.open`. One that is left out is looked for in QUIVER_ variables, then in the cache's quiver.config.json, then in what the cache has recorded; then the stated default counts. null means none. */
export interface CacheOptions {
  /** Limit in allocated bytes. Default: none. Recorded in the cache. */
  readonly maxSize?: Size | null;
  /** Limit in entries. Default: none. Recorded in the cache. */
  readonly maxEntries?: number | null;
  /** Time to live of entries whose call and namespace name none. Default: for ever. */
  readonly ttl?: Duration | null;
  /** Which entries leave first when a limit comes near. Default: "lru". Recorded in the cache by its name. */
  readonly eviction?: EvictionOption;
  /** Share of a limit at which eviction begins, in (0, 1]. Default: 0.9. */
  readonly evictionThreshold?: number;
  /** "full": what is acknowledged survives a power cut. "process": it survives the end of the process. Default: "full". Recorded in the cache. */
  readonly durability?: "full" | "process";
  /**
   * Whether entries are found through a catalog, which is quicker and for one host, or lie in one self-describing file
   * each, which several hosts may share: "auto" looks at the file system of the folder. Without a catalog limits aren't
   * recorded. Default: "auto".
   */
  readonly catalog?: "auto" | "always" | "never";
  /** When stored bytes are compared with their checksums: at the first use of each part, whole before use, or never. Default: "touch". */
  readonly verify?: "touch" | "full" | "never";
  /** "read-only" writes nothing, usage included. Default: "read-write". */
  readonly mode?: "read-write" | "read-only";
  /** Bytes of decoded values held in memory by this cache in this process; 0 = none. Default: 256 MB. */
  readonly memoryLimit?: Size;
  /** Large values that this process has mapped at once, over all caches of the directory; what comes beyond is copied. The system allows some 65,000. Default: 16,384. */
  readonly maxMappings?: number;
  /** Bytes of such copies; what comes beyond is refused with ERR_QUIVER_TOO_MANY_MAPPINGS until values are let go. Default: "1GB". */
  readonly maxCopies?: Size;
  /** For namespaces that don't say; see `NamespaceOptions.objects`. Default: "frozen". */
  readonly objects?: ObjectSharing;
  /** false keeps nothing: every look-up is a miss. Default: true. */
  readonly enabled?: boolean;
  /** What get, set and their like do when the cache itself fails: throw, or act as if nothing were stored. Default: "throw". */
  readonly onError?: "throw" | "miss";
  /** With `onError` "miss": how long a call waits for the cache before it acts as if nothing were stored; null = as long as it takes. Waiting for another's computation is not meant. Default: "5s". */
  readonly budget?: Duration | null;
  /** Changes recorded options and settings to those given, for all processes, instead of refusing. Default: false. */
  readonly reconfigure?: boolean;
  /** Namespaces and their options; they are opened with the cache. */
  readonly namespaces?: Readonly<Record<string, NamespaceOptions>>;
  /** Which entries go to another store; the first rule that matches counts. Default: none. */
  readonly routes?: readonly RouteRule[];
  /** Codecs of your own, to read entries that were written with them. */
  readonly codecs?: readonly Codec[];
  /** Takes the place of the local disk; the path then means nothing. Closed with the cache. */
  readonly store?: Store;
  /** Gets every warning and notice. Default: warnings to standard error, once a minute a cause. */
  readonly logger?: Logger;
}

/** Options of a namespace. One that is left out is looked for like an option of the cache, then in the cache's own. */
export interface NamespaceOptions {
  /** How values are written: a codec's name, or your own codec. Default: by value. The name is recorded. */
  readonly codec?: CodecOption;
  /** Where the codec can; see the codec. Default: the codec's own. */
  readonly compression?: Compression;
  /** "named": files named by key, for people and other programs; "hashed": for many entries. Default: "hashed". Recorded. */
  readonly layout?: "named" | "hashed";
  /** "always": every value is a file of its own. Default: "large". Recorded. */
  readonly files?: "large" | "always";
  /** Default: the cache's. Recorded. */
  readonly ttl?: Duration | null;
  /** The namespace's own limit in allocated bytes, besides the cache's. Default: none. Recorded. */
  readonly maxSize?: Size | null;
  /** Default: none. Recorded. */
  readonly maxEntries?: number | null;
  /** For the namespace's own limits. Default: the cache's. Recorded by its name. */
  readonly eviction?: EvictionOption;
  /** How many replaced values are kept. Default: 0. Recorded. */
  readonly versions?: number;
  /** Whether an index.json is kept beside the values. Default: for layout "named". Recorded. */
  readonly index?: boolean;
  /** Priority of entries whose call names none; lower ones are evicted first. Default: 0. */
  readonly priority?: number;
  /**
   * Whose the objects are that `get` and its like give. "frozen": frozen, and from the second reading
   * on one for all callers of this process; what can't be (Map, Set, Date, what the codec `clone` holds) is decoded anew
   * for each. "shared": one for all, as it is; who changes it changes it for all of them, until it is read from the store
   * again. "cloned": decoded anew for each caller, which costs as much as parsing it. What was computed just now is given
   * to all who waited for it, as it is. Bytes and tensors are shared in any case; see `GetOptions.copy`. Default: the
   * cache's.
   */
  readonly objects?: ObjectSharing;
  /** Default: the cache's. */
  readonly onError?: "throw" | "miss";
  /** false keeps nothing: every look-up is a miss. Default: true. */
  readonly enabled?: boolean;
  /** true has `getOrCompute` and memoised functions compute at every call, and count how often the cache would have given the same; for trying a cache on a stage. Default: false. */
  readonly observe?: boolean;
  /** Where all entries of the namespace go. Only in `Cache.open`. */
  readonly store?: Store;
}

/** Options of a cache with nothing left open. */
export interface ResolvedCacheOptions {
  readonly maxSize: number | null;
  readonly maxEntries: number | null;
  readonly ttl: number | null;
  readonly eviction: EvictionPolicy;
  readonly evictionThreshold: number;
  readonly durability: "full" | "process";
  readonly catalog: "auto" | "always" | "never";
  readonly verify: "touch" | "full" | "never";
  readonly mode: "read-write" | "read-only";
  readonly memoryLimit: number;
  readonly maxMappings: number;
  readonly maxCopies: number;
  readonly objects: ObjectSharing;
  readonly enabled: boolean;
  readonly onError: "throw" | "miss";
  readonly budget: number | null;
  readonly reconfigure: boolean;
}

/** Options of a namespace with nothing left open; `settings` are those to record, as far as they were given. */
export interface ResolvedNamespaceOptions {
  readonly settings: Partial<NamespaceSettings>;
  readonly codec: CodecOption | null;
  readonly compression: Compression | undefined;
  readonly eviction: EvictionPolicy | undefined;
  readonly priority: number;
  readonly objects: ObjectSharing;
  readonly onError: "throw" | "miss";
  readonly enabled: boolean;
  readonly observe: boolean;
}

/** Where the value of an option came from. */
export interface Origin {
  readonly option: string;
  /** As it was written; for a default, what it is. */
  readonly value: unknown;
  readonly source: Source["kind"] | "default";
  /** The variable or the file; empty for code and defaults. */
  readonly place: string;
}

interface Setting<T> {
  readonly read: (value: unknown, field: string) => T;
  readonly fallback: T;
}

const OBJECTS = read.oneOf("frozen", "shared", "cloned");

const CACHE_SETTINGS: { readonly [Name in keyof ResolvedCacheOptions]: Setting<ResolvedCacheOptions[Name]> } =
  {
    maxSize: { read: read.nullable(read.size), fallback: null },
    maxEntries: { read: read.nullable(read.count), fallback: null },
    ttl: { read: read.nullable(read.duration), fallback: null },
    eviction: { read: read.policy, fallback: read.policy("lru", "eviction") },
    evictionThreshold: { read: read.share, fallback: 0.9 },
    durability: { read: read.oneOf("full", "process"), fallback: "full" },
    catalog: { read: read.oneOf("auto", "always", "never"), fallback: "auto" },
    verify: { read: read.oneOf("touch", "full", "never"), fallback: "touch" },
    mode: { read: read.oneOf("read-write", "read-only"), fallback: "read-write" },
    memoryLimit: { read: read.size, fallback: 256 * 1024 * 1024 },
    maxMappings: { read: read.count, fallback: 16_384 },
    maxCopies: { read: read.size, fallback: 1024 ** 3 },
    objects: { read: OBJECTS, fallback: "frozen" },
    enabled: { read: read.flag, fallback: true },
    onError: { read: read.oneOf("throw", "miss"), fallback: "throw" },
    budget: { read: read.nullable(read.duration), fallback: 5000 },
    reconfigure: { read: read.flag, fallback: false },
  };

/** Options that only code can give: they are objects, or too easily left behind in a variable. */
const ONLY_IN_CODE = ["reconfigure", "routes", "codecs", "store", "logger"] as const;

/** Options of the cache that variables and files may give, `namespaces` in files only. */
export const CACHE_OPTIONS: readonly string[] = Object.keys(CACHE_SETTINGS).filter(
  (name) => !ONLY_IN_CODE.some((other) => other === name),
);

/** All options of the cache. */
export const OPTIONS_IN_CODE: readonly string[] = [...CACHE_OPTIONS, "namespaces", ...ONLY_IN_CODE];

const RECORDED = {
  layout: read.oneOf("named", "hashed"),
  files: read.oneOf("large", "always"),
  ttl: read.nullable(read.duration),
  maxSize: read.nullable(read.size),
  maxEntries: read.nullable(read.count),
  versions: read.count,
  index: read.flag,
} as const;

/** Options of namespaces that variables and files may give. */
export const NAMESPACE_OPTIONS: readonly string[] = [
  ...Object.keys(RECORDED),
  "codec",
  "compression",
  "eviction",
  "priority",
  "objects",
  "onError",
  "enabled",
  "observe",
];

/** The options that `sources` give, the first that has one counts, else `defaults`, with the origin of each. Throws ERR_QUIVER_BAD_OPTION. */
export function resolveCacheOptions(
  sources: readonly Source[],
  defaults: Readonly<Record<string, unknown>> = {},
): {
  readonly options: ResolvedCacheOptions;
  readonly origins: readonly Origin[];
} {
  for (const source of sources) refuseUnknownCacheOptions(source);
  const origins: Origin[] = [];
  const values: Record<string, unknown> = {};
  for (const [option, setting] of Object.entries(CACHE_SETTINGS)) {
    const source = sources.find(({ values: given }) => given[option] !== undefined);
    const given = source?.values[option];
    const field = source === undefined ? option : fieldOf(source, option);
    const preset = defaults[option] === undefined ? setting.fallback : setting.read(defaults[option], option);
    values[option] = source === undefined ? preset : setting.read(given, field);
    origins.push({
      option,
      value: source === undefined ? preset : given,
      source: source?.kind ?? "default",
      place: source?.placeOf(option) ?? "",
    });
  }
  return { options: Object.freeze(values) as unknown as ResolvedCacheOptions, origins };
}

/** Options of one namespace from its own sources; what none gives comes from the cache. Throws ERR_QUIVER_BAD_OPTION. */
export function resolveNamespaceOptions(
  namespace: string,
  sources: readonly Source[],
  cache: ResolvedCacheOptions,
): ResolvedNamespaceOptions {
  const pick = <T>(option: string, reader: (value: unknown, field: string) => T): T | undefined => {
    const source = sources.find(({ values }) => values[option] !== undefined);
    if (source === undefined) return undefined;
    return reader(source.values[option], fieldOf(source, option, `namespaces.${namespace}.`));
  };
  for (const source of sources) {
    refuseUnknown(source, [...NAMESPACE_OPTIONS, "store"], `namespaces.${namespace}.`);
  }
  const codec = pick("codec", read.nullable(read.codec)) ?? null;
  const eviction = pick("eviction", read.policy);
  const settings: Record<string, unknown> = {};
  for (const [option, reader] of Object.entries(RECORDED)) {
    const value = pick<unknown>(option, reader);
    if (value !== undefined) settings[option] = value;
  }
  if (codec !== null) settings["codec"] = typeof codec === "string" ? codec : codec.name;
  if (eviction !== undefined) settings["eviction"] = eviction.name;
  return {
    settings: settings as Partial<NamespaceSettings>,
    codec,
    compression: pick("compression", read.compression),
    eviction,
    priority: pick("priority", read.integer) ?? 0,
    objects: pick("objects", OBJECTS) ?? cache.objects,
    onError: pick("onError", read.oneOf("throw", "miss")) ?? cache.onError,
    enabled: pick("enabled", read.flag) ?? true,
    observe: pick("observe", read.flag) ?? false,
  };
}

function refuseUnknownCacheOptions(source: Source): void {
  refuseUnknown(source, source.kind === "code" ? OPTIONS_IN_CODE : [...CACHE_OPTIONS, "namespaces"], "");
}

/** Throws ERR_QUIVER_BAD_OPTION for an option that is not among the known. */
export function refuseUnknown(source: Source, known: readonly string[], prefix: string): void {
  for (const option of Object.keys(source.values)) {
    if (!known.includes(option)) throw unknownOption(fieldOf(source, option, prefix), option, known);
  }
}

/** The option as an error is to name it. */
export function fieldOf(source: Source, option: string, prefix = ""): string {
  const place = source.placeOf(option);
  if (source.kind === "environment") return place;
  return place === "" ? `${prefix}${option}` : `${prefix}${option} in ${place}`;
}
