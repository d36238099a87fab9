/** Opening a cache: collects the options from all places and makes the stores. */

import { resolve } from "node:path";
import { Router } from "../routing/router.ts";
import type { RouteRule } from "../routing/rules.ts";
import { QuiverError } from "../shared/errors.ts";
import { defaultLogger, type Logger } from "../shared/logger.ts";
import { LocalStore } from "../stores/local.ts";
import { NullStore } from "../stores/null.ts";
import type { Store } from "../stores/store.ts";
import {
  defaultPath,
  type Environment,
  environmentSource,
  expandHome,
  fileSource,
  namespaceEnvironment,
  type Source,
  warnOfUnknownVariables,
} from "./config-sources.ts";
import {
  CACHE_OPTIONS,
  type CacheOptions,
  NAMESPACE_OPTIONS,
  type NamespaceOptions,
  type Origin,
  type ResolvedCacheOptions,
  resolveCacheOptions,
} from "./options.ts";

/** Everything that a cache is made of. */
export interface Opening {
  /** Absolute; undefined where the user's own store takes the place of the disk. */
  readonly path: string | undefined;
  readonly options: ResolvedCacheOptions;
  readonly origins: readonly Origin[];
  readonly given: CacheOptions;
  readonly logger: Logger;
  readonly store: Store;
  readonly router: Router;
  /** Sources of the options of one namespace, besides the call that opens it; the first that has one counts. */
  readonly namespaceSources: (namespace: string) => readonly Source[];
  /** Namespaces that have options. */
  readonly configured: readonly string[];
}

export async function prepareOpening(
  path: string | undefined,
  given: CacheOptions,
  environment: Environment = process.env,
): Promise<Opening> {
  if (path !== undefined && (typeof path !== "string" || path === "")) {
    throw new QuiverError("ERR_QUIVER_BAD_OPTION", "the path of a cache must be a non-empty string");
  }
  const logger = given.logger ?? defaultLogger;
  warnOfUnknownVariables(environment, CACHE_OPTIONS, NAMESPACE_OPTIONS, logger);
  const place = given.store === undefined ? placeOf(path, environment) : undefined;
  const code: Source = { kind: "code", values: given as Record<string, unknown>, placeOf: () => "" };
  const file = place === undefined ? undefined : await fileSource(place.path);
  const sources = [code, environmentSource(environment, CACHE_OPTIONS), ...(file ? [file] : [])];
  let resolved = resolveCacheOptions(sources);
  const store =
    given.store ?? (resolved.options.enabled ? await openDisk(place?.path ?? "", resolved) : new NullStore());
  if (store instanceof LocalStore) {
    resolved = resolveCacheOptions([...sources, recordedSource(store)]);
    for (const notice of store.describe().notices) logger.warn(notice);
  }
  const { options, origins } = resolved;
  return {
    path: place?.path,
    options,
    origins: place === undefined ? origins : [place.origin, ...origins],
    given,
    logger,
    store,
    router: new Router([...namespaceRoutes(given), ...(given.routes ?? [])], store),
    namespaceSources: (namespace) => [
      ...tableSource(code, namespace),
      namespaceEnvironment(environment, namespace, NAMESPACE_OPTIONS),
      ...(file ? tableSource(file, namespace) : []),
    ],
    configured: [...new Set([...Object.keys(tableOf(code)), ...Object.keys(tableOf(file))])],
  };
}

/** The store on the local disk. Recorded settings are compared with what was given, not with defaults. */
function openDisk(path: string, resolved: ReturnType<typeof resolveCacheOptions>): Promise<LocalStore> {
  const { options, origins } = resolved;
  const given = (option: string): boolean =>
    origins.some((origin) => origin.option === option && origin.source !== "default");
  return LocalStore.open(path, {
    mode: options.mode,
    reconfigure: options.reconfigure,
    maxMappings: options.maxMappings,
    maxCopies: options.maxCopies,
    ...(given("durability") && { durability: options.durability }),
    ...(given("maxSize") && { maxSize: options.maxSize }),
    ...(given("maxEntries") && { maxEntries: options.maxEntries }),
    ...(given("eviction") && { eviction: options.eviction.name }),
  });
}

/** What the cache has recorded of itself. */
function recordedSource(store: LocalStore): Source {
  const { settings, path } = store.describe();
  const values = Object.fromEntries(Object.entries(settings).filter(([, value]) => value !== null));
  return { kind: "recorded", values, placeOf: () => path };
}

function placeOf(path: string | undefined, environment: Environment): { path: string; origin: Origin } {
  const variable = environment["QUIVER_PATH"];
  const origin: Origin =
    path !== undefined
      ? { option: "path", value: path, source: "code", place: "" }
      : variable
        ? { option: "path", value: variable, source: "environment", place: "QUIVER_PATH" }
        : { option: "path", value: defaultPath(environment), source: "default", place: "" };
  return { path: resolve(expandHome(origin.value as string)), origin };
}

/** The options of namespaces that a source has, by name. Throws ERR_QUIVER_BAD_OPTION unless they are a table of tables. */
function tableOf(source: Source | undefined): Readonly<Record<string, Readonly<Record<string, unknown>>>> {
  const table = source?.values["namespaces"] ?? {};
  const tables = isTable(table) ? Object.values(table) : [table];
  if (tables.every(isTable)) {
    return table as Record<string, Record<string, unknown>>;
  }
  throw new QuiverError("ERR_QUIVER_BAD_OPTION", "namespaces is not an object of options by namespace");
}

function isTable(value: unknown): boolean {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}

function tableSource(source: Source, namespace: string): readonly Source[] {
  const values = tableOf(source)[namespace];
  return values === undefined ? [] : [{ ...source, values }];
}

function namespaceRoutes(given: CacheOptions): readonly RouteRule[] {
  const namespaces: Readonly<Record<string, NamespaceOptions>> = given.namespaces ?? {};
  return Object.entries(namespaces).flatMap(([namespace, { store }]) =>
    store ? [{ namespace, store }] : [],
  );
}
