/** Opening a cache: collects the options from all places and makes the stores. */

import { resolve } from "node:path";
import { Router } from "../routing/router.ts";
import type { RouteRule } from "../routing/rules.ts";
import { QuiverError } from "../shared/errors.ts";
import { defaultLogger, type Logger } from "../shared/logger.ts";
import { LocalStore } from "../stores/local.ts";
import type { NamespaceSettings, Store } from "../stores/store.ts";
import { type OpenedStore, openBackend } from "./backends.ts";
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
import { isOfTheCaller } from "./failures.ts";
import {
  CACHE_OPTIONS,
  type CacheOptions,
  NAMESPACE_OPTIONS,
  type NamespaceOptions,
  type Origin,
  type ResolvedCacheOptions,
  resolveCacheOptions,
} from "./options.ts";
import {
  type Defaults,
  PIPELINE_DEFAULTS,
  PIPELINE_OPTIONS,
  type PipelineOptions,
  PLAIN_DEFAULTS,
  spelledOut,
  whereaboutsIn,
} from "./pipeline-options.ts";

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
  /** Settings of new namespaces that nothing else says. */
  readonly namespaceDefaults: Partial<NamespaceSettings>;
  /** Sources of the options of one namespace, besides the call that opens it; the first that has one counts. */
  readonly namespaceSources: (namespace: string) => readonly Source[];
  /** Namespaces that have options. */
  readonly configured: readonly string[];
}

/** `where`: a path, or the options of the form for services, of which `given` then has what is common to both. */
export async function prepareOpening(
  where: string | PipelineOptions | undefined,
  given: CacheOptions,
  environment: Environment = process.env,
): Promise<Opening> {
  const pipeline = typeof where === "object" && where !== null;
  if (!pipeline && where !== undefined && (typeof where !== "string" || where === "")) {
    throw new QuiverError("ERR_QUIVER_BAD_OPTION", "the path of a cache must be a non-empty string");
  }
  const logger = (pipeline ? where.logger : given.logger) ?? defaultLogger;
  const known = [...CACHE_OPTIONS, ...PIPELINE_OPTIONS];
  warnOfUnknownVariables(environment, known, NAMESPACE_OPTIONS, logger);
  const written: Source = {
    kind: "code",
    values: (pipeline ? where : given) as Record<string, unknown>,
    placeOf: () => "",
  };
  const variables = environmentSource(environment, known);
  const place = pipeline ? pipelinePlace([written, variables]) : placeOf(where, given, environment);
  const code = pipeline ? spelledOut(written) : written;
  const fixed = [code, spelledOut(variables)];
  const defaults = pipeline ? PIPELINE_DEFAULTS : PLAIN_DEFAULTS;
  const onFile = place && (await readableFile(place.path, fixed, { defaults, logger }));
  const file = onFile && spelledOut(onFile);
  const sources = [...fixed, ...(file ? [file] : [])];
  let resolved = resolveCacheOptions(sources, defaults.cache);
  const { backend, redisUrl } = whereaboutsIn(
    pipeline ? [written, variables, ...(onFile ? [onFile] : [])] : [],
  );
  const opened: OpenedStore = given.store
    ? { store: given.store, mode: resolved.options.mode }
    : await openBackend({
        ...resolved,
        backend,
        redisUrl,
        path: place?.path ?? "",
        recorded: Object.keys(defaults.cache),
        logger,
      });
  const { store, mode } = opened;
  if (store instanceof LocalStore) {
    const found = resolveCacheOptions([...sources, recordedSource(store, defaults)], defaults.cache);
    resolved = { ...found, options: Object.freeze({ ...found.options, mode }) };
    for (const notice of store.describe().notices) logger.warn(notice);
  }
  const { options, origins } = resolved;
  const onDisk = place !== undefined && (backend === "disk" || backend === "tiered");
  const common = code.values as CacheOptions;
  return {
    path: onDisk ? place.path : undefined,
    options,
    origins: onDisk ? [place.origin, ...origins] : origins,
    given: common,
    logger,
    store,
    router: new Router([...namespaceRoutes(common), ...(common.routes ?? [])], store),
    namespaceDefaults: defaults.namespaces,
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
  { defaults, logger }: { readonly defaults: Defaults; readonly logger: Logger },
): Promise<Source | undefined> {
  try {
    return await fileSource(path);
  } catch (error) {
    const { onError } = resolveCacheOptions(sources, defaults.cache).options;
    if (isOfTheCaller(error) || onError === "throw") throw error;
    logger.warn(`the cache goes on without its configuration file: ${String(error)}`);
    return undefined;
  }
}

/** What the cache has recorded of itself; that it has no limit counts where a limit would be the default. */
function recordedSource(store: LocalStore, defaults: Defaults): Source {
  const { settings, path } = store.describe();
  const told = Object.entries(settings).filter(([name, value]) => value !== null || name in defaults.cache);
  return { kind: "recorded", values: Object.fromEntries(told), placeOf: () => path };
}

/** Where the cache is, and what says so. */
interface Place {
  readonly path: string;
  readonly origin: Origin;
}

function placeOf(
  path: string | undefined,
  { store }: CacheOptions,
  environment: Environment,
): Place | undefined {
  if (store !== undefined) return undefined;
  const variable = environment["QUIVER_PATH"];
  const origin: Origin =
    path !== undefined
      ? { option: "path", value: path, source: "code", place: "" }
      : variable
        ? { option: "path", value: variable, source: "environment", place: "QUIVER_PATH" }
        : { option: "path", value: defaultPath(environment), source: "default", place: "" };
  return { path: resolve(expandHome(origin.value as string)), origin };
}

function pipelinePlace(sources: readonly Source[]): Place {
  const { path, pathSource } = whereaboutsIn(sources);
  const source = pathSource?.kind ?? "default";
  const origin: Origin = { option: "path", value: path, source, place: pathSource?.placeOf("path") ?? "" };
  return { path: resolve(expandHome(path)), origin };
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
