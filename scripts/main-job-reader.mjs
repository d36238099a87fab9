/**
 * The second process of the main job: opens the cache, gets every value, verifies all of its bytes, and sends back
 * what it saw. It is sent the digests of the values that were just computed, to compare with what it gets.
 */

import { Tensor } from "quiver-cache";
import { simulationCache } from "quiver-cache/simulation";
import { digestOf } from "./lib/main-job/value-digest.mjs";

const [root] = process.argv.slice(2);

process.once("message", async (digests) => {
  const cache = await simulationCache(root);
  const rows = [];
  for (const namespace of await cache.namespaces()) {
    for await (const [key, info] of cache.namespace(namespace).entries()) {
      rows.push(await readOne(cache.namespace(namespace), info, digests[`${namespace}/${key}`]));
    }
  }
  await cache.close();
  process.send(rows, () => process.disconnect());
});

async function readOne(namespace, { key, size, path, metadata }, digest) {
  const start = performance.now();
  const value = await namespace.get(key);
  const served = performance.now();
  const tensors = (value instanceof Tensor ? [value] : Object.values(value)).filter(
    (part) => part instanceof Tensor,
  );
  for (const tensor of tensors) await tensor.ready();
  return {
    category: namespace.name,
    name: `${namespace.name}/${key}`,
    single: value instanceof Tensor,
    bytes: size,
    path,
    mapped: tensors.length > 0 && tensors.every((tensor) => tensor.isView),
    computedIn: metadata?.computedInMilliseconds,
    servedIn: served - start,
    verifiedIn: performance.now() - served,
    same: digest && digest === digestOf(value),
  };
}
