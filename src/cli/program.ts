/** The command line as a whole. */

import { readFileSync } from "node:fs";
import { Command } from "commander";
import { Cli } from "./cli.ts";
import { backupCommand } from "./commands/backup.ts";
import { clearCommand } from "./commands/clear.ts";
import { compactCommand } from "./commands/compact.ts";
import { configCommand } from "./commands/config.ts";
import { doctorCommand } from "./commands/doctor.ts";
import { duCommand } from "./commands/du.ts";
import { evictCommand } from "./commands/evict.ts";
import { explainCommand } from "./commands/explain.ts";
import { getCommand } from "./commands/get.ts";
import { infoCommand } from "./commands/info.ts";
import { lsCommand } from "./commands/ls.ts";
import { repairCommand } from "./commands/repair.ts";
import { rmCommand } from "./commands/rm.ts";
import { setCommand } from "./commands/set.ts";
import { statsCommand } from "./commands/stats.ts";
import { topCommand } from "./commands/top.ts";
import { vectorsCommand } from "./commands/vectors.ts";
import { verifyCommand } from "./commands/verify.ts";
import { warmCommand } from "./commands/warm.ts";
import type { ExitStatus } from "./exit.ts";
import type { CliIo } from "./io.ts";

const commands = [
  lsCommand,
  infoCommand,
  explainCommand,
  getCommand,
  setCommand,
  rmCommand,
  statsCommand,
  topCommand,
  duCommand,
  verifyCommand,
  repairCommand,
  compactCommand,
  backupCommand,
  evictCommand,
  clearCommand,
  warmCommand,
  vectorsCommand,
  configCommand,
  doctorCommand,
];

const statuses = `
Exit status: 0 done; 1 not there, or problems found; 2 wrong usage; 3 the cache could not do it.`;

/** Runs the command line with the arguments after its name; resolves to the exit status and never rejects. */
export async function runCli(args: readonly string[], io: CliIo): Promise<ExitStatus> {
  const cli = new Cli(io);
  const program = cli
    .quiet(new Command("quiver"))
    .description("A cache for what is expensive to compute and large to hold.")
    .version(packageVersion())
    .addHelpText("after", statuses);
  for (const command of commands) program.addCommand(command(cli));
  return cli.run(program, args);
}

function packageVersion(): string {
  // Two folders up from here, in the sources as in dist/.
  const text = readFileSync(new URL("../../package.json", import.meta.url), "utf8");
  return (JSON.parse(text) as { version: string }).version;
}
