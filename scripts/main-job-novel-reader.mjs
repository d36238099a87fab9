/**
 * The second process of the main job's second part: loads the vectors, answers queries with passages, and sends back
 * what it found and how long that took. It is sent the digest of vectors that were just computed, to compare.
 */

import { hashingVectorizer, VectorCache } from "quiver-cache";
import { apart } from "./lib/main-job/novel.mjs";
import { digestOf } from "./lib/main-job/value-digest.mjs";

const [root, name] = process.argv.slice(2);
const queries = [
  "the whiteness of the whale",
  "a harpooner sleeps with his tomahawk",
  "the ship sank in a vortex",
];

/** Nearest passages asked for, and shown when those that overlap are left out. */
const ASKED = 20;
const SHOWN = 2;

process.once("message", async ({ digest }) => {
  const vectorizer = hashingVectorizer();
  const start = performance.now();
  const cache = await VectorCache.load(name, { root });
  const opened = performance.now();
  const all = cache.slice();
  const viewed = performance.now();
  const answers = [];
  let searched = Number.POSITIVE_INFINITY;
  for (const query of queries) {
    const began = performance.now();
    const found = await cache.nearest(query, { vectorizer, k: ASKED });
    searched = Math.min(searched, performance.now() - began);
    const shown = apart(found).slice(0, SHOWN);
    answers.push({ query, found: shown.map(({ row, score }) => ({ score, text: cache.text(row) })) });
  }
  process.send(
    {
      opened: opened - start,
      viewed: viewed - opened,
      searched,
      isView: all.isView,
      queries: answers,
      same: digest === null ? null : digest === digestOf(all),
    },
    () => process.disconnect(),
  );
});
