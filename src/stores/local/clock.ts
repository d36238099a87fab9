/** Lets the native clock follow this process's, which tests stop. */

import type { NativeStore } from "../../native/store.ts";
import { stoppedClock } from "../../shared/clock.ts";

export class LocalClock {
  readonly #native: NativeStore;
  #stoppedAt: number | undefined;

  constructor(native: NativeStore) {
    this.#native = native;
  }

  /** To be called before what depends on the time. */
  apply(): void {
    const at = stoppedClock();
    if (at === this.#stoppedAt) return;
    this.#stoppedAt = at;
    this.#native.stopClockAt(at);
  }
}
