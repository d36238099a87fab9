/** Opening a cache: collects the options from all places and makes the stores. */

import { resolve } from "node:path";
import { Router } from "../routing/router.ts";
import type { RouteRule } from "../routing/rules.ts";
import { QuiverError } from "../shared/errors.ts";
import { defaultLogger, type Logger } from "../shared/logger.ts";
import { badOption } from "../shared/options.ts";
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
import { checkedLogger, checkObjects, checkWhere } from "./given.ts";
import {
  CACHE_OPTIONS,
  type CacheOptions,
  NAMESPACE_OPTIONS,
  type NamespaceOptions,
  OPTIONS_IN_CODE,
  type Origin,
  type ResolvedCacheOptions,
  refuseUnknown,
  resolveCacheOptions,
} from "./options.ts";
import {
  type Defaults,
  PIPELINE_DEFAULTS,
  PIPELINE_OPTIONS,
  type PipelineOptions,
  PLAIN_DEFAULTS,
  spelledOut,
  type Whereabouts,
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

/** `where`: a path, or the options of the form for services, which then take the place of `given`. */
export async function prepareOpening(
  where: string | PipelineOptions | undefined,
  given: CacheOptions,
  environment: Environment = process.env,
): Promise<Opening> {
  checkWhere(where);
  if (!isTable(given)) throw badOption("options", given, "an object");
  const logger = checkedLogger((isPipeline(where) ? where.logger : given.logger) ?? defaultLogger);
  warnOfUnknownVariables(environment, OPTIONS, NAMESPACE_OPTIONS, logger);
  const { place, code, file, sources, defaults, whereabouts } = await lookUp(
    where,
    given,
    environment,
    logger,
  );
  let resolved = resolveCacheOptions(sources, defaults.cache);
  checkObjects(code.values);
  const { backend, redisUrl } = whereabouts;
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

/** Options of a cache in all spellings that variables and files may use. */
const OPTIONS: readonly string[] = [...CACHE_OPTIONS, ...PIPELINE_OPTIONS];

function isPipeline(where: string | PipelineOptions | undefined): where is PipelineOptions {
  return typeof where === "object" && where !== null;
}

/** Where the cache is, and everything that says something about its options. */
interface Sources {
  /** undefined where a store of the user's own takes the place of the disk. */
  readonly place: Place | undefined;
  readonly code: Source;
  readonly file: Source | undefined;
  /** Those two and the variables, in the order in which they count. */
  readonly sources: readonly Source[];
  readonly defaults: Defaults;
  readonly whereabouts: Whereabouts;
}

async function lookUp(
  where: string | PipelineOptions | undefined,
  given: CacheOptions,
  environment: Environment,
  logger: Logger,
): Promise<Sources> {
  const variables = environmentSource(environment, OPTIONS);
  const written = (values: object): Source => ({
    kind: "code",
    values: values as Record<string, unknown>,
    placeOf: () => "",
  });
  if (isPipeline(where)) {
    if (Object.keys(given).length > 0) {
      throw new QuiverError("ERR_QUIVER_BAD_OPTION", "options were given twice", {
        hint: "A cache in the form for services has all of its options in one object.",
        fix: "Cache.open({ ...one, ...other })",
      });
    }
    if ("store" in where) {
      throw new QuiverError("ERR_QUIVER_BAD_OPTION", "a store of your own takes the place of a backend", {
        fix: "Open the cache with Cache.open(undefined, { store }).",
      });
    }
    const defaults = PIPELINE_DEFAULTS;
    const own = written(where);
    refuseUnknown(own, [...PIPELINE_OPTIONS, ...OPTIONS_IN_CODE], "");
    const place = pipelinePlace([own, variables]);
    const code = spelledOut(own);
    const fixed = [code, spelledOut(variables)];
    const onFile = await readableFile(place.path, fixed, { defaults, logger });
    const file = onFile && spelledOut(onFile);
    const whereabouts = whereaboutsIn([own, variables, ...(onFile ? [onFile] : [])]);
    return { place, code, file, sources: [...fixed, ...(file ? [file] : [])], defaults, whereabouts };
  }
  const defaults = PLAIN_DEFAULTS;
  const place = placeOf(where, given, environment);
  const code = written(given);
  const fixed = [code, spelledOut(variables)];
  const onFile = place && (await readableFile(place.path, fixed, { defaults, logger }));
  const file = onFile && spelledOut(onFile);
  const sources = [...fixed, ...(file ? [file] : [])];
  return { place, code, file, sources, defaults, whereabouts: whereaboutsIn([]) };
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
