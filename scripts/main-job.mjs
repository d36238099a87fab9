/**
 * The main job: computes what a simulation needs, once, and shows that another process gets the same values from
 * disk. Uses the package as its users do; run it through `npm start`.
 */

import { fork } from "node:child_process";
import { relative, resolve } from "node:path";
import { simulationCache, simulationRecipes } from "quiver-cache/simulation";
import { formatTable, megabytes, time } from "./lib/main-job/format.mjs";
import { digestOf } from "./lib/main-job/value-digest.mjs";
import { inRoot } from "./lib/paths.mjs";

const root = "./.start/simulation";

const start = performance.now();
const computations = await warm();
console.log(`They lie in ${resolve(root)}, one folder a category.\n`);
const served = await readInSecondProcess(computations);
console.log(`A second process opened the cache and got:\n${table(served)}\n\n${summary(served)}`);
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

function table(rows) {
  const header = ["value", "size", "computed in", "served in", "speed-up", "how"];
  const cells = rows.map(({ name, bytes, computedIn, servedIn, mapped }) => [
    name,
    megabytes(bytes),
    computedIn === undefined ? "-" : time(computedIn),
    time(servedIn),
    computedIn === undefined ? "-" : `${Math.round(computedIn / servedIn)}x`,
    mapped ? "mapped" : "inflated",
  ]);
  return formatTable([header, ...cells]);
}

function summary(rows) {
  const sum = (list, field) => list.reduce((total, row) => total + (row[field] ?? 0), 0);
  const mapped = rows.filter((row) => row.mapped);
  const compared = rows.filter((row) => row.same).length;
  const path = mapped.find((row) => row.path !== undefined)?.path;
  return [
    `${rows.length} values, ${megabytes(sum(rows, "bytes"))}: ${mapped.length} mapped without a copy ` +
      `(${megabytes(sum(mapped, "bytes"))}), ${rows.length - mapped.length} inflated.`,
    `Computing them cost ${time(sum(rows, "computedIn"))}, serving them ${time(sum(rows, "servedIn"))}; ` +
      `reading and verifying every byte took ${time(sum(rows, "verifiedIn"))} more.`,
    ...(compared > 0 ? [`${compared} were compared with what had been computed: equal.`] : []),
    ...(path ? [`In Python: python3 -c 'import numpy; print(numpy.load("${relative(".", path)}"))'`] : []),
  ].join("\n");
}
