/** Reading everything once, to see whether it can be read. */

import { decodeStoredAsync } from "../codecs/context.ts";
import type { OptionNames } from "../shared/options.ts";
import { type StoreNamespace, sizeOf } from "../stores/store.ts";
import type { CodecSet } from "./codec-set.ts";
import { keysOf, walk } from "./listing.ts";

/** Options of `verify`. */
export interface VerifyOptions {
  /** Deletes what is damaged, so that it is computed again. Default: false. */
  readonly repair?: boolean;
  readonly signal?: AbortSignal;
  /** Called now and then with the number of entries checked so far. */
  readonly onProgress?: (progress: { readonly checked: number }) => void;
}

/** What `verify` found. */
export interface VerifyReport {
  readonly checked: number;
  /** Entries whose bytes don't match their checksums or are not what their codec writes. */
  readonly damaged: readonly { readonly namespace: string; readonly key: string; readonly error: unknown }[];
  /** How many of them were deleted. */
  readonly repaired: number;
}

export const VERIFY_OPTIONS: OptionNames<VerifyOptions> = { repair: true, signal: true, onProgress: true };

const PROGRESS_EVERY = 100;

/** Checks every entry of the namespaces: its checksums, and that it decodes. Rejects with the signal's reason. */
export async function verifyEntries(
  namespaces: readonly StoreNamespace[],
  codecs: CodecSet,
  options: VerifyOptions,
): Promise<VerifyReport> {
  const damaged: VerifyReport["damaged"][number][] = [];
  let checked = 0;
  let repaired = 0;
  for (const namespace of namespaces) {
    for await (const key of walk((query) => keysOf(namespace, query), {})) {
      options.signal?.throwIfAborted();
      try {
        await verifyEntry(namespace, key, codecs);
      } catch (error) {
        damaged.push({ namespace: namespace.name, key, error });
        if (options.repair && (await namespace.delete(key))) repaired++;
      }
      checked++;
      if (checked % PROGRESS_EVERY === 0) options.onProgress?.({ checked });
    }
  }
  options.onProgress?.({ checked });
  return { checked, damaged, repaired };
}

async function verifyEntry(namespace: StoreNamespace, key: string, codecs: CodecSet): Promise<void> {
  const stored = await namespace.get(key);
  if (stored === undefined) return;
  const { mapped, verify, ready } = stored;
  if (ready === undefined) verify?.(0, sizeOf(stored));
  else await ready(0, sizeOf(stored));
  await decodeStoredAsync(codecs.named(stored.codec), stored, { key, mapped });
}
