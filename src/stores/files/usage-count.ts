/** How much lies in a namespace, as far as one process knows: what the last count found, and its own changes since. */

import type { EntryRecord } from "../record.ts";
import type { Usage } from "../store.ts";
import type { Listed } from "./entry-file.ts";

/** What is counted of an entry. */
export interface Counted {
  readonly record: EntryRecord;
  readonly allocated: number;
}

/** Of counting that takes long, no more than this share of the time is spent on it. */
const SHARE_OF_TIME = 1 / 20;
/** Milliseconds up to which a count takes no time worth sparing. */
const QUICK = 1000;

export class UsageCount {
  #usage = { entries: 0, bytes: 0, allocated: 0 };
  /** Changes since the count under way began. */
  #changes = { entries: 0, bytes: 0, allocated: 0 };
  #counting: Promise<void> = Promise.resolve();
  /** `performance.now()` before which counting again would take too large a share of the time. */
  #dueAt = 0;

  get current(): Usage {
    const { entries, bytes, allocated } = this.#usage;
    return { entries: Math.max(0, entries), bytes: Math.max(0, bytes), allocated: Math.max(0, allocated) };
  }

  /** Whether it is time to count again. */
  get isDue(): boolean {
    return performance.now() >= this.#dueAt;
  }

  added(entry: Counted): void {
    add(this.#usage, entry, 1);
    add(this.#changes, entry, 1);
  }

  removed(entry: Counted): void {
    add(this.#usage, entry, -1);
    add(this.#changes, entry, -1);
  }

  /** What another process has counted, or nothing. */
  assume(usage: Usage): void {
    this.#usage = { ...usage };
  }

  /** Counts anew, one count after the other. `visit` may remove what it is shown, and say so. */
  async recount(entries: AsyncIterable<Listed>, visit: (found: Listed) => Promise<void>): Promise<void> {
    const counted = this.#counting.then(() => this.#count(entries, visit));
    this.#counting = counted.catch(() => undefined);
    await counted;
  }

  async #count(entries: AsyncIterable<Listed>, visit: (found: Listed) => Promise<void>): Promise<void> {
    const start = performance.now();
    const counted = { entries: 0, bytes: 0, allocated: 0 };
    this.#changes = { entries: 0, bytes: 0, allocated: 0 };
    for await (const found of entries) {
      add(counted, found, 1);
      await visit(found);
    }
    const { entries: count, bytes, allocated } = this.#changes;
    this.#usage = {
      entries: counted.entries + count,
      bytes: counted.bytes + bytes,
      allocated: counted.allocated + allocated,
    };
    const end = performance.now();
    this.#dueAt = end - start > QUICK ? end + (end - start) / SHARE_OF_TIME : end;
  }
}

/** Usage from its JSON text; undefined for what is none. */
export function parseUsage(text: string): Usage | undefined {
  try {
    const { entries, bytes, allocated } = JSON.parse(text);
    const isUsage = [entries, bytes, allocated].every((count) => Number.isSafeInteger(count) && count >= 0);
    return isUsage ? { entries, bytes, allocated } : undefined;
  } catch {
    return undefined;
  }
}

function add(
  usage: { entries: number; bytes: number; allocated: number },
  { record, allocated }: Counted,
  sign: 1 | -1,
): void {
  usage.entries += sign;
  usage.bytes += sign * record.size;
  usage.allocated += sign * allocated;
}
