/** Computes a kernel once; every later run, in any process, gets it from the disk. */

import { rmSync } from "node:fs";
import type { Tensor } from "quiver-cache";
import { grunwaldLetnikov, simulationCache } from "quiver-cache/simulation";

const root = "./.quiver-example-simulation";

for (const attempt of ["first", "second"]) {
  await using cache = await simulationCache(root);
  const kernels = cache.namespace<Tensor<Float64Array>>("fractional_kernels");

  const start = performance.now();
  const kernel = await kernels.getOrCompute("kernel_1.5_0.01_1000000", () => {
    console.log("computing a million coefficients");
    return grunwaldLetnikov(1.5, 0.01, 1_000_000);
  });
  console.log(`${attempt} run: ${kernel} in ${(performance.now() - start).toFixed(1)} ms`);

  // Other programs open the same file: numpy.load(path)["data"].
  console.log(`it lies in ${(await kernels.info("kernel_1.5_0.01_1000000"))?.path}`);
}

rmSync(root, { recursive: true, force: true });
