/** Where settings come from besides the code: QUIVER_ variables and the cache's own configuration file. */

import { readFile } from "node:fs/promises";
import { homedir } from "node:os";
import { join } from "node:path";
import { QuiverError } from "../shared/errors.ts";
import type { Logger } from "../shared/logger.ts";

/** Values by the name of the option, as they were written, and where. */
export interface Source {
  readonly kind: "code" | "environment" | "file" | "recorded";
  readonly values: Readonly<Record<string, unknown>>;
  /** Names the place of one value: a variable, a file. */
  readonly placeOf: (option: string) => string;
}

export type Environment = Readonly<Record<string, string | undefined>>;

export const CONFIG_FILE = "quiver.config.json";

const PREFIX = "QUIVER_";
const NAMESPACE_PREFIX = "QUIVER_NS_";

/** Variables that are read elsewhere: by the logger, by stores, by the tests of this package. */
const READ_ELSEWHERE: ReadonlySet<string> = new Set([
  "QUIVER_LOG",
  "QUIVER_PATH",
  "QUIVER_REDIS_URL",
  "QUIVER_TEST_PYTHON",
  "QUIVER_TORCH",
  "QUIVER_OLD_DATASETS",
  "QUIVER_TORTURE",
]);

/** `evictionThreshold` → `EVICTION_THRESHOLD`. */
export function variableSuffix(option: string): string {
  return option.replace(/[A-Z]/g, "_$&").toUpperCase();
}

/** The options of the cache that variables set. */
export function environmentSource(environment: Environment, options: readonly string[]): Source {
  return sourceOf(environment, PREFIX, options);
}

/** Options of one namespace: `QUIVER_NS_<NAMESPACE>_TTL` and so on, other characters than letters and digits as `_`. */
export function namespaceEnvironment(
  environment: Environment,
  namespace: string,
  options: readonly string[],
): Source {
  const name = namespace.toUpperCase().replace(/[^A-Z0-9]/g, "_");
  return sourceOf(environment, `${NAMESPACE_PREFIX}${name}_`, options);
}

/** Warns of QUIVER_ variables that set nothing. */
export function warnOfUnknownVariables(
  environment: Environment,
  options: readonly string[],
  namespaceOptions: readonly string[],
  logger: Logger,
): void {
  const known = new Set(options.map((option) => PREFIX + variableSuffix(option)));
  const suffixes = namespaceOptions.map((option) => `_${variableSuffix(option)}`);
  for (const name of Object.keys(environment)) {
    if (!name.startsWith(PREFIX) || known.has(name) || READ_ELSEWHERE.has(name)) continue;
    if (name.startsWith(NAMESPACE_PREFIX) && suffixes.some((suffix) => name.endsWith(suffix))) continue;
    logger.warn(`the variable ${name} is set, and no option has that name`);
  }
}

/** The configuration file in a cache's directory; undefined when there is none. Throws ERR_QUIVER_BAD_OPTION unless it is a JSON object. */
export async function fileSource(root: string): Promise<Source | undefined> {
  const path = join(root, CONFIG_FILE);
  let text: string;
  try {
    text = await readFile(path, "utf8");
  } catch (cause) {
    if (["ENOENT", "ENOTDIR"].includes((cause as NodeJS.ErrnoException).code ?? "")) return undefined;
    throw new QuiverError("ERR_QUIVER_IO", `${path} cannot be read`, { path, cause });
  }
  let values: unknown;
  try {
    values = JSON.parse(text);
  } catch (cause) {
    throw new QuiverError("ERR_QUIVER_BAD_OPTION", `${path} is not JSON`, { path, cause });
  }
  if (typeof values !== "object" || values === null || Array.isArray(values)) {
    throw new QuiverError("ERR_QUIVER_BAD_OPTION", `${path} is not a JSON object`, { path });
  }
  return { kind: "file", values: values as Record<string, unknown>, placeOf: () => path };
}

/** Where a cache lies that was given no path: the platform's folder for caches, plus /quiver. */
export function defaultPath(environment: Environment, platform: NodeJS.Platform = process.platform): string {
  const home = homedir();
  if (platform === "win32")
    return join(environment["LOCALAPPDATA"] ?? join(home, "AppData", "Local"), "quiver");
  if (platform === "darwin") return join(home, "Library", "Caches", "quiver");
  const base = environment["XDG_CACHE_HOME"];
  // Relative values are to be ignored, says the XDG specification.
  return join(base?.startsWith("/") ? base : join(home, ".cache"), "quiver");
}

/** A leading `~/` stands for the user's home. */
export function expandHome(path: string): string {
  return path === "~" || path.startsWith("~/") ? join(homedir(), path.slice(1)) : path;
}

function sourceOf(environment: Environment, prefix: string, options: readonly string[]): Source {
  const values: Record<string, unknown> = {};
  for (const option of options) {
    const text = environment[prefix + variableSuffix(option)];
    if (text !== undefined && text !== "") values[option] = text === "none" || text === "null" ? null : text;
  }
  return { kind: "environment", values, placeOf: (option) => prefix + variableSuffix(option) };
}
