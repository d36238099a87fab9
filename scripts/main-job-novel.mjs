/**
 * The second part of the main job: embeds a novel, once, and has another process find passages in it. Uses the package
 * as its users do; run it through `npm start`.
 */

import { fork } from "node:child_process";
import { resolve } from "node:path";
import { hashingVectorizer, VectorCache } from "quiver-cache";
import { megabytes, time } from "./lib/main-job/format.mjs";
import { passages, TITLE } from "./lib/main-job/novel.mjs";
import { digestOf } from "./lib/main-job/value-digest.mjs";
import { inRoot } from "./lib/paths.mjs";

const root = "./.start/vectors";
const name = "moby_dick";
const vectorizer = hashingVectorizer();

const start = performance.now();
const { cache, milliseconds } = await embedded();
const { size, dimension, path, bytes } = { ...cache.info(), path: resolve(cache.path) };
if (milliseconds === null) console.log(`\n${TITLE} was embedded before: ${size} passages.`);
else {
  const rate = Math.round((size / milliseconds) * 1000);
  console.log(
    `\nEmbedded ${TITLE}: ${size} passages, ${dimension} numbers each, in ${time(milliseconds)}; ${rate} a second.`,
  );
}
console.log(`It lies in ${path}, ${megabytes(bytes)}.`);

const answer = await askSecondProcess(milliseconds === null ? null : digestOf(cache.slice()));
const { opened, viewed, searched, isView, queries } = answer;
console.log(
  `A second process opened it in ${time(opened)}, had all of it as one ${isView ? "view of the mapped file" : "copy"} ` +
    `in ${time(viewed)}, and compared every passage with a query in ${time(searched)}.`,
);
for (const { query, found } of queries) {
  console.log(`\n  "${query}"`);
  for (const { score, text } of found) console.log(`    ${score.toFixed(3)}  ${text}`);
}
if (answer.same !== null) console.log("\nIts vectors were compared with what had been computed: equal.");
console.log(`In Python: python3 -c 'import datasets; print(datasets.load_from_disk("${root}/${name}"))'`);
console.log(`Done in ${time(performance.now() - start)}.`);
if (answer.same === false) throw new Error("a served vector is not the computed one");

/** The cache, and what making it cost; null where it was there. */
async function embedded() {
  const texts = passages();
  const there = await VectorCache.load(name, { root }).catch((error) => {
    if (error.code === "ERR_QUIVER_NOT_FOUND") return undefined;
    throw error;
  });
  const last = texts.length - 1;
  const isSame =
    there?.size === texts.length &&
    there.info().model === vectorizer.model &&
    there.text(last) === texts[last];
  if (isSame) return { cache: there, milliseconds: null };
  const began = performance.now();
  const cache = await VectorCache.create({
    name,
    root,
    texts,
    vectorizer,
    batchSize: 512,
    onProgress: tell(),
  });
  return { cache, milliseconds: performance.now() - began };
}

/** A line for each fifth. */
function tell() {
  let told = 0;
  return ({ done, total, rate, remaining }) => {
    const fifth = Math.floor((done / total) * 5);
    if (fifth === told || remaining === null) return;
    told = fifth;
    console.log(`  ${done}/${total}  ${Math.round(rate)} a second, ${time(remaining)} left`);
  };
}

function askSecondProcess(digest) {
  return new Promise((resolvePromise, reject) => {
    const reader = fork(inRoot("scripts/main-job-novel-reader.mjs"), [root, name]);
    let answer;
    reader.on("message", (message) => {
      answer = message;
    });
    reader.on("error", reject);
    reader.on("exit", (code) => {
      if (answer === undefined)
        reject(new Error(`the second process ended with status ${code} and no answer`));
      else resolvePromise(answer);
    });
    reader.send({ digest });
  });
}
