/** `quiver vectors`: embeddings of texts, kept as folders that Python loads too. */

import type { Command } from "commander";
import type { Cli } from "../cli.ts";
import { createCommand } from "../vectors/create.ts";
import { extendCommand } from "../vectors/extend.ts";
import { infoCommand } from "../vectors/info.ts";
import { loadCommand } from "../vectors/load.ts";
import { nearestCommand } from "../vectors/nearest.ts";
import { verifyCommand } from "../vectors/verify.ts";

const commands = [createCommand, loadCommand, infoCommand, extendCommand, nearestCommand, verifyCommand];

export function vectorsCommand(cli: Cli): Command {
  const group = cli.group(
    "vectors",
    "embed texts once, keep the vectors as a dataset folder, find the nearest",
  );
  for (const command of commands) group.addCommand(command(cli));
  return group;
}
