/** Writes that have been acknowledged and wait to be made further down. */

import type { NewFacts } from "../store.ts";

interface Write {
  readonly key: string;
  readonly bytes: Uint8Array;
  readonly facts: NewFacts;
  readonly done: Promise<void>;
  readonly finish: () => void;
}

/** Writes under way at once. */
const TOGETHER = 16;

/**
 * A bounded queue. Of two writes on one key that wait, only the later one is made; writes on one key are made in
 * their order. What becomes of a write that fails is for `write` to say.
 */
export class PendingWrites {
  readonly #write: (key: string, bytes: Uint8Array, facts: NewFacts) => Promise<void>;
  readonly #limit: number;
  readonly #waiting = new Map<string, Write>();
  readonly #underWay = new Map<string, Write>();
  #bytes = 0;
  #room: (() => void)[] = [];

  /** `limit` in bytes of values that wait. */
  constructor(limit: number, write: (key: string, bytes: Uint8Array, facts: NewFacts) => Promise<void>) {
    this.#limit = limit;
    this.#write = write;
  }

  /** Bytes that a crash would lose. */
  get bytes(): number {
    return this.#bytes;
  }

  /** When the value expires that waits to be written or is being written last; undefined where there is none. */
  expiryOf(key: string): number | null | undefined {
    return (this.#waiting.get(key) ?? this.#underWay.get(key))?.facts.expiresAt;
  }

  /** Resolves when the write is in the queue, which takes as long as the queue is full. */
  async add(key: string, bytes: Uint8Array, facts: NewFacts): Promise<void> {
    while (this.#bytes > 0 && this.#bytes + bytes.byteLength > this.#limit) {
      await new Promise<void>((resolve) => this.#room.push(resolve));
    }
    this.drop(key);
    let finish = (): void => undefined;
    const done = new Promise<void>((resolve) => {
      finish = resolve;
    });
    this.#waiting.set(key, { key, bytes, facts, done, finish });
    this.#bytes += bytes.byteLength;
    this.#start();
  }

  /** Forgets a write that has not begun. */
  drop(key: string): void {
    const write = this.#waiting.get(key);
    if (write === undefined) return;
    this.#waiting.delete(key);
    this.#end(write);
  }

  /** Resolves when no write on the key waits or is under way. */
  async settled(key: string): Promise<void> {
    for (;;) {
      const write = this.#waiting.get(key) ?? this.#underWay.get(key);
      if (write === undefined) return;
      await write.done;
    }
  }

  /** Resolves when all writes that were in the queue at the call have been made. */
  async flush(): Promise<void> {
    await Promise.all([...this.#waiting.values(), ...this.#underWay.values()].map(({ done }) => done));
  }

  #start(): void {
    for (const write of this.#waiting.values()) {
      if (this.#underWay.size >= TOGETHER) return;
      if (this.#underWay.has(write.key)) continue;
      this.#waiting.delete(write.key);
      this.#underWay.set(write.key, write);
      const end = (): void => {
        this.#underWay.delete(write.key);
        this.#end(write);
        this.#start();
      };
      void this.#write(write.key, write.bytes, write.facts).then(end, end);
    }
  }

  #end(write: Write): void {
    this.#bytes -= write.bytes.byteLength;
    write.finish();
    const waiting = this.#room;
    this.#room = [];
    for (const resume of waiting) resume();
  }
}
