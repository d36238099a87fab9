/**
 * The main job: computes what a simulation needs, once, and shows that another process gets the same values from
 * disk. Uses the package as its users do; run it through `npm start`.
 */

import { fork } from "node:child_process";
import { mkdir, readFile, writeFile } from "node:fs/promises";
import { dirname, relative, resolve } from "node:path";
import { fileURLToPath } from "node:url";
import { simulationCache, simulationRecipes } from "quiver-cache/simulation";
import { digestOf } from "./lib/value-digest.mjs";

const root = "./.start/simulation";
/** What each value cost when it was computed, in milliseconds by name; kept for later runs to compare with. */
const ledgerPath = "./.start/computed.json";

const start = performance.now();
const ledger = await readLedger();
/** Digests of what this run computed, by name. Earlier values are checked by their stored checksums. */
const digests = {};
const cache = await simulationCache(root);
const recipes = simulationRecipes("full");
const report = await cache.warm(recipes.map(timed), { onProgress: showProgress() });
for (const { namespace, key, error } of report.failures) console.error(`failed: ${namespace}/${key}:`, error);
await writeLedger();

const { computed, present, failed } = report;
const spent = performance.now() - start;
if (computed === 0)
  console.log(`Everything is warm: ${present} values were there (looked up in ${time(spent)}).`);
else console.log(`Computed ${computed} values in ${time(spent)}, ${present} were there already.`);
console.log(`They lie in ${resolve(root)}, one folder a category.\n`);
await cache.close();

const served = await readInSecondProcess();
showTable(served);
showSums(served);
if (failed > 0 || served.some(({ same }) => same === false)) process.exitCode = 1;

/** The recipe, noting what each of its computations costs and gives. */
function timed(recipe) {
  return {
    ...recipe,
    async compute(parameters, context) {
      const began = performance.now();
      const value = await recipe.compute(parameters, context);
      const milliseconds = performance.now() - began;
      const key = recipe.key.replace(/\{(\w+)\}/g, (_, name) => String(parameters[name]));
      const name = `${recipe.namespace}/${key}`;
      ledger[name] = milliseconds;
      digests[name] = digestOf(value);
      return value;
    },
  };
}

function showProgress() {
  return ({ done, total, namespace, key }) => {
    const name = `${namespace}/${key}`;
    if (digests[name] === undefined) return;
    console.log(`  ${String(done).padStart(String(total).length)}/${total}  ${name}  ${time(ledger[name])}`);
  };
}

/** Has another process read everything; resolves to what it saw. */
function readInSecondProcess() {
  return new Promise((resolvePromise, reject) => {
    const reader = fork(fileURLToPath(new URL("./main-job-reader.mjs", import.meta.url)), [root]);
    let rows;
    reader.on("message", (message) => {
      rows = message;
    });
    reader.on("error", reject);
    reader.on("exit", (code) => {
      if (rows === undefined) reject(new Error(`the second process ended with status ${code} and no answer`));
      else resolvePromise(rows.map((row) => ({ ...row, ...comparison(row) })));
    });
    reader.send(digests);
  });
}

/** What is known of computing a served value; nothing where another run of another ledger computed it. */
function comparison({ namespace, key, milliseconds }) {
  const computed = ledger[`${namespace}/${key}`];
  return computed === undefined ? {} : { computed, speedUp: computed / milliseconds };
}

function showTable(rows) {
  console.log("A second process opened the cache and got:");
  const cells = [
    ["value", "size", "computed in", "served in", "how", "speed-up"],
    ...rows.map((row) => [
      `${row.namespace}/${row.key}`,
      `${(row.bytes / 2 ** 20).toFixed(1)} MB`,
      row.computed === undefined ? "-" : time(row.computed),
      time(row.milliseconds),
      row.mapped ? "mapped" : "inflated",
      row.speedUp === undefined ? "-" : `${Math.round(row.speedUp)}x`,
    ]),
  ];
  const widths = cells[0].map((_, column) => Math.max(...cells.map((row) => row[column].length)));
  for (const row of cells) {
    console.log(
      `  ${row.map((cell, column) => (column === 0 ? cell.padEnd(widths[0]) : cell.padStart(widths[column]))).join("  ")}`,
    );
  }
}

function showSums(rows) {
  const mapped = rows.filter((row) => row.mapped);
  const megabytes = (list) => (list.reduce((sum, { bytes }) => sum + bytes, 0) / 2 ** 20).toFixed(0);
  const total = (field) => rows.reduce((sum, row) => sum + (row[field] ?? 0), 0);
  const same = rows.filter((row) => row.same).length;
  console.log(
    `\n${rows.length} values, ${megabytes(rows)} MB: ${mapped.length} mapped without a copy (${megabytes(mapped)} MB), ` +
      `${rows.length - mapped.length} inflated. All verified by their checksums` +
      (same > 0 ? `, ${same} also compared with what was computed.` : "."),
  );
  console.log(
    `Computing them cost ${time(total("computed"))}; serving them ${time(total("milliseconds"))}, ` +
      `reading and verifying every byte ${time(total("verifyMilliseconds"))} more.`,
  );
  const file = rows.find((row) => row.path !== undefined && row.mapped)?.path;
  if (file !== undefined) {
    console.log(`\nIn Python: python3 -c 'import numpy; print(numpy.load("${relative(".", file)}"))'`);
  }
}

async function readLedger() {
  try {
    return JSON.parse(await readFile(ledgerPath, "utf8"));
  } catch {
    return {};
  }
}

async function writeLedger() {
  await mkdir(dirname(ledgerPath), { recursive: true });
  await writeFile(ledgerPath, JSON.stringify(ledger, null, 2));
}

function time(milliseconds) {
  if (milliseconds < 1) return `${Math.round(milliseconds * 1000)} us`;
  return milliseconds < 1000 ? `${milliseconds.toFixed(1)} ms` : `${(milliseconds / 1000).toFixed(1)} s`;
}
