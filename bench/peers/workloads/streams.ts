/** A stream of a gigabyte, stored under its digest. */

import type { Step } from "../contract.ts";
import { secondsOf } from "../measure.ts";
import { bytes } from "../values.ts";
import { type Context, figure, given, type Operation, type Workload } from "../workload.ts";

const MEGABYTE = 1_000_000;

export const streams: Workload = {
  name: "streams",
  title: "A stream of 1 GB with its SHA-256",
  notes: [
    "From the first byte to the acknowledgement. `quiver` and `fs` have synced it then, `cacache` has not.",
  ],
  peers: ["quiver", "fs", "cacache"],
  main: ["quiver", "fs", "cacache"],
  prepare: () => [],
  round: ({ name }) => [
    [
      {
        op: "write",
        count: name === "full" ? 1_000 : name === "short" ? 200 : 2,
        place: { table: "store a stream", column: name === "full" ? "1 GB" : "200 MB", unit: "MB/s" },
      },
    ],
  ],
  operations: { write },
};

async function write(context: Context, step: Step): ReturnType<Operation> {
  const { peer, folder, round } = context;
  const open = peer.streams?.bind(peer);
  if (open === undefined) return undefined;
  const stored = await context.opened("streams", () => open(folder));
  const megabytes = given(step, "count");
  const pieces = Array.from({ length: 8 }, (_, seed) => bytes(MEGABYTE, seed + round));
  async function* chunks(): AsyncGenerator<Uint8Array> {
    for (let at = 0; at < megabytes; at++) yield pieces[at % pieces.length] as Uint8Array;
  }
  const seconds = await secondsOf(() => stored.write("stream", chunks()));
  return figure(step, (megabytes * MEGABYTE) / 1e6 / seconds);
}
