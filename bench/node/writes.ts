/** Durable writes: what is acknowledged survives a power cut. Plain files are written one at a time. */

import { deepStrictEqual } from "node:assert/strict";
import { bytes, type Contestants, SIZES } from "./contestants.ts";
import type { Race } from "./race.ts";

/** Keys that are written over and over, so that the disk holds a bounded number of values. */
const KEYS = 1_024;

/** Sets that are under way at once. */
const IN_FLIGHT = 64;

export function writeRaces(contestants: Contestants): readonly Race[] {
  return SIZES.flatMap(({ label, size }) => [
    race(contestants, `durable set ${label}, one at a time`, size, 1),
    race(contestants, `durable set ${label}, ${IN_FLIGHT} in flight`, size, IN_FLIGHT),
  ]);
}

function race({ hot, lmdb, files }: Contestants, title: string, size: number, inFlight: number): Race {
  const values = Array.from({ length: 8 }, (_, index) => Buffer.from(bytes(size, index)));
  const valueAt = (turn: number): Buffer => values[turn % values.length] as Buffer;
  const keyAt = (turn: number): string => `write-${size}-${turn % (size > 100_000 ? 128 : KEYS)}`;
  const together = (set: (turn: number) => Promise<unknown>): (() => Promise<unknown>) => {
    let turn = 0;
    return () => Promise.all(Array.from({ length: inFlight }, () => set(turn++)));
  };
  let turn = 0;
  const setFile = (): void => {
    files.set(keyAt(turn), valueAt(turn));
    turn++;
  };
  const putAll = together((at) => lmdb.put(keyAt(at), valueAt(at)));
  return {
    title,
    contenders: {
      quiver: { operations: inFlight, run: together((at) => hot.set(keyAt(at), valueAt(at))) },
      fs: { operations: 1, run: setFile },
      lmdb: {
        operations: inFlight,
        run: async () => {
          await putAll();
          // Commits are visible before they are on disk.
          await lmdb.flushed;
        },
      },
    },
    check: async () => {
      const key = keyAt(3);
      files.set(key, valueAt(3));
      await Promise.all([hot.set(key, valueAt(3)), lmdb.put(key, valueAt(3))]);
      for (const stored of [await hot.get(key), lmdb.get(key), files.get(key)]) {
        deepStrictEqual(new Uint8Array(stored as Uint8Array), new Uint8Array(valueAt(3)));
      }
    },
  };
}
