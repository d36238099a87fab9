/** Progress of long commands: one redrawn line on a terminal; elsewhere plain lines, and only a few of them. */

import type { CliIo } from "./io.ts";
import { printable, truncate } from "./text.ts";

export interface Progress {
  /** `total` may be 0 where it is not known yet. */
  update(done: number, total: number, detail?: string): void;
  /** Clears the redrawn line; call before printing results. */
  end(): void;
}

const TENTHS = 10;
const LINE_WIDTH = 79;

/** Starts showing progress on the surface's notes. */
export function startProgress(io: CliIo, title: string): Progress {
  let lastTenth = 0;
  let drawn = false;
  return {
    update(done, total, detail = "") {
      const percent = total === 0 ? 0 : Math.floor((done / total) * 100);
      const text = printable(`${title}: ${done} of ${total} (${percent} %) ${detail}`.trimEnd());
      if (io.notesAreTerminal) {
        io.note(`\r\u001b[K${truncate(text, LINE_WIDTH)}`);
        drawn = true;
        return;
      }
      const tenth = Math.floor(percent / TENTHS);
      if (tenth > lastTenth) {
        lastTenth = tenth;
        io.note(`${text}\n`);
      }
    },
    end() {
      if (drawn) io.note("\r\u001b[K");
    },
  };
}

/** The same where the end is not known: a growing count, elsewhere a line each time that it has doubled. */
export interface Count {
  update(done: number): void;
  end(): void;
}

const FIRST_COUNT = 1000;

/** Starts showing a count on the surface's notes. */
export function startCount(io: CliIo, title: string): Count {
  let next = FIRST_COUNT;
  return {
    update(done) {
      if (io.notesAreTerminal) io.note(`\r\u001b[K${title}: ${done}`);
      else if (done >= next) {
        next = done * 2;
        io.note(`${title}: ${done}\n`);
      }
    },
    end() {
      if (io.notesAreTerminal) io.note("\r\u001b[K");
    },
  };
}
