/** Has the add-on give up its snapshot of the catalog, which look-ups keep for those that follow them at once. */

import type { NativeStore } from "../../native/store.ts";

export class Snapshot {
  readonly #native: NativeStore;
  #ends = false;

  constructor(native: NativeStore) {
    this.#native = native;
  }

  /** To be called after a look-up that found nothing: its snapshot ends with this turn of the event loop. */
  endWithTurn(): void {
    if (this.#ends) return;
    this.#ends = true;
    // Not unref'd: the loop would sleep on it. It doesn't keep the process alive for longer than this turn.
    setImmediate(() => {
      this.#ends = false;
      this.#native.letGoOfSnapshot();
    });
  }
}
