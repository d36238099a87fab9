/** The namespaces that the mixed work of `programs/mix.ts` goes through. */

import type { NamespaceOptions } from "../../src/index.ts";

/** How many processes work at once; they are numbered from 1. */
export const PROCESSES = 4;

/** Limit of the namespace whose entries are evicted. */
export const BOUNDED_BYTES: number = 1024 * 1024;

/** Every process writes its own keys in these. */
export const common: Readonly<Record<string, NamespaceOptions>> = {
  packed: {},
  files: { files: "always" },
  named: { layout: "named" },
  versions: { layout: "named", versions: 2 },
  bounded: { maxSize: BOUNDED_BYTES },
};

/** The namespace that the process alone writes, and clears. */
export function ownNamespace(number: number): string {
  return `own-${number}`;
}

/** All of them. */
export const namespaces: Readonly<Record<string, NamespaceOptions>> = {
  ...common,
  ...Object.fromEntries(
    Array.from({ length: PROCESSES }, (_, index) => [
      ownNamespace(index + 1),
      { layout: index % 2 === 0 ? "named" : "hashed" } as const,
    ]),
  ),
};
