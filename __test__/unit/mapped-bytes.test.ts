import fc from "fast-check";
import { expect, test } from "vitest";
import { MappedBytes } from "../../src/native/mapped-bytes.ts";

const KIB = 1024;
const MIB = 1024 * KIB;

/** Memory whose buffers are copies, and the bounds of those that were made. */
function memoryOf(bytes: Uint8Array): { mapped: MappedBytes; made: [start: number, end: number][] } {
  const made: [number, number][] = [];
  const memory = (start: number, end: number): ArrayBuffer => {
    if (!(0 <= start && start < end && end <= bytes.byteLength)) throw new Error(`no part ${start}-${end}`);
    made.push([start, end]);
    return bytes.slice(start, end).buffer;
  };
  return { mapped: new MappedBytes({ byteLength: bytes.byteLength, memory }), made };
}

const large = Uint8Array.from({ length: 9 * MIB + 123 }, (_, at) => (at * 7 + (at >> 12)) & 255);

test("parts are what lies there, through at most four windows and one buffer over all", () => {
  const range = fc
    .record({
      at: fc.nat(large.byteLength),
      length: fc.oneof(fc.nat(100), fc.nat(3 * MIB)),
    })
    .map(({ at, length }) => [at, Math.min(at + length, large.byteLength)] as const);
  fc.assert(
    fc.property(fc.array(range, { maxLength: 12 }), (ranges) => {
      const { mapped, made } = memoryOf(large);
      for (const [start, end] of ranges) {
        expect(Buffer.compare(mapped.part(start, end), large.subarray(start, end))).toBe(0);
      }
      const windows = made.filter(([start, end]) => end - start < large.byteLength);
      expect(made.length - windows.length).toBeLessThanOrEqual(1);
      expect(windows.length).toBeLessThanOrEqual(4);
      for (const [start, end] of windows) {
        expect(end - start).toBeLessThanOrEqual(MIB);
        // Elements are aligned in a window as they are in the file.
        expect(start % 4096).toBe(0);
      }
    }),
    { numRuns: 60 },
  );
});

test("neighbours share a window", () => {
  const { mapped, made } = memoryOf(large);
  for (let row = 0; row < 1000; row++) mapped.part(128 + row * 512, 128 + (row + 1) * 512);
  expect(made).toEqual([
    [0, 64 * KIB],
    [60 * KIB, 316 * KIB],
    [312 * KIB, 1336 * KIB],
  ]);
});

test("who asks for parts all over gets one buffer over all, once", () => {
  const { mapped, made } = memoryOf(large);
  for (let turn = 0; turn < 40; turn++) mapped.part(((turn * 37) % 9) * MIB + 5, ((turn * 37) % 9) * MIB + 9);
  expect(mapped.all.byteLength).toBe(large.byteLength);
  const lengths = made.map(([start, end]) => end - start);
  expect(lengths).toEqual([64 * KIB, 256 * KIB, MIB, MIB, large.byteLength]);
});

test("of nothing there is a view for any elements, also at the end", () => {
  const { mapped } = memoryOf(large.subarray(0, 8 * MIB));
  for (const at of [0, 5, 8 * MIB]) {
    const { buffer, byteOffset } = mapped.part(at, at);
    expect(new Float64Array(buffer, byteOffset, 0).length).toBe(0);
  }
});

test("small values have one buffer only", () => {
  const { mapped, made } = memoryOf(large.subarray(0, 4 * MIB));
  expect(mapped.part(7, 9)).toEqual(large.subarray(7, 9));
  expect(made).toEqual([[0, 4 * MIB]]);
});

test("a part too long for the window of its turn has a longer one, and one too long for any the buffer over all", () => {
  const { mapped, made } = memoryOf(large);
  mapped.part(4096, 4096 + 300 * KIB);
  mapped.part(3 * MIB, 5 * MIB);
  expect(made).toEqual([
    [4 * KIB, 4 * KIB + MIB],
    [0, large.byteLength],
  ]);
});
