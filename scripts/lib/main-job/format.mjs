/** How the main job prints figures. */

/** A duration in the unit that suits it. */
export function time(milliseconds) {
  if (milliseconds < 1) return `${Math.round(milliseconds * 1000)} us`;
  return milliseconds < 1000 ? `${milliseconds.toFixed(1)} ms` : `${(milliseconds / 1000).toFixed(1)} s`;
}

export function megabytes(bytes) {
  return `${(bytes / 2 ** 20).toFixed(1)} MB`;
}

/** How many times as fast; with a decimal where it matters. */
export function factor(ratio) {
  return `${ratio < 10 ? ratio.toFixed(1) : Math.round(ratio)}x`;
}

/** Rows of cells as aligned lines, the first column to the left. */
export function formatTable(rows) {
  const widths = rows[0].map((_, column) => Math.max(...rows.map((row) => row[column].length)));
  const aligned = (cell, column) => (column === 0 ? cell.padEnd(widths[0]) : cell.padStart(widths[column]));
  return rows.map((row) => `  ${row.map(aligned).join("  ")}`).join("\n");
}
