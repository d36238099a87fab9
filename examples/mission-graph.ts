/** A graph of computations, of which a change recomputes only what depends on it. */

import { rmSync } from "node:fs";
import { MissionGraph, simulationCache } from "quiver-cache/simulation";

const root = "./.quiver-example-mission";
const gravity = 9.81;

{
  await using cache = await simulationCache(root);
  const results = cache.namespace("mission_graph");

  /** Tsiolkovsky's rocket equation, a ballistic flight, and the price of the fuel. */
  const mission = (fuelPrice: number): MissionGraph =>
    new MissionGraph(results, {
      speed: {
        parameters: { exhaust: 2_500, massRatio: 1.5 },
        compute: (_, parameters) => {
          const { exhaust, massRatio } = parameters as { exhaust: number; massRatio: number };
          return exhaust * Math.log(massRatio);
        },
      },
      height: { inputs: ["speed"], compute: ({ speed }) => (speed as number) ** 2 / (2 * gravity) },
      cost: {
        inputs: ["speed"],
        parameters: { fuelPrice },
        compute: ({ speed }) => (speed as number) * fuelPrice,
      },
      report: {
        inputs: ["height", "cost"],
        compute: ({ height, cost }) => ({ height, cost }),
      },
    });

  for (const price of [2, 2, 3]) {
    const { value, computed, reused } = await mission(price).run("report");
    console.log(`fuel at ${price}:`, value);
    console.log(`  computed: ${computed.join(", ") || "nothing"}; reused: ${reused.join(", ") || "nothing"}`);
  }
}

rmSync(root, { recursive: true, force: true });
