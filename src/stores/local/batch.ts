/** Packed values that are written together, with one promise for all. */

import type { EncodedValue } from "../../codecs/codec.ts";
import type { Gathering, Requests } from "../../native/store.ts";
import type { Hold, KeyQueue } from "../../shared/key-queue.ts";
import { checkKey } from "../../shared/keys.ts";
import type { EntryFacts, NewFacts, StoreBatch } from "../store.ts";
import { type Manners, PackedWrite } from "./packed-facts.ts";

export interface LocalBatchParts {
  readonly handle: number;
  readonly requests: Requests;
  readonly queue: KeyQueue;
  readonly manners: Manners;
  /** Whether a value goes into the catalog and not to a file. */
  readonly isPacked: (value: EncodedValue) => boolean;
  /** Throws once the store is closed. */
  readonly enter: () => void;
}

export class LocalBatch implements StoreBatch {
  readonly #parts: LocalBatchParts;
  readonly #gathering: Gathering<EntryFacts>;
  readonly #hold: Hold;

  constructor(parts: LocalBatchParts) {
    this.#parts = parts;
    this.#gathering = parts.requests.together();
    this.#hold = parts.queue.hold();
  }

  add(key: string, value: EncodedValue, facts: NewFacts): boolean {
    const { handle, queue, manners, isPacked, enter } = this.#parts;
    checkKey(key);
    enter();
    const [bytes] = value.parts;
    if (bytes === undefined || value.parts.length > 1 || !isPacked(value) || !queue.isIdle(key)) return false;
    const manner = manners.of(facts);
    if (typeof manner !== "number") return false;
    const { expiresAt, fence } = facts;
    const put = { handle, key, manner, expiresAt, fence, bytes };
    this.#gathering.add(put, new PackedWrite(key, value.byteLength, facts, this.#hold));
    this.#hold.add(key);
    return true;
  }

  ended(): Promise<readonly (EntryFacts | Error)[]> {
    return this.#gathering.answers();
  }
}
