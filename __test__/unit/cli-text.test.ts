import { describe, expect, test } from "vitest";
import type { CliIo } from "../../src/cli/io.ts";
import { startProgress } from "../../src/cli/progress.ts";
import { formatFacts, formatTable } from "../../src/cli/table.ts";
import { displayWidth, printable, truncate } from "../../src/cli/text.ts";

describe("text", () => {
  test("writes out what could move the cursor or hide text", () => {
    expect(printable("a\u001b[2Jb\n\u202e\0c")).toBe("a\\u{1b}[2Jb\\u{a}\\u{202e}\\u{0}c");
    expect(printable("grün 漢字")).toBe("grün 漢字");
  });

  test("counts columns, not characters", () => {
    expect(displayWidth("漢字")).toBe(4);
    expect(displayWidth("e\u0301")).toBe(1);
    expect(displayWidth("🚀")).toBe(2);
  });

  test("cuts to the columns it is given, ellipsis included", () => {
    expect(truncate("abcdef", 6)).toBe("abcdef");
    expect(truncate("abcdef", 5)).toBe("abcd…");
    expect(displayWidth(truncate("漢字漢字", 6))).toBeLessThanOrEqual(6);
  });
});

describe("table", () => {
  const header = [
    { title: "key", flexible: true },
    { title: "size", align: "right" as const },
  ];

  test("aligns columns, also below a long title", () => {
    const rows = [
      ["a", "1 B"],
      ["漢字", "12.5 MB"],
    ];
    expect(formatTable(header, rows, Number.POSITIVE_INFINITY)).toBe(
      "key      size\na         1 B\n漢字  12.5 MB\n",
    );
  });

  test("cuts only the flexible column to fit the terminal", () => {
    const key = "k".repeat(50);
    const lines = formatTable(header, [[key, "12.5 MB"]], 40).split("\n");
    expect(lines.every((line) => displayWidth(line) <= 40)).toBe(true);
    expect(lines[1]).toContain("…  12.5 MB");
    expect(formatTable(header, [[key, "12.5 MB"]], Number.POSITIVE_INFINITY)).toContain(key);
  });

  test("keeps a hostile key on its own line", () => {
    const text = formatTable(header, [["a\nb\u001b[31m", "1 B"]], 80);
    expect(text.split("\n")).toHaveLength(3);
    expect(text).not.toContain("\u001b");
  });

  test("pads the names of facts", () => {
    expect(
      formatFacts([
        ["key", "x"],
        ["checksum", "y"],
      ]),
    ).toBe("key       x\nchecksum  y\n");
  });
});

describe("progress", () => {
  function notesOf(terminal: boolean): { io: CliIo; text(): string } {
    let text = "";
    const io = { notesAreTerminal: terminal, note: (part: string) => (text += part) } as unknown as CliIo;
    return { io, text: () => text };
  }

  test("prints at most ten plain lines where nobody watches", () => {
    const { io, text } = notesOf(false);
    const progress = startProgress(io, "warming");
    for (let done = 1; done <= 1000; done++) progress.update(done, 1000);
    progress.end();
    expect(text().split("\n").filter(Boolean)).toHaveLength(10);
    expect(text()).not.toContain("\r");
  });

  test("redraws one line on a terminal and clears it at the end", () => {
    const { io, text } = notesOf(true);
    const progress = startProgress(io, "warming");
    progress.update(1, 2);
    progress.end();
    expect(text()).not.toContain("\n");
    expect(text().endsWith("\r\u001b[K")).toBe(true);
  });
});
