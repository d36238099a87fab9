/**
 * The races against what people would take instead. Prints Markdown; everything that was measured also goes to
 * out/results.json. Arguments: `--full` all peers and sizes, `--tiny` a trial of the harness, `--record` into the
 * documents, `--only a,b` some workloads, `--peers a;b` some peers, `--rounds n`.
 */

import { mkdirSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { parseArgs } from "node:util";
import { ceilings } from "./ceilings.ts";
import { machine } from "./machine.ts";
import { race } from "./race.ts";
import { documentOf, writeRecord } from "./record.ts";
import { sectionOf } from "./report.ts";
import type { RaceResult } from "./results.ts";
import type { Scale } from "./workload.ts";
import { WORKLOADS } from "./workloads/catalogue.ts";

const SCALES: Readonly<Record<Scale["name"], Scale>> = {
  tiny: { name: "tiny", rounds: 1, time: 5 },
  short: { name: "short", rounds: 5, time: 40 },
  full: { name: "full", rounds: 5, time: 100 },
};

const { values: options } = parseArgs({
  options: {
    full: { type: "boolean" },
    tiny: { type: "boolean" },
    record: { type: "boolean" },
    only: { type: "string" },
    peers: { type: "string" },
    rounds: { type: "string" },
  },
});

const chosen = SCALES[options.full ? "full" : options.tiny ? "tiny" : "short"];
const scale: Scale = { ...chosen, rounds: Number(options.rounds ?? chosen.rounds) };
const out = fileURLToPath(new URL(".", import.meta.url));
const home = join(out, "data");
const wanted = options.only?.split(",");
const named = options.peers?.split(";");

const facts = machine();
mkdirSync(home, { recursive: true });
const limits = await ceilings(home, scale);
const results: RaceResult[] = [];
for (const workload of WORKLOADS.filter(({ name }) => wanted?.includes(name) ?? true)) {
  const all = scale.name === "short" ? workload.main : workload.peers;
  const peers = all.filter((peer) => named?.includes(peer) ?? true);
  if (peers.length === 0) continue;
  console.error(workload.title);
  results.push(await race(workload, scale, peers, join(home, workload.name)));
  console.log(`\n${sectionOf(results.at(-1) as RaceResult)}`);
}
const record = { ...facts, scale, ceilings: limits, races: results };
writeFileSync(join(out, "results.json"), `${JSON.stringify(record, null, 1)}\n`);
console.log(`\n${documentOf(record).ceilings}`);
if (options.record) writeRecord(record);
