/**
 * The races against what people would take instead. Prints Markdown; everything that was measured also goes to
 * out/results.json. Arguments: `--full` all peers and sizes, `--tiny` a trial of the harness, `--record` into the
 * documents, `--last` races nothing and takes what the last run measured, `--only a,b` some workloads and `--add` keeps
 * what was measured of the others before, `--peers a;b` some peers, `--rounds n`.
 */

import { existsSync, mkdirSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { parseArgs } from "node:util";
import { ceilings } from "./ceilings.ts";
import { machine } from "./machine.ts";
import { race } from "./race.ts";
import { ceilingsOf, type RaceRecord, writeRecord } from "./record.ts";
import { sectionOf } from "./report.ts";
import type { RaceResult } from "./results.ts";
import type { Scale } from "./workload.ts";
import { WORKLOADS } from "./workloads/catalogue.ts";

const SCALES: Readonly<Record<Scale["name"], Scale>> = {
  tiny: { name: "tiny", rounds: 1, time: 5, writeTime: 20 },
  short: { name: "short", rounds: 5, time: 30, writeTime: 120 },
  full: { name: "full", rounds: 5, time: 40, writeTime: 600 },
};

const { values: options } = parseArgs({
  options: {
    full: { type: "boolean" },
    tiny: { type: "boolean" },
    record: { type: "boolean" },
    last: { type: "boolean" },
    add: { type: "boolean" },
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

/** A trial overwrites nothing that took long to measure. */
const file = join(out, options.tiny ? "trial.json" : "results.json");

function measured(): RaceRecord {
  return JSON.parse(readFileSync(file, "utf8")) as RaceRecord;
}

async function raceAll(): Promise<void> {
  const facts = machine();
  const before = options.add && existsSync(file) ? measured().races : [];
  mkdirSync(home, { recursive: true });
  const limits = await ceilings(home, scale);
  console.log(ceilingsOf(limits));
  const races = new Map<string, RaceResult>(before.map((result) => [result.workload, result]));
  for (const workload of WORKLOADS.filter(({ name }) => wanted?.includes(name) ?? true)) {
    const all = scale.name === "short" ? workload.main : workload.peers;
    const peers = all.filter((peer) => named?.includes(peer) ?? true);
    if (peers.length === 0) continue;
    console.error(workload.title);
    const result = await race(workload, scale, peers, join(home, workload.name));
    console.log(`\n${sectionOf(result)}`);
    races.set(workload.name, result);
    // After each, so that a run that is cut short leaves what it has measured.
    const inOrder = WORKLOADS.flatMap(({ name }) => races.get(name) ?? []);
    const record: RaceRecord = { ...facts, scale, ceilings: limits, races: inOrder };
    writeFileSync(file, `${JSON.stringify(record, null, 1)}\n`);
  }
}

if (!options.last) await raceAll();
if (options.record) writeRecord(measured());
