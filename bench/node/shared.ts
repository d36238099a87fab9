/** Reading what another process goes on writing: held values must be checked, and replaced ones read anew. */

import { deepStrictEqual } from "node:assert/strict";
import { fork } from "node:child_process";
import { once } from "node:events";
import { fileURLToPath } from "node:url";
import type { Contestants } from "./contestants.ts";
import { type Length, type Result, run } from "./race.ts";
import { awaited, now, store } from "./reads.ts";
import type { WriterInput } from "./writer.ts";

const KEYS = 1_000;
const SIZE = 10_000;

/** Like `get 10 KB`, while another process sets two hundred of the values a second, in Quiver and in lmdb. */
export async function sharedResults(contestants: Contestants, length: Length): Promise<readonly Result[]> {
  const { folder, hot, lmdb, files } = contestants;
  const keys = Array.from({ length: KEYS }, (_, index) => `shared-${index}`);
  await store(contestants, keys, SIZE);
  const check = async (): Promise<void> => {
    for (const key of keys) {
      const expected = new Uint8Array(files.get(key));
      deepStrictEqual(new Uint8Array((await hot.get(key)) ?? []), expected);
      // A buffer that is used again, whose own length is set to that of the value.
      const fast = lmdb.getBinaryFast(key);
      deepStrictEqual(new Uint8Array(fast?.subarray(0, fast.length) ?? []), expected);
    }
  };
  const input: WriterInput = { folder, keys: KEYS, size: SIZE };
  const writer = fork(fileURLToPath(new URL("./writer.js", import.meta.url)), [JSON.stringify(input)]);
  const ended = once(writer, "exit");
  await once(writer, "message");
  const title = "while another process writes";
  try {
    return [
      await run(
        {
          title: `await get 10 KB, ${title}`,
          contenders: {
            quiver: awaited(keys, (key) => hot.get(key)),
            lmdb: awaited(keys, (key) => lmdb.get(key)),
          },
          check,
        },
        length,
      ),
      await run(
        {
          title: `get 10 KB, ${title}, lmdb's getBinaryFast`,
          contenders: {
            quiver: now(keys, (key) => hot.getSync(key)),
            lmdb: now(keys, (key) => lmdb.getBinaryFast(key)),
          },
          check,
        },
        length,
      ),
    ];
  } finally {
    writer.disconnect();
    await ended;
  }
}
