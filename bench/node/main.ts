/** Runs every race and prints the table; with `--record` it also goes into bench/README.md. */

import { readFileSync, writeFileSync } from "node:fs";
import { loadavg } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { openContestants } from "./contestants.ts";
import { gatherRace } from "./gathers.ts";
import { loadResults } from "./loads.ts";
import { type Length, type Race, type Result, run } from "./race.ts";
import { readRaces } from "./reads.ts";
import { sharedResults } from "./shared.ts";
import { record, table } from "./table.ts";
import { writeRaces } from "./writes.ts";

const SHORT: Length = { rounds: 5, time: 60 };
const LONG: Length = { rounds: 15, time: 300 };

const length = process.argv.includes("--long") ? LONG : SHORT;
const out = fileURLToPath(new URL("..", import.meta.url));
const load = loadavg()[0] ?? Number.NaN;
const contestants = await openContestants(join(out, "data"));
const results: Result[] = [];

async function runAll(races: readonly Race[]): Promise<void> {
  for (const race of races) {
    console.error(race.title);
    results.push(await run(race, length));
  }
}

try {
  await runAll(await readRaces(contestants));
  console.error("reading what another process writes");
  results.push(...(await sharedResults(contestants, length)));
  await runAll(writeRaces(contestants));
  const gather = await gatherRace(contestants.folder);
  await runAll([gather.race]);
  await gather.close();
  console.error("first loads");
  results.push(...(await loadResults(contestants.folder, length.rounds)));
} finally {
  await contestants.close();
}

const report = `${record(length.rounds, load)}.\n\n${table(results)}`;
console.log(report);
if (process.argv.includes("--record")) {
  const readme = join(out, "..", "README.md");
  const [before = "", , after = ""] = readFileSync(readme, "utf8").split(
    /<!-- (?:begin|end) of the record -->/,
  );
  writeFileSync(
    readme,
    `${before}<!-- begin of the record -->\n${report}\n<!-- end of the record -->${after}`,
  );
}
