#!/usr/bin/env node
/** The command `quiver`. */

import { processIo } from "./io.ts";
import { runCli } from "./program.ts";

// A closed pipe (`quiver ls | head`) is no failure; any other one is told by the command that was writing.
process.stdout.on("error", (error: NodeJS.ErrnoException) => {
  if (error.code === "EPIPE") process.exit(0);
});

process.exitCode = await runCli(process.argv.slice(2), processIo());
