import { describe, expect, test, vi } from "vitest";
import { Emitter } from "../../src/shared/events.ts";
import { consoleLogger } from "../../src/shared/logger.ts";

describe("the console logger", () => {
  function logger(debug = false) {
    const lines: string[] = [];
    const clock = { time: 0 };
    return {
      lines,
      clock,
      log: consoleLogger({ debug, write: (line) => lines.push(line), clock: () => clock.time }),
    };
  }

  test("prints a cause once a minute, with the count of what it left out", () => {
    const { lines, clock, log } = logger();
    log.warn("disk a is slow", "slow");
    log.warn("disk b is slow", "slow");
    log.error("other");
    clock.time = 59_999;
    log.warn("disk c is slow", "slow");
    clock.time = 60_000;
    log.warn("disk d is slow", "slow");
    clock.time = 200_000;
    log.warn("disk e is slow", "slow");
    expect(lines).toEqual([
      "quiver warning: disk a is slow",
      "quiver error: other",
      "quiver warning: disk d is slow (and 2 more like it)",
      "quiver warning: disk e is slow",
    ]);
  });

  test("prints debug and info only when asked to, then all of them", () => {
    const quiet = logger();
    quiet.log.debug("d");
    quiet.log.info("i");
    expect(quiet.lines).toEqual([]);
    const verbose = logger(true);
    verbose.log.debug("d");
    verbose.log.debug("d");
    verbose.log.info("i");
    expect(verbose.lines).toEqual(["quiver debug: d", "quiver debug: d", "quiver info: i"]);
  });

  test("remembers a bounded number of causes", () => {
    const { lines, log } = logger();
    log.warn("first");
    for (let index = 0; index < 1000; index++) log.warn(`cause ${index}`);
    log.warn("cause 999");
    log.warn("first");
    expect(lines.length).toBe(1002);
  });
});

describe("the emitter", () => {
  function emitter() {
    const error = vi.fn();
    const log = { debug: vi.fn(), info: vi.fn(), warn: vi.fn(), error };
    return { events: new Emitter<{ hit: { key: string }; miss: { key: string } }>(log), error };
  }

  test("calls the listeners of an event in order, until they are removed", () => {
    const { events } = emitter();
    const calls: string[] = [];
    const first = ({ key }: { key: string }) => void calls.push(`first ${key}`);
    const remove = events.on("hit", first);
    events.on("hit", ({ key }) => void calls.push(`second ${key}`));
    events.on("hit", first);
    events.emit("hit", { key: "a" });
    events.emit("miss", { key: "b" });
    remove();
    events.emit("hit", { key: "c" });
    expect(calls).toEqual(["first a", "second a", "second c"]);
  });

  test("knows whether anybody listens", () => {
    const { events } = emitter();
    expect(events.has("hit")).toBe(false);
    const listener = vi.fn();
    events.on("hit", listener);
    expect(events.has("hit")).toBe(true);
    events.off("hit", listener);
    expect(events.has("hit")).toBe(false);
  });

  test("a listener that throws is logged and stops nobody", () => {
    const { events, error } = emitter();
    const after = vi.fn();
    events.on("hit", () => {
      throw new Error("oops");
    });
    events.on("hit", after);
    events.emit("hit", { key: "a" });
    expect(after).toHaveBeenCalledOnce();
    expect(error).toHaveBeenCalledWith(expect.stringContaining("oops"), "listener:hit");
  });

  test("a listener that removes another does not disturb the round", () => {
    const { events } = emitter();
    const second = vi.fn();
    events.on("hit", () => events.off("hit", second));
    events.on("hit", second);
    events.emit("hit", { key: "a" });
    events.emit("hit", { key: "a" });
    expect(second).toHaveBeenCalledOnce();
  });
});
