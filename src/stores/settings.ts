/** Settings of namespaces: their defaults, and what happens when two callers ask for different ones. */

import { QuiverError } from "../shared/errors.ts";
import type { NamespaceSettings } from "./store.ts";

/** Settings of a new namespace: those given, and the default of each that is left out. */
export function completeSettings(given: Partial<NamespaceSettings>): NamespaceSettings {
  const layout = given.layout ?? "hashed";
  return {
    layout,
    files: given.files ?? "large",
    codec: given.codec ?? null,
    ttl: given.ttl ?? null,
    maxSize: given.maxSize ?? null,
    maxEntries: given.maxEntries ?? null,
    eviction: given.eviction ?? "lru",
    versions: given.versions ?? 0,
    index: given.index ?? layout === "named",
  };
}

/**
 * The settings of a namespace that exists and is opened again. Those that are given and differ replace the
 * recorded ones with `reconfigure` and are ERR_QUIVER_SETTINGS_DIFFER without.
 */
export function reconcileSettings(
  namespace: string,
  recorded: NamespaceSettings,
  given: Partial<NamespaceSettings>,
  reconfigure: boolean,
): NamespaceSettings {
  const changes = Object.fromEntries(
    Object.entries(given).filter(
      ([name, value]) => value !== undefined && value !== recorded[name as keyof NamespaceSettings],
    ),
  ) as Partial<NamespaceSettings>;
  const names = Object.keys(changes) as (keyof NamespaceSettings)[];
  if (names.length === 0) return recorded;
  if (reconfigure) return { ...recorded, ...changes };
  const differences = names.map((name) => `${name} is ${recorded[name]}, not ${changes[name]}`);
  throw new QuiverError(
    "ERR_QUIVER_SETTINGS_DIFFER",
    `namespace "${namespace}" has other settings: ${differences.join("; ")}`,
    { expected: changes, found: Object.fromEntries(names.map((name) => [name, recorded[name]])) },
  );
}

/** Settings from their JSON text, with the default of each that is missing; undefined for what is no JSON object. */
export function parseSettings(text: string): NamespaceSettings | undefined {
  try {
    const parsed: unknown = JSON.parse(text);
    return typeof parsed === "object" && parsed !== null ? completeSettings(parsed) : undefined;
  } catch {
    return undefined;
  }
}
