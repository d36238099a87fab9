/**
 * The pipeline behind HTTP. `POST /plan?depots=3` takes stops as CSV and answers with a plan as JSON, `GET /metrics`
 * with numbers for Prometheus. Every stage is memoised with a time to live of its own; any number of instances may
 * share one cache directory.
 *
 * QUIVER_PATH: the cache's directory. PORT: where to listen, 0 = anywhere free.
 */

import { createServer, type IncomingMessage, type ServerResponse } from "node:http";
import type { AddressInfo } from "node:net";
import { text } from "node:stream/consumers";
import { Cache, PROMETHEUS_CONTENT_TYPE, prometheusText } from "quiver-cache";
import { formulate, measureDistances, type Plan, parseStops, solve } from "./stages.ts";

// In this form failures of the cache cost time and nothing else. The limit is small, so that evictions are seen.
const cache = await Cache.open({
  backend: "disk",
  path: process.env["QUIVER_PATH"] ?? "./cache",
  maxSizeMb: 1,
});

const parse = cache.memoize(parseStops, { namespace: "stops", ttl: "10m" });
const distances = cache.memoize(measureDistances, { namespace: "distances", ttl: "2h" });
const program = cache.memoize(formulate, { namespace: "programs", ttl: "2h" });
// The answer is worth the most and takes the least room. A change of the solver makes a new version of it.
const solution = cache.memoize(solve, { namespace: "solutions", ttl: "7d", version: "highs-1" });

async function plan(csv: string, depots: number): Promise<Plan> {
  const stops = await parse(csv);
  const demands = stops.map(({ demand }) => demand);
  const { chosen, cost } = await solution(await program(demands, await distances(stops), depots));
  return { depots: chosen.map((index) => stops[index]?.name ?? "?"), cost };
}

async function answer(request: IncomingMessage, response: ServerResponse): Promise<void> {
  const url = new URL(request.url ?? "/", "http://localhost");
  if (request.method === "GET" && url.pathname === "/metrics") {
    response.setHeader("content-type", PROMETHEUS_CONTENT_TYPE);
    response.end(prometheusText(await cache.metrics()));
  } else if (request.method === "POST" && url.pathname === "/plan") {
    const made = await plan(await text(request), Number(url.searchParams.get("depots") ?? 3));
    response.setHeader("content-type", "application/json");
    response.end(JSON.stringify(made));
  } else {
    response.writeHead(404).end();
  }
}

const server = createServer((request, response) => {
  answer(request, response).catch((error: unknown) => {
    response.writeHead(error instanceof SyntaxError ? 400 : 500).end(String(error));
  });
});

server.listen(Number(process.env["PORT"] ?? 0), process.env["HOST"] ?? "127.0.0.1", () => {
  console.log(`listening on ${(server.address() as AddressInfo).port}`);
});

async function stop(): Promise<void> {
  server.close();
  server.closeAllConnections();
  await cache.close();
}

process.once("SIGTERM", stop);
process.once("SIGINT", stop);
