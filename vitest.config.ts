import { defineConfig } from "vitest/config";

export default defineConfig({
  test: {
    include: ["__test__/**/*.test.{ts,mjs}"],
    // A process a file: the native add-on keeps state for its process, and some tests end one on purpose.
    pool: "forks",
    maxWorkers: 2,
    // Generous, because a loaded machine must not decide a verdict; no test waits for these.
    testTimeout: 120_000,
    hookTimeout: 120_000,
    typecheck: {
      enabled: true,
      include: ["__test__/types/**/*.test-d.ts"],
      tsconfig: "./tsconfig.test.json",
      // Errors elsewhere are the business of `npm run check`.
      ignoreSourceErrors: true,
    },
  },
});
