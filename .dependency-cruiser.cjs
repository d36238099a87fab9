/**
 * Which way imports go: a folder may import from its own row and from the rows below it, never from those above.
 * src/index.ts lists the public names and src/testing publishes suites; both look at everything, nothing looks
 * at them.
 */
const rows = [
  ["cli"],
  ["simulation", "vectors", "pipeline", "metrics"],
  ["cache"],
  ["policy", "routing", "hashing"],
  ["stores", "codecs"],
  ["datasets"],
  ["tensor"],
  ["native"],
  ["shared"],
];

const folders = (names) => `^src/(${names.join("|")})/`;

const arrows = rows.slice(1).map((row, index) => {
  const above = rows.slice(0, index + 1).flat();
  return {
    name: `${row.join("-")}-imports-down`,
    severity: "error",
    comment: `${row.join(", ")} must not import from ${above.join(", ")}`,
    from: { path: folders(row) },
    // The columns that a policy ranks are part of what a store promises, so every row may name their types.
    to: { path: folders(above), pathNot: "^src/policy/eviction\\.ts$" },
  };
});

module.exports = {
  forbidden: [
    ...arrows,
    {
      name: "no-cycles",
      severity: "error",
      comment: "modules that import each other can't be read, tested or loaded one at a time",
      from: { path: "^src/" },
      to: { circular: true },
    },
    {
      name: "public-names-are-a-leaf",
      severity: "error",
      comment:
        "src/index.ts and src/testing are for users; the package itself imports what it needs directly",
      from: { path: "^src/", pathNot: "^src/(index\\.ts$|testing/)" },
      to: { path: "^src/(index\\.ts$|testing/)" },
    },
    {
      name: "only-native-loads-the-add-on",
      severity: "error",
      comment: "handle lifetimes and error codes are translated in one folder",
      from: { path: "^src/", pathNot: "^src/native/" },
      to: { path: "\\.node$|^src/native/(addon|generated)\\.ts$" },
    },
    {
      name: "nothing-unresolved",
      severity: "error",
      comment: "an import that can't be found",
      from: { path: "^src/" },
      to: { couldNotResolve: true },
    },
  ],
  options: {
    doNotFollow: { path: "node_modules" },
    tsPreCompilationDeps: true,
    tsConfig: { fileName: "tsconfig.json" },
    enhancedResolveOptions: {
      extensions: [".ts", ".js", ".json"],
      conditionNames: ["import", "types", "default"],
    },
  },
};
