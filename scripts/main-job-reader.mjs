/** The second process of the main job: opens the cache, gets every value, and sends back what it saw. */

import { Tensor } from "quiver-cache";
import { simulationCache } from "quiver-cache/simulation";
import { digestOf } from "./lib/value-digest.mjs";

const [root] = process.argv.slice(2);

process.once("message", async (digests) => {
  const cache = await simulationCache(root);
  const rows = [];
  for (const namespace of Object.keys((await cache.stats()).namespaces)) {
    const values = cache.namespace(namespace);
    for await (const [key, info] of values.entries()) {
      const start = performance.now();
      const value = await values.get(key);
      const milliseconds = performance.now() - start;
      const tensors =
        value instanceof Tensor ? [value] : Object.values(value).filter((part) => part instanceof Tensor);
      const verifyStart = performance.now();
      for (const tensor of tensors) await tensor.ready();
      const verifyMilliseconds = performance.now() - verifyStart;
      const mapped = tensors.length > 0 && tensors.every((tensor) => tensor.isView);
      const digest = digests[`${namespace}/${key}`];
      const same = digest === undefined ? undefined : digest === digestOf(value);
      rows.push({
        namespace,
        key,
        bytes: info.size,
        path: info.path,
        milliseconds,
        verifyMilliseconds,
        mapped,
        same,
      });
    }
  }
  await cache.close();
  process.send(rows, () => process.disconnect());
});
