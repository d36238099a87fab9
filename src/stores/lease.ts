/** Rights to compute that end by themselves unless whoever holds them renews them. */

import type { Flight } from "./store.ts";

/** Milliseconds after which a right that was not renewed belongs to nobody. */
export const LEASE = 10_000;
const RENEWED_EVERY = 3000;

/** What a store does to a right that is held. Rejections are ignored: unheard, the right ends with its lease. */
export interface LeaseActions {
  renew(): Promise<unknown>;
  giveBack(): Promise<unknown>;
}

/** The right with this fence, renewed until it is released. Keeps no process from ending. */
export function holdLease(fence: number, { renew, giveBack }: LeaseActions): Flight {
  const renewal = setInterval(() => void renew().catch(() => undefined), RENEWED_EVERY);
  renewal.unref();
  let released = false;
  return {
    fence,
    release: () => {
      if (released) return;
      released = true;
      clearInterval(renewal);
      giveBack().catch(() => undefined);
    },
  };
}
