/**
 * The options of services that keep the results of their stages: where values go is an option as well, units are in
 * the names, and nothing that happens to the cache reaches the program.
 */

import type { EvictionOption } from "../policy/resolve.ts";
import { QuiverError } from "../shared/errors.ts";
import type { NamespaceSettings } from "../stores/store.ts";
import type { Source } from "./config-sources.ts";
import * as read from "./option-readers.ts";
import { type CacheOptions, fieldOf } from "./options.ts";

/** Where values are kept. "tiered": on the disk of this host, over a Redis server that all hosts share. */
export type Backend = "disk" | "memory" | "redis" | "tiered";

/**
 * Options of `Cache.open` in its form for services. The other options of a cache may be given as well; these have other
 * defaults here: `onError` "miss", `reconfigure` true, and one file an entry where a namespace says nothing about `files`.
 */
export interface PipelineOptions extends Omit<CacheOptions, "store" | "maxSize" | "ttl" | "eviction"> {
  /** Default: "disk". */
  readonly backend?: Backend;
  /** The folder, for "disk" and "tiered". Default: "./cache". */
  readonly path?: string;
  /** Limit in mebibytes; null = none. Default: 1024. A cache that is there already keeps its own. */
  readonly maxSizeMb?: number | null;
  /** Seconds; null = for ever. Default: 7200. */
  readonly defaultTtlSeconds?: number | null;
  /** Default: "lru". */
  readonly evictionPolicy?: EvictionOption;
  /** Of the server for "redis" and "tiered": `redis[s]://…`, or `unix:///path` of a socket. Default: "redis://127.0.0.1:6379". */
  readonly redisUrl?: string;
}

/** What a cache is given where neither code nor variables, nor files, nor what is recorded say anything. */
export interface Defaults {
  readonly cache: Readonly<Record<string, unknown>>;
  readonly namespaces: Partial<NamespaceSettings>;
}

export const PLAIN_DEFAULTS: Defaults = { cache: {}, namespaces: {} };

export const PIPELINE_DEFAULTS: Defaults = {
  cache: { maxSize: "1GB", ttl: "2h", onError: "miss", reconfigure: true },
  namespaces: { layout: "hashed", files: "always" },
};

/** Where a cache of this form is, as it was written, and the place that says so. */
export interface Whereabouts {
  readonly backend: Backend;
  readonly path: string;
  readonly pathSource: Source | undefined;
  readonly redisUrl: string | undefined;
}

interface Spelling {
  /** The option that is meant. */
  readonly option: string;
  readonly translate: (value: unknown, field: string) => unknown;
}

const SPELLINGS: Readonly<Record<string, Spelling>> = {
  maxSizeMb: { option: "maxSize", translate: (value, field) => read.amount(value, field) * 1024 ** 2 },
  defaultTtlSeconds: { option: "ttl", translate: (value, field) => read.amount(value, field) * 1000 },
  evictionPolicy: { option: "eviction", translate: read.policy },
};

const WHEREABOUTS = ["backend", "path", "redisUrl"] as const;

/** The names that the form adds to the options of a cache. */
export const PIPELINE_OPTIONS: readonly string[] = [...WHEREABOUTS, ...Object.keys(SPELLINGS)];

/** The source with the options that are meant under their common names, and without those that say where. Throws ERR_QUIVER_BAD_OPTION. */
export function spelledOut(source: Source): Source {
  const values: Record<string, unknown> = { ...source.values };
  const spelled = new Map<string, string>();
  for (const name of WHEREABOUTS) delete values[name];
  for (const [name, { option, translate }] of Object.entries(SPELLINGS)) {
    const value = values[name];
    delete values[name];
    if (value === undefined) continue;
    const field = fieldOf(source, name);
    if (values[option] !== undefined) {
      throw new QuiverError("ERR_QUIVER_BAD_OPTION", `${field} and ${option} say the same`, {
        fix: "Give one of them.",
      });
    }
    values[option] = value === null ? null : translate(value, field);
    spelled.set(option, name);
  }
  return { ...source, values, placeOf: (option) => source.placeOf(spelled.get(option) ?? option) };
}

/** Where the cache is; the first source that says something counts. Throws ERR_QUIVER_BAD_OPTION. */
export function whereaboutsIn(sources: readonly Source[]): Whereabouts {
  const pick = <T>(option: string, fallback: T, reader: (value: unknown, field: string) => T): T => {
    const source = sourceOf(sources, option);
    return source === undefined ? fallback : reader(source.values[option], fieldOf(source, option));
  };
  return {
    backend: pick<Backend>("backend", "disk", read.oneOf("disk", "memory", "redis", "tiered")),
    path: pick("path", "./cache", read.text),
    pathSource: sourceOf(sources, "path"),
    redisUrl: pick<string | undefined>("redisUrl", undefined, read.text),
  };
}

function sourceOf(sources: readonly Source[], option: string): Source | undefined {
  return sources.find(({ values }) => values[option] !== undefined);
}
