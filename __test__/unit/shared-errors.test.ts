import { expect, test } from "vitest";
import { isQuiverError, isQuiverErrorCode, QuiverError } from "../../src/shared/errors.ts";

test("an error has its code's hint and fix unless it brings its own", () => {
  const plain = new QuiverError("ERR_QUIVER_CLOSED", "closed");
  expect(plain.hint.length).toBeGreaterThan(10);
  expect(plain.fix.length).toBeGreaterThan(10);
  expect("cause" in plain).toBe(false);
  const cause = new Error("why");
  const full = new QuiverError("ERR_QUIVER_IO", "failed", {
    hint: "h",
    fix: "f",
    key: "k",
    path: "/p",
    expected: 1,
    found: 2,
    cause,
  });
  expect(full).toMatchObject({
    name: "QuiverError",
    message: "failed",
    hint: "h",
    fix: "f",
    key: "k",
    path: "/p",
    expected: 1,
    found: 2,
  });
  expect(full.cause).toBe(cause);
});

test("errors of another copy are recognised, others not", () => {
  const foreign = Object.assign(new Error("x"), { code: "ERR_QUIVER_CLOSED", hint: "", fix: "" });
  expect(isQuiverError(foreign)).toBe(true);
  expect(isQuiverError(foreign, "ERR_QUIVER_CLOSED")).toBe(true);
  expect(isQuiverError(foreign, "ERR_QUIVER_IO")).toBe(false);
  for (const other of [new Error("x"), null, "ERR_QUIVER_CLOSED", { code: "ENOENT", hint: "" }]) {
    expect(isQuiverError(other)).toBe(false);
  }
});

test("codes are told from other texts", () => {
  expect(isQuiverErrorCode("ERR_QUIVER_TOO_LARGE")).toBe(true);
  for (const other of ["ERR_QUIVER_NONE", "toString", "", 5]) expect(isQuiverErrorCode(other)).toBe(false);
});
