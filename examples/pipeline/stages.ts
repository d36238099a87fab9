/**
 * Where to put depots so that the stops of a delivery service are close to one: four stages, each of which costs more
 * than the one before. The problem is the p-median problem (Hakimi 1964), solved as an integer program by HiGHS.
 */

import highs, { type Highs } from "highs";
import { Tensor } from "quiver-cache";

export interface Stop {
  readonly name: string;
  /** Degrees. */
  readonly latitude: number;
  readonly longitude: number;
  /** Deliveries a day. */
  readonly demand: number;
}

export interface Plan {
  readonly depots: readonly string[];
  /** Deliveries times kilometres, a day. */
  readonly cost: number;
}

/** Lines of `name,latitude,longitude,demand`. */
export async function parseStops(csv: string): Promise<readonly Stop[]> {
  return csv
    .trim()
    .split("\n")
    .map((line, index) => {
      const [name = "", ...numbers] = line.split(",");
      const [latitude, longitude, demand] = numbers.map(Number);
      if (
        latitude === undefined ||
        longitude === undefined ||
        demand === undefined ||
        numbers.some((text) => Number.isNaN(Number(text)))
      ) {
        throw new SyntaxError(`line ${index + 1} is not name,latitude,longitude,demand`);
      }
      return { name, latitude, longitude, demand };
    });
}

const EARTH_RADIUS = 6371;

/** Great-circle distances in kilometres, [stops, stops], by the haversine formula. */
export async function measureDistances(stops: readonly Stop[]): Promise<Tensor<Float64Array>> {
  const radians = (degrees: number): number => (degrees * Math.PI) / 180;
  const distances = stops.flatMap((from) =>
    stops.map((to) => {
      const [north, south] = [radians(from.latitude), radians(to.latitude)];
      const half =
        Math.sin((south - north) / 2) ** 2 +
        Math.cos(north) * Math.cos(south) * Math.sin(radians(to.longitude - from.longitude) / 2) ** 2;
      return 2 * EARTH_RADIUS * Math.asin(Math.sqrt(half));
    }),
  );
  return new Tensor(Float64Array.from(distances), [stops.length, stops.length]);
}

/** The integer program in LP format: x_i_j serves stop i from stop j, y_j puts a depot at stop j. */
export async function formulate(
  demands: readonly number[],
  distances: Tensor<Float64Array>,
  depots: number,
): Promise<string> {
  const { data } = distances;
  const all = demands.map((_, index) => index);
  const cost = (from: number, to: number): string =>
    ((demands[from] ?? 0) * (data[from * demands.length + to] ?? 0)).toFixed(6);
  return [
    "Minimize",
    ` obj: ${all.flatMap((i) => all.map((j) => `${cost(i, j)} x_${i}_${j}`)).join(" + ")}`,
    "Subject To",
    ...all.map((i) => ` served_${i}: ${all.map((j) => `x_${i}_${j}`).join(" + ")} = 1`),
    ...all.flatMap((i) => all.map((j) => ` open_${i}_${j}: x_${i}_${j} - y_${j} <= 0`)),
    ` count: ${all.map((j) => `y_${j}`).join(" + ")} = ${depots}`,
    "Binary",
    ` ${all.map((j) => `y_${j}`).join(" ")}`,
    "End",
  ].join("\n");
}

/** The package is loaded as a module, and declares what a CommonJS one would export. */
const load = highs as unknown as () => Promise<Highs>;

/** Indices of the stops that get a depot, and the cost. */
export async function solve(
  program: string,
): Promise<{ readonly chosen: readonly number[]; readonly cost: number }> {
  const solver = await load();
  const solution = solver.solve(program);
  if (solution.Status !== "Optimal") throw new Error(`the solver says "${solution.Status}"`);
  const chosen = Object.entries(solution.Columns)
    .filter(([name, column]) => name.startsWith("y_") && "Primal" in column && Number(column.Primal) > 0.5)
    .map(([name]) => Number(name.slice(2)))
    .sort((left, right) => left - right);
  return { chosen, cost: solution.ObjectiveValue };
}
