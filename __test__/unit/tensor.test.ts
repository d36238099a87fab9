import { inspect } from "node:util";
import fc from "fast-check";
import { describe, expect, test, vi } from "vitest";
import { type DType, dtypeFacts, dtypes } from "../../src/tensor/dtype.ts";
import { Elements, SYNC_VERIFY_LIMIT } from "../../src/tensor/elements.ts";
import { fromBfloat16, fromFloat16, toBfloat16, toFloat16 } from "../../src/tensor/float16.ts";
import { rowMajorStrides } from "../../src/tensor/layout.ts";
import { type NestedArray, Tensor } from "../../src/tensor/tensor.ts";

const counting = (shape: readonly number[], order: "C" | "F" = "C"): Tensor<Float64Array> =>
  new Tensor(
    Float64Array.from({ length: shape.reduce((a, b) => a * b, 1) }, (_, i) => i),
    shape,
    { order },
  );

/** A tensor over bytes that count as lying in a mapped file, and the checks that were asked for. */
function mapped(
  values: Float64Array,
  shape: readonly number[],
  instant = false,
): { tensor: Tensor<Float64Array>; verify: ReturnType<typeof vi.fn>; ready: ReturnType<typeof vi.fn> } {
  const verify = vi.fn();
  const ready = vi.fn(async () => {});
  const elements = new Elements(values, true, { verify, ready, instant }, 128);
  const placement = { dtype: "float64" as const, strides: rowMajorStrides(shape), offset: 0 };
  return { tensor: new Tensor<Float64Array>(elements, shape, placement), verify, ready };
}

describe("making", () => {
  test("takes its dtype from the array", () => {
    expect(new Tensor(new Float32Array(6), [2, 3])).toMatchObject({
      dtype: "float32",
      shape: [2, 3],
      strides: [3, 1],
    });
    expect(new Tensor(new BigInt64Array(2)).dtype).toBe("int64");
    expect(new Tensor(Buffer.alloc(3)).dtype).toBe("uint8");
    expect(new Tensor(new Float64Array(1), [])).toMatchObject({ size: 1, byteLength: 8 });
  });

  test("takes a dtype that the array cannot tell", () => {
    expect(new Tensor(Uint16Array.of(0x3c00), [1], { dtype: "float16" }).at(0)).toBe(1);
    expect(new Tensor(Uint16Array.of(0xc000), [1], { dtype: "bfloat16" }).at(0)).toBe(-2);
    expect(new Tensor(Uint8Array.of(0, 1), undefined, { dtype: "bool" }).toArray()).toEqual([false, true]);
    const complex = new Tensor(Float32Array.of(1, 2, 3, 4), undefined, { dtype: "complex64" });
    expect(complex).toMatchObject({ shape: [2], size: 2, byteLength: 16 });
    expect(complex.toArray()).toEqual([
      [1, 2],
      [3, 4],
    ]);
    expect(complex.row(1).data).toEqual(Float32Array.of(3, 4));
  });

  test("keeps the array, so that writes are seen", () => {
    const values = new Float32Array(4);
    const tensor = new Tensor(values, [2, 2]);
    values[3] = 7;
    expect(tensor.at(1, 1)).toBe(7);
  });

  test.each([
    ["a wrong count", () => new Tensor(new Float32Array(5), [2, 3])],
    ["a negative size", () => new Tensor(new Float32Array(6), [-2, -3])],
    ["a fraction", () => new Tensor(new Float32Array(3), [1.5, 2])],
    ["an overflow", () => new Tensor(new Float32Array(0), [2 ** 40, 2 ** 40])],
    ["a list", () => new Tensor([1, 2] as unknown as Float32Array)],
    ["another width", () => new Tensor(new Float32Array(2), [2], { dtype: "float64" })],
    ["floats as bfloat16", () => new Tensor(new Float32Array(2), [2], { dtype: "bfloat16" })],
    ["half a complex number", () => new Tensor(new Float32Array(3), undefined, { dtype: "complex64" })],
    ["no such dtype", () => new Tensor(new Float32Array(3), [3], { dtype: "float" as DType })],
  ])("refuses %s", (_, make) => {
    expect(make).toThrow(expect.objectContaining({ code: "ERR_QUIVER_BAD_VALUE" }));
  });
});

describe("views", () => {
  test("slice and row share the memory", () => {
    const tensor = counting([4, 3]);
    const slice = tensor.slice(1, 3);
    expect(slice.toArray()).toEqual([
      [3, 4, 5],
      [6, 7, 8],
    ]);
    expect(slice.data.buffer).toBe(tensor.data.buffer);
    expect(slice.row(1).data.byteOffset).toBe(6 * 8);
    expect(tensor.slice(-1).toArray()).toEqual([[9, 10, 11]]);
    expect(tensor.slice(3, 1).shape).toEqual([0, 3]);
    expect(tensor.slice(9).data.length).toBe(0);
  });

  test("of column-major tensors are strided and right", () => {
    const tensor = counting([2, 3], "F");
    expect(tensor.toArray()).toEqual([
      [0, 2, 4],
      [1, 3, 5],
    ]);
    expect(tensor.row(1).strides).toEqual([2]);
    expect(tensor.row(1).data).toEqual(Float64Array.of(1, 3, 5));
    expect(tensor.isContiguous).toBe(false);
    expect(tensor.contiguous().strides).toEqual([3, 1]);
    expect(tensor.memory).toEqual(Float64Array.of(0, 1, 2, 3, 4, 5));
    expect(counting([1, 5], "F").isContiguous).toBe(true);
  });

  test("data is in C order whatever the layout, and the same array each time", () => {
    fc.assert(
      fc.property(fc.array(fc.nat(6), { maxLength: 4 }), fc.nat(6), fc.nat(6), (shape, start, end) => {
        const tensor = counting(shape, "F");
        const view = shape.length > 0 ? tensor.slice(start, end) : tensor;
        const flat = [view.toArray()].flat(9) as number[];
        expect([...view.data]).toEqual(flat);
        expect(view.data).toBe(view.data);
      }),
    );
  });

  test("refuses rows and elements that are not there", () => {
    const tensor = counting([2, 3]);
    for (const index of [-1, 2, 0.5, Number.NaN]) {
      expect(() => tensor.row(index)).toThrow(expect.objectContaining({ code: "ERR_QUIVER_OUT_OF_RANGE" }));
      expect(() => tensor.at(index, 0)).toThrow(expect.objectContaining({ code: "ERR_QUIVER_OUT_OF_RANGE" }));
    }
    expect(() => tensor.at(0)).toThrow("1 indices for a tensor of 2 axes");
    expect(() => counting([]).row(0)).toThrow("0-d");
    expect(counting([]).at()).toBe(0);
  });
});

describe("gather", () => {
  test("equals picking rows one by one, for every dtype and layout", () => {
    fc.assert(
      fc.property(
        fc.constantFrom(...dtypes),
        fc.integer({ min: 1, max: 6 }),
        fc.array(fc.nat(5), { maxLength: 2 }),
        fc.array(fc.nat(), { maxLength: 9 }),
        fc.constantFrom("C" as const, "F" as const),
        (dtype, rows, rest, picks, order) => {
          const shape = [rows, ...rest];
          const { array, itemSize } = dtypeFacts(dtype);
          const count = shape.reduce((a, b) => a * b, 1);
          const bytes = Uint8Array.from({ length: count * itemSize }, (_, i) => (i * 31) & 0x3f);
          const tensor = new Tensor(new array(bytes.buffer), shape, { dtype, order });
          const indices = picks.map((pick) => pick % rows);
          const expected = indices.map((index) => tensor.row(index).toArray());
          expect(tensor.gather(indices).toArray()).toEqual(expected);
          expect(tensor.gather(Uint32Array.from(indices)).shape).toEqual([indices.length, ...rest]);
        },
      ),
    );
  });

  test("works on slices and into out", () => {
    const tensor = counting([5, 2]).slice(1);
    const out = counting([2, 2]);
    expect(tensor.gather([3, 0], out)).toBe(out);
    expect(out.toArray()).toEqual([
      [8, 9],
      [2, 3],
    ]);
  });

  test.each([[[4]], [[-1]], [[0.5]], [[2 ** 32]], [Uint32Array.of(4)]])(
    "refuses the index %s and leaves out alone",
    (indices) => {
      const out = counting([1, 2]);
      expect(() => counting([4, 2]).gather(indices, out)).toThrow(
        expect.objectContaining({ code: "ERR_QUIVER_OUT_OF_RANGE" }),
      );
      expect(out.toArray()).toEqual([[0, 1]]);
    },
  );

  test("refuses an out that does not fit or overlaps", () => {
    const tensor = counting([4, 2]);
    const bad = expect.objectContaining({ code: "ERR_QUIVER_BAD_VALUE" });
    expect(() => tensor.gather([0], counting([2, 2]))).toThrow(bad);
    expect(() => tensor.gather([0, 1], counting([2, 2], "F"))).toThrow(bad);
    expect(() => tensor.gather([0], new Tensor(new Float32Array(2), [1, 2]) as never)).toThrow(bad);
    expect(() => tensor.gather([0], tensor.slice(0, 1))).toThrow("overlap");
  });
});

describe("mapped tensors", () => {
  const rows = SYNC_VERIFY_LIMIT / 8 / 1024 + 1;

  test("are checked where they are touched, not where they are viewed", () => {
    const { tensor, verify } = mapped(new Float64Array(12), [4, 3]);
    const row = tensor.slice(1).row(1);
    expect([tensor.isView, row.isView, verify.mock.calls.length]).toEqual([true, true, 0]);
    expect(row.data.length).toBe(3);
    expect(verify.mock.calls).toEqual([[128 + 48, 128 + 72]]);
    tensor.at(0, 1);
    expect(verify.mock.lastCall).toEqual([128 + 8, 128 + 16]);
    tensor.gather([3, 0]);
    expect(verify.mock.calls.slice(-2)).toEqual([
      [128 + 72, 128 + 96],
      [128, 128 + 24],
    ]);
  });

  test("are not checked for rows that they don't have", () => {
    const { tensor, verify } = mapped(new Float64Array(12), [4, 3]);
    const outOfRange = expect.objectContaining({ code: "ERR_QUIVER_OUT_OF_RANGE" });
    for (const indices of [[4], Uint32Array.of(4)]) expect(() => tensor.gather(indices)).toThrow(outOfRange);
    expect(verify).not.toHaveBeenCalled();
  });

  test("that are cheap to check are, at any length and each time", async () => {
    const { tensor, verify, ready } = mapped(new Float64Array(rows * 1024), [rows, 1024], true);
    await tensor.ready();
    expect(ready).toHaveBeenCalledTimes(1);
    expect(tensor.data).toBe(tensor.data);
    expect(verify.mock.calls).toEqual([
      [128, 128 + rows * 8192],
      [128, 128],
    ]);
  });

  test("pass on what the check throws, each time", () => {
    const { tensor, verify } = mapped(new Float64Array(12), [4, 3]);
    verify.mockImplementation(() => {
      throw new Error("damaged");
    });
    for (const use of [
      () => tensor.data,
      () => tensor.data,
      () => tensor.gather([0]),
      () => tensor.toArray(),
    ]) {
      expect(use).toThrow("damaged");
    }
  });

  test("beyond 8 MiB need ready()", async () => {
    const { tensor, verify, ready } = mapped(new Float64Array(rows * 1024), [rows, 1024]);
    const notReady = expect.objectContaining({ code: "ERR_QUIVER_NOT_READY" });
    expect(() => tensor.data).toThrow(notReady);
    expect(() => tensor.gather(Uint32Array.from({ length: rows }, (_, i) => i))).toThrow(notReady);
    expect(tensor.slice(0, 2).data.length).toBe(2048);
    expect(verify).toHaveBeenCalledTimes(1);
    expect(await tensor.ready()).toBe(tensor);
    expect(ready.mock.calls).toEqual([[128, 128 + rows * 8192]]);
    expect(tensor.data.length).toBe(rows * 1024);
    expect(tensor.slice(1).data.length).toBe((rows - 1) * 1024);
    expect(verify).toHaveBeenCalledTimes(1);
  });

  test("become usable part by part", async () => {
    const { tensor, ready } = mapped(new Float64Array(2 * rows * 1024), [2 * rows, 1024]);
    const upper = tensor.slice(rows);
    const all = Uint32Array.from({ length: rows }, (_, i) => i);
    expect(() => upper.data).toThrow(expect.objectContaining({ code: "ERR_QUIVER_NOT_READY" }));
    await upper.ready();
    expect(upper.data.length).toBe(rows * 1024);
    expect(tensor.gather(all.map((i) => i + rows)).shape).toEqual([rows, 1024]);
    expect(() => tensor.gather(all)).toThrow(expect.objectContaining({ code: "ERR_QUIVER_NOT_READY" }));
    expect(() => tensor.data).toThrow(expect.objectContaining({ code: "ERR_QUIVER_NOT_READY" }));
    await tensor.ready({ end: rows });
    expect(tensor.data.length).toBe(2 * rows * 1024);
    await tensor.ready();
    expect(ready).toHaveBeenCalledTimes(2);
  });

  test("ready takes a range of rows and vouches for no others", async () => {
    const { tensor, verify, ready } = mapped(new Float64Array(12), [4, 3]);
    await tensor.ready({ start: 1, end: 3 });
    expect(tensor.slice(1, 3).data.length).toBe(6);
    expect(verify).not.toHaveBeenCalled();
    expect(tensor.slice(1).data.length).toBe(9);
    expect(verify.mock.calls).toEqual([[128 + 24, 128 + 96]]);
    expect(ready.mock.calls).toEqual([[128 + 24, 128 + 72]]);
  });

  test("are not believed after ready() failed", async () => {
    const { tensor, verify, ready } = mapped(new Float64Array(12), [4, 3]);
    ready.mockRejectedValue(new Error("damaged"));
    await expect(tensor.ready()).rejects.toThrow("damaged");
    expect(tensor.data.length).toBe(12);
    expect(verify).toHaveBeenCalledTimes(1);
  });
});

test("equals compares dtype, shape and bits", () => {
  const tensor = counting([2, 3]);
  expect(tensor.equals(counting([2, 3]))).toBe(true);
  expect(tensor.equals(new Tensor(Float64Array.of(0, 3, 1, 4, 2, 5), [2, 3], { order: "F" }))).toBe(true);
  expect(tensor.equals(counting([3, 2]))).toBe(false);
  expect(tensor.equals(new Tensor(BigInt64Array.from(tensor.data, BigInt), [2, 3]))).toBe(false);
  const nan = new Tensor(Float64Array.of(Number.NaN, 0));
  expect(nan.equals(new Tensor(Float64Array.of(Number.NaN, 0)))).toBe(true);
  expect(nan.equals(new Tensor(Float64Array.of(Number.NaN, -0)))).toBe(false);
});

test("inspect says what it is and reads nothing", () => {
  const { tensor, verify } = mapped(new Float64Array(12), [4, 3]);
  expect(inspect(tensor)).toBe("Tensor(float64 [4, 3], mapped)");
  expect(inspect(counting([2]))).toBe("Tensor(float64 [2])");
  expect(verify).not.toHaveBeenCalled();
});

test("a summary leaves NaN out and knows no order of complex numbers", () => {
  expect(new Tensor(Float32Array.of(1, Number.NaN, 4)).summary()).toEqual({
    min: 1,
    max: 4,
    mean: 2.5,
    sum: 5,
    nan: 1,
  });
  expect(new Tensor(Int8Array.of(-3, 1)).summary()).toMatchObject({ min: -3, max: 1, mean: -1 });
  expect(new Tensor(new Float32Array(0)).summary()).toEqual({ sum: 0, nan: 0 });
  expect(new Tensor(new Float32Array(2), undefined, { dtype: "complex64" }).summary()).toBeUndefined();
});

test("a summary is of the view, however it lies, and of all parts of what is long", () => {
  const grid = new Tensor(
    Int16Array.from({ length: 12 }, (_, index) => index),
    [3, 4],
    { order: "F" },
  );
  expect(grid.slice(1, 2).summary()).toEqual({ min: 1, max: 10, mean: 5.5, sum: 22, nan: 0 });
  const long = Float64Array.from({ length: 400_000 }, (_, index) => (index * 7) % 1_009);
  long[399_999] = -5;
  const sum = long.reduce((total, value) => total + value, 0);
  expect(new Tensor(long).summary()).toEqual({
    min: -5,
    max: 1_008,
    mean: sum / long.length,
    sum,
    nan: 0,
  });
});

describe("half-precision numbers", () => {
  test("every bit pattern survives the way to a number and back", () => {
    for (let bits = 0; bits < 0x10000; bits++) {
      const half = fromFloat16(bits);
      if (!Number.isNaN(half)) expect(toFloat16(half)).toBe(bits);
      const brain = fromBfloat16(bits);
      if (!Number.isNaN(brain)) expect(toBfloat16(brain)).toBe(bits);
    }
  });

  test("rounding goes to the nearest, ties to even", () => {
    expect(toFloat16(65519)).toBe(0x7bff);
    expect(toFloat16(65520)).toBe(0x7c00);
    expect(toFloat16(1 + 2 ** -11)).toBe(0x3c00);
    expect(toFloat16(1 + 3 * 2 ** -11)).toBe(0x3c02);
    expect(toFloat16(2 ** -25)).toBe(0);
    expect(toFloat16(Number.NaN)).toBe(0x7e00);
    expect(toBfloat16(1 + 2 ** -8)).toBe(0x3f80);
    expect(toBfloat16(1 + 3 * 2 ** -8)).toBe(0x3f82);
  });

  test("nested arrays hold them as numbers", () => {
    const expected: NestedArray = [1, Number.POSITIVE_INFINITY];
    expect(new Tensor(Uint16Array.of(0x3c00, 0x7c00), [2], { dtype: "float16" }).toArray()).toEqual(expected);
  });
});
