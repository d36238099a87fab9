/**
 * The main job: computes what a simulation needs, once, and shows that another process gets the same values from
 * disk. Uses the package as its users do; run it through `npm start`.
 */

import { fork } from "node:child_process";
import { relative, resolve } from "node:path";
import { simulationCache, simulationRecipes } from "quiver-cache/simulation";
import { factor, formatTable, megabytes, time } from "./lib/main-job/format.mjs";
import { digestOf } from "./lib/main-job/value-digest.mjs";
import { inRoot } from "./lib/paths.mjs";

const root = "./.start/simulation";
const LARGEST = 8;

const start = performance.now();
const computations = await warm();
console.log(`They lie in ${resolve(root)}, one folder a category.\n`);
const served = await readInSecondProcess(computations);
console.log(`A second process opened the cache and got:\n${tables(served)}\n\n${summary(served)}`);
console.log(
  `\n${computations.size === 0 ? "Everything was warm; done" : "Done"} in ${time(performance.now() - start)}.`,
);
if (served.some(({ same }) => same === false)) throw new Error("a served value is not the computed one");

/** Fills the cache; resolves to what each computation cost and gave, by namespace and key. */
async function warm() {
  const cache = await simulationCache(root);
  const made = new Map();
  const timed = (recipe) => ({
    ...recipe,
    async compute(parameters, context) {
      const began = performance.now();
      const value = await recipe.compute(parameters, context);
      const milliseconds = performance.now() - began;
      const key = recipe.key.replace(/\{(\w+)\}/g, (_, name) => String(parameters[name]));
      made.set(`${recipe.namespace}/${key}`, { milliseconds, digest: digestOf(value) });
      return value;
    },
  });
  const onProgress = ({ done, total, namespace, key }) => {
    const computation = made.get(`${namespace}/${key}`);
    if (computation)
      console.log(`  ${done}/${total}  ${namespace}/${key}  ${time(computation.milliseconds)}`);
  };
  const { computed, present, failures } = await cache.warm(simulationRecipes("full").map(timed), {
    onProgress,
  });
  // Noted with each value, so that later runs can tell what serving it saves.
  for (const [name, { milliseconds }] of made) {
    const [namespace, ...key] = name.split("/");
    await cache
      .namespace(namespace)
      .touch(key.join("/"), { metadata: { computedInMilliseconds: milliseconds } });
  }
  await cache.close();
  for (const { namespace, key, error } of failures) console.error(`failed: ${namespace}/${key}:`, error);
  if (failures.length > 0) process.exitCode = 1;
  if (computed === 0) console.log(`Everything is warm: ${present} values were there.`);
  else
    console.log(
      `Computed ${computed} values in ${time(performance.now() - start)}; ${present} were there already.`,
    );
  return made;
}

/** Has another process read everything; resolves to what it saw, one row a value. */
function readInSecondProcess(computations) {
  return new Promise((resolvePromise, reject) => {
    const reader = fork(inRoot("scripts/main-job-reader.mjs"), [root]);
    let rows;
    reader.on("message", (message) => {
      rows = message;
    });
    reader.on("error", reject);
    reader.on("exit", (code) => {
      if (rows === undefined) reject(new Error(`the second process ended with status ${code} and no answer`));
      else resolvePromise(rows);
    });
    reader.send(Object.fromEntries([...computations].map(([name, { digest }]) => [name, digest])));
  });
}

/** One line a category, then the largest values one by one. */
function tables(rows) {
  const header = ["size", "computed in", "served in", "speed-up"];
  const figures = (list) => [
    megabytes(sum(list, "bytes")),
    time(sum(list, "computedIn")),
    time(sum(list, "servedIn")),
    factor(sum(list, "computedIn") / sum(list, "servedIn")),
  ];
  const categories = [...new Set(rows.map(({ category }) => category))];
  const byCategory = categories.map((category) => {
    const list = rows.filter((row) => row.category === category);
    const mapped = list.filter((row) => row.mapped).length;
    return [category, String(list.length), ...figures(list), String(mapped), String(list.length - mapped)];
  });
  const largest = rows.toSorted((left, right) => right.bytes - left.bytes).slice(0, LARGEST);
  return [
    formatTable([["category", "values", ...header, "mapped", "inflated"], ...byCategory]),
    formatTable([
      ["the largest values", ...header, "how"],
      ...largest.map((row) => [row.name, ...figures([row]), row.mapped ? "mapped" : "inflated"]),
    ]),
  ].join("\n\n");
}

function summary(rows) {
  const mapped = rows.filter((row) => row.mapped);
  const compared = rows.filter((row) => row.same).length;
  const single = mapped.find((row) => row.single && row.path !== undefined);
  return [
    `${rows.length} values, ${megabytes(sum(rows, "bytes"))}: ${mapped.length} mapped without a copy ` +
      `(${megabytes(sum(mapped, "bytes"))}), ${rows.length - mapped.length} inflated.`,
    `Computing them cost ${time(sum(rows, "computedIn"))}, serving them ${time(sum(rows, "servedIn"))}; ` +
      `reading and verifying every byte took ${time(sum(rows, "verifiedIn"))} more.`,
    ...(compared > 0 ? [`${compared} were compared with what had been computed: equal.`] : []),
    ...(single
      ? [`In Python: python3 -c 'import numpy; print(numpy.load("${relative(".", single.path)}")["data"])'`]
      : []),
  ].join("\n");
}

function sum(rows, field) {
  return rows.reduce((total, row) => total + (row[field] ?? 0), 0);
}
