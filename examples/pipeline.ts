/**
 * Runs the pipeline's server twice on one cache directory. The first is killed in the middle of its work; the second
 * serves at once what the first had finished, computes the rest, and prints what it counted.
 */

import { type ChildProcess, spawn } from "node:child_process";
import { once } from "node:events";
import { rmSync } from "node:fs";
import { createInterface } from "node:readline";
import { fileURLToPath } from "node:url";

const root = "./.quiver-example-pipeline";
const PROBLEMS = 18;
const STOPS = 24;

/** Stops strewn over a square of a hundred kilometres, the same ones for the same problem. */
function stopsOf(problem: number): string {
  let state = problem + 1;
  const random = (): number => {
    state = (Math.imul(state, 1_664_525) + 1_013_904_223) >>> 0;
    return state / 2 ** 32;
  };
  const line = (index: number): string =>
    [`stop-${index}`, 52 + random(), 5 + random() * 1.5, Math.ceil(random() * 20)].join(",");
  return Array.from({ length: STOPS }, (_, index) => line(index)).join("\n");
}

async function startServer(): Promise<{ process: ChildProcess; url: string }> {
  const program = fileURLToPath(new URL("./pipeline/server.js", import.meta.url));
  const child = spawn(process.execPath, [program], {
    env: { ...process.env, QUIVER_PATH: root, PORT: "0" },
    stdio: ["ignore", "pipe", "inherit"],
  });
  for await (const line of createInterface(child.stdout)) {
    const port = /^listening on (\d+)$/.exec(line)?.[1];
    if (port !== undefined) return { process: child, url: `http://127.0.0.1:${port}` };
  }
  throw new Error("the server ended before it listened");
}

async function ask(url: string, problem: number): Promise<{ cost: number; milliseconds: number }> {
  const started = performance.now();
  const response = await fetch(`${url}/plan?depots=4`, { method: "POST", body: stopsOf(problem) });
  if (!response.ok) throw new Error(`${response.status}: ${await response.text()}`);
  const { cost } = (await response.json()) as { cost: number };
  return { cost, milliseconds: performance.now() - started };
}

rmSync(root, { recursive: true, force: true });

const first = await startServer();
const costs: number[] = [];
let spent = 0;
for (let problem = 0; problem < PROBLEMS / 2; problem++) {
  const { cost, milliseconds } = await ask(first.url, problem);
  costs.push(cost);
  spent += milliseconds;
}
console.log(`first run: ${costs.length} plans in ${spent.toFixed(0)} ms`);
const interrupted = ask(first.url, PROBLEMS / 2).catch(() => "no answer");
await new Promise((resolve) => setTimeout(resolve, 20));
first.process.kill("SIGKILL");
console.log(`killed in the middle of the next: ${JSON.stringify(await interrupted)}`);

const second = await startServer();
let again = 0;
for (const [problem, cost] of costs.entries()) {
  const answer = await ask(second.url, problem);
  if (answer.cost !== cost)
    throw new Error(`problem ${problem} costs ${answer.cost}, and cost ${cost} before`);
  again += answer.milliseconds;
}
console.log(`second run: the same plans in ${again.toFixed(0)} ms`);
for (let problem = PROBLEMS / 2; problem < PROBLEMS; problem++) await ask(second.url, problem);

const metrics = await (await fetch(`${second.url}/metrics`)).text();
console.log(
  metrics
    .split("\n")
    .filter((line) => /^quiver_(hits|misses|evictions|allocated)/.test(line))
    .join("\n"),
);
second.process.kill("SIGTERM");
await once(second.process, "exit");
rmSync(root, { recursive: true, force: true });
