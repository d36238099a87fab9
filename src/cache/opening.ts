/** Opening a cache: collects the options from all places and makes the stores. */

import { resolve } from "node:path";
import { Router } from "../routing/router.ts";
import type { RouteRule } from "../routing/rules.ts";
import { isQuiverError, QuiverError } from "../shared/errors.ts";
import { defaultLogger, type Logger } from "../shared/logger.ts";
import { LateStore } from "../stores/late.ts";
import { LOCAL_CAPABILITIES, LocalStore } from "../stores/local.ts";
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
import { openDisk } from "./disk.ts";
import { isOfTheCaller } from "./failures.ts";
import { inTime } from "./guard.ts";
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

/** How soon opening the disk is tried again where it has failed and that counts as a miss. */
const RETRY_AFTER = 10_000;

const LOCAL = { name: "local", capabilities: LOCAL_CAPABILITIES };

type Resolved = ReturnType<typeof resolveCacheOptions>;

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
  const fixed = [code, environmentSource(environment, CACHE_OPTIONS)];
  const file = place === undefined ? undefined : await readableFile(place.path, fixed, logger);
  const sources = [...fixed, ...(file ? [file] : [])];
  let resolved = resolveCacheOptions(sources);
  const { store, mode } = await openStore(given, place?.path ?? "", resolved, logger);
  if (store instanceof LocalStore) {
    const found = resolveCacheOptions([...sources, recordedSource(store)]);
    resolved = { ...found, options: Object.freeze({ ...found.options, mode }) };
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

/** The configuration file, where it can be read or must be. */
async function readableFile(
  path: string,
  sources: readonly Source[],
  logger: Logger,
): Promise<Source | undefined> {
  try {
    return await fileSource(path);
  } catch (error) {
    if (isOfTheCaller(error) || resolveCacheOptions(sources).options.onError === "throw") throw error;
    logger.warn(`the cache goes on without its configuration file: ${String(error)}`);
    return undefined;
  }
}

/** A store, and what may be done with it. */
interface OpenedStore {
  readonly store: Store;
  readonly mode: ResolvedCacheOptions["mode"];
}

async function openStore(
  given: CacheOptions,
  path: string,
  resolved: Resolved,
  logger: Logger,
): Promise<OpenedStore> {
  const { enabled, mode, onError } = resolved.options;
  if (given.store !== undefined) return { store: given.store, mode };
  if (!enabled) return { store: new NullStore(), mode };
  if (onError === "throw") return { store: await openDisk(path, resolved, mode, logger), mode };
  return openDiskIfPossible(path, resolved, logger);
}

/** Of a disk that can't be written what is there is read, and one that can't be opened at all is tried again later. */
async function openDiskIfPossible(path: string, resolved: Resolved, logger: Logger): Promise<OpenedStore> {
  const { mode, budget } = resolved.options;
  const late = (): QuiverError =>
    new QuiverError("ERR_QUIVER_TIMEOUT", `${path} could not be opened in time`, { path });
  const first = openDisk(path, resolved, mode, logger);
  try {
    return { store: await inTime(first, budget, late), mode };
  } catch (error) {
    if (isOfTheCaller(error)) throw error;
    const reason = error instanceof Error ? error.message : String(error);
    if (isRefused(error)) {
      const store = await openDisk(path, resolved, "read-only", logger).catch(() => undefined);
      logger.warn(`the cache in ${path} ${store ? "is only read" : "can't be opened"}: ${reason}`);
      if (store !== undefined) return { store, mode: "read-only" };
    } else logger.warn(`the cache in ${path} can't be opened: ${reason}`);
    const open = (): Promise<Store> => openDisk(path, resolved, mode, logger);
    return { store: new LateStore({ ...LOCAL, open, retryAfter: RETRY_AFTER, first }), mode };
  }
}

/** What a disk says that can't be written, in its different ways, and goes on saying. */
function isRefused(error: unknown): boolean {
  const codes = ["ERR_QUIVER_READ_ONLY", "ERR_QUIVER_PERMISSION", "ERR_QUIVER_IO"] as const;
  return codes.some((code) => isQuiverError(error, code));
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
