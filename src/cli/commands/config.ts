/** `quiver config`: the settings in force, and where each came from. */

import type { Command } from "commander";
import type { Origin } from "../../cache/options.ts";
import type { Cli, CommonOptions } from "../cli.ts";
import { EXIT } from "../exit.ts";
import { withCache } from "../session.ts";
import { formatTable } from "../table.ts";

const header = [{ title: "option" }, { title: "value", flexible: true }, { title: "from", flexible: true }];

export function configCommand(cli: Cli): Command {
  return cli.command("config", "show the settings in force and where each came from").action(
    cli.action(async (options: CommonOptions) => {
      const origins = await withCache(options, "read", async (cache) => cache.explainConfig());
      // The mode is this command's own: it asked for reading only.
      const told = origins.filter(({ option, source }) => option !== "mode" || source !== "code");
      if (options.json) await cli.printJson(told);
      else {
        const rows = told.map((origin) => [origin.option, shown(origin.value), place(origin)]);
        await cli.io.write(formatTable(header, rows, cli.io.columns));
      }
      return EXIT.ok;
    }),
  );
}

function place({ source, place: named }: Origin): string {
  if (source === "code") return "--cache";
  return named === "" ? source : named;
}

function shown(value: unknown): string {
  if (value === null) return "none";
  return typeof value === "object" && "name" in value ? String(value.name) : String(value);
}
