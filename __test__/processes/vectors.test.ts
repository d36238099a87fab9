/**
 * Creations of vector caches killed at random moments. The name shows nothing or the whole cache, the one that was
 * there before or the new one; the same call goes on, and the bytes are those of a creation that nobody disturbed.
 */

import { mkdtempSync, readdirSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { setTimeout as pause } from "node:timers/promises";
import { afterAll, beforeAll, expect, test } from "vitest";
import { isQuiverError, VectorCache } from "../../src/index.ts";
import { Random } from "../../src/testing/store/random.ts";
import { Programs, torture } from "./harness.ts";
import type { VectorsInput } from "./programs/vectors.ts";
import { slowVectorizer, textsOf, vectorOf } from "./vectors.ts";

const KILLS = torture ? 200 : 8;
const SEED = Number(process.env["TEST_SEED"] ?? Date.now() % 1_000_000);
const TEXTS = 400;
/** Longest that a creation works before it is killed, ms. */
const LONGEST = 250;
const NAME = "cache";

const root = mkdtempSync(join(tmpdir(), "quiver-vectors-kill-"));
const models = ["model", "another model"] as const;
let programs: Programs;

beforeAll(() => {
  programs = new Programs();
});

afterAll(() => rmSync(root, { recursive: true, force: true }));

/** The files of a cache but the one that says when it was made. */
function filesOf(folder: string): Record<string, string> {
  const names = readdirSync(folder).filter((name) => name !== "metadata.json");
  return Object.fromEntries(names.map((name) => [name, readFileSync(join(folder, name)).toString("latin1")]));
}

/** What is under the name: a model's whole cache, or null for nothing. Anything else fails the test. */
async function found(): Promise<string | null> {
  let cache: VectorCache;
  try {
    cache = await VectorCache.load(NAME, { root });
  } catch (error) {
    if (isQuiverError(error, "ERR_QUIVER_NOT_FOUND")) return null;
    throw error;
  }
  const model = cache.info().model as string;
  expect((await cache.verify()).compared).toBeGreaterThan(1);
  const expected = textsOf(TEXTS).map((text) => vectorOf(text, model));
  expect(cache.getEmbeddings().toArray()).toEqual(expected);
  return model;
}

test(`after each of ${KILLS} kills the cache is absent or whole (seed ${SEED})`, async () => {
  const undisturbed = new Map<string, Record<string, string>>();
  for (const [i, model] of models.entries()) {
    const name = `undisturbed-${i}`;
    const vectorizer = slowVectorizer(model, async () => undefined);
    const options = { batchSize: 10, maxShardSize: 6_000, reuse: false };
    const { path } = await VectorCache.create({ name, root, texts: textsOf(TEXTS), vectorizer, ...options });
    undisturbed.set(model, filesOf(path));
  }
  const random = new Random(SEED);
  let [making, before, completed, resumed] = [0, null as string | null, 0, 0];
  // The last one is left alone: it removes what the one before may have left when it was killed after its end.
  for (let kills = 0, calm = false; kills < KILLS || completed < 2 || !calm; ) {
    const model = models[making % 2] as string;
    const input: VectorsInput = { root, name: NAME, texts: TEXTS, model };
    const creation = programs.start("vectors", input);
    // Towards the end they are left alone, so that it comes to an end.
    const isKilled = kills < KILLS;
    if (isKilled) {
      if (random.chance(0.8)) await creation.message("began").catch(() => undefined);
      await pause(random.below(LONGEST));
      creation.signal("SIGKILL");
    }
    const { signal } = await creation.ended;
    calm = signal === null;
    if (signal === "SIGKILL") kills++;
    else expect(creation.errors).toBe("");
    if (creation.messages.some(({ kind, done }) => kind === "began" && done !== 0)) resumed++;
    const now = await found();
    if (now !== model) {
      expect(now).toBe(before);
      expect(signal).toBe("SIGKILL");
      continue;
    }
    expect(filesOf(join(root, NAME))).toEqual(undisturbed.get(model));
    completed++;
    before = now;
    making++;
    if (random.chance(0.3)) {
      await VectorCache.delete(NAME, { root });
      before = null;
    }
  }
  expect(resumed).toBeGreaterThan(0);
  // Nothing is left but the caches: the last creation has swept what no longer serves.
  const left = readdirSync(root).filter((name) => name.startsWith(".tmp_"));
  expect(left).toEqual([]);
});

test("two processes create one name at once: both end well, and one whole cache is there", async () => {
  for (let round = 0; round < (torture ? 20 : 2); round++) {
    await VectorCache.delete(NAME, { root });
    const creations = models.map((model) =>
      programs.start("vectors", { root, name: NAME, texts: TEXTS, model }),
    );
    for (const creation of creations) expect((await creation.ended).code, creation.errors).toBe(0);
    expect(models).toContain(await found());
  }
});
