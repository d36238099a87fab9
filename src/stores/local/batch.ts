/** Packed values that are written together, with one promise for all. */

import type { EncodedValue } from "../../codecs/codec.ts";
import type { Gathering, Requests } from "../../native/store.ts";
import type { Hold, KeyQueue } from "../../shared/key-queue.ts";
import { checkKey } from "../../shared/keys.ts";
import type { EntryFacts, NewFacts, StoreBatch } from "../store.ts";
import { factsOf, type Manners } from "./packed-facts.ts";

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

/** What was added. */
interface Added {
  readonly key: string;
  readonly value: EncodedValue;
  readonly facts: NewFacts;
}

export class LocalBatch implements StoreBatch {
  readonly #parts: LocalBatchParts;
  readonly #gathering: Gathering;
  readonly #hold: Hold;
  readonly #added: Added[] = [];

  constructor(parts: LocalBatchParts) {
    this.#parts = parts;
    this.#gathering = parts.requests.together();
    this.#hold = parts.queue.holdAll();
  }

  add(key: string, value: EncodedValue, facts: NewFacts): boolean {
    const { handle, queue, manners, isPacked, enter } = this.#parts;
    checkKey(key);
    enter();
    const [bytes] = value.parts;
    if (bytes === undefined || value.parts.length > 1 || !isPacked(value) || !queue.isIdle(key)) return false;
    const manner = manners.of(facts);
    if (typeof manner !== "number") return false;
    this.#hold.add(key);
    this.#gathering.add({ handle, key, manner, expiresAt: facts.expiresAt, bytes });
    this.#added.push({ key, value, facts });
    return true;
  }

  async ended(): Promise<readonly (EntryFacts | Error)[]> {
    const answers = await this.#gathering.answers();
    this.#hold.end();
    return this.#added.map(({ key, value, facts }, index) => {
      const answer = answers[index];
      return answer instanceof Error ? answer : factsOf(key, value, facts, answer);
    });
  }
}
