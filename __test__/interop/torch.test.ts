/** Files of `torch.save` and `torch.load`, both ways with the real PyTorch. */

import { existsSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import fc from "fast-check";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { loadFile, saveFile } from "../../src/codecs/files.ts";
import { namedTensors } from "../../src/codecs/pt/contents.ts";
import { PythonObject, Tuple, torchFacts } from "../../src/codecs/pt/python.ts";
import { dtypes } from "../../src/tensor/dtype.ts";
import { Tensor } from "../../src/tensor/tensor.ts";
import { findPython, runPython } from "./python.ts";
import { type Facts, factsOf, patterned } from "./tensors.ts";

const python = findPython("torch");
if (python === undefined) console.warn("torch.test.ts: no Python with torch, all its tests are skipped");

/** What both scripts need: values that hold everything a checkpoint can hold, and what is compared of tensors. */
const COMMON = `
import collections, json, math, sys
import torch
from torch import nn

def hex_of(t):
    t = t.detach().resolve_conj().resolve_neg().contiguous()
    return bytes(t.reshape(-1).view(torch.uint8).tolist()).hex() if t.numel() else ""

def facts(t):
    return {"dtype": str(t.dtype).removeprefix("torch."), "shape": list(t.shape), "hex": hex_of(t)}

def patterned(dtype, *shape):
    count = math.prod(shape) * torch.empty(0, dtype=dtype).element_size()
    data = torch.arange(count, dtype=torch.int64).mul(37).add(5).remainder(2 if dtype == torch.bool else 120)
    return data.to(torch.uint8).view(dtype).reshape(shape)

DTYPES = [getattr(torch, name) for name in "bool int8 uint8 int16 uint16 float16 bfloat16 int32 uint32 float32 int64 uint64 float64 complex64 complex128 float8_e4m3fn float8_e4m3fnuz float8_e5m2 float8_e5m2fnuz float8_e8m0fnu".split()]

class Tied(nn.Module):
    def __init__(self):
        super().__init__()
        self.a, self.b = nn.Linear(3, 3), nn.Linear(3, 3)
        self.b.weight = self.a.weight
        self.norm = nn.BatchNorm1d(3)
    def forward(self, x): return self.norm(self.b(self.a(x)))

def checkpoint():
    torch.manual_seed(1)
    model = Tied()
    optimizer = torch.optim.Adam(model.parameters(), lr=1.0, betas=(0.5, 0.999))
    model(torch.randn(4, 3)).sum().backward()
    optimizer.step()
    return {"model_state_dict": model.state_dict(), "optimizer_state_dict": optimizer.state_dict(), "epoch": 3, "loss": 2.0}

def values():
    base = patterned(torch.float32, 4, 6)
    loop = [1]
    loop.append({"again": loop})
    yield "dtypes", {str(d): patterned(d, 2, 3) for d in DTYPES}
    yield "shapes", [patterned(torch.float64, *s) for s in [(), (0,), (0, 4), (1,), (3,), (2, 3, 4), (1, 5, 1)]]
    yield "strides", {
        "transposed": patterned(torch.int32, 3, 4).t(), "expanded": patterned(torch.int16, 3, 1).expand(3, 5),
        "nowhere": torch.zeros(()).expand(7), "channels_last": patterned(torch.float32, 2, 3, 4, 5).to(memory_format=torch.channels_last),
        "gaps": patterned(torch.float32, 8)[::3], "row": base[2], "column": base[:, 1], "small": torch.arange(100000)[5:8],
    }
    yield "views", [base, base[1:3], base.t(), base, base.view(24)[23:]]
    yield "checkpoint", checkpoint()
    yield "state_dict", checkpoint()["model_state_dict"]
    yield "parameters", [nn.Parameter(patterned(torch.float32, 2)), nn.Parameter(patterned(torch.float32, 2), requires_grad=False), patterned(torch.float32, 2).requires_grad_()]
    yield "lazy", {"conj": patterned(torch.complex64, 3).conj(), "neg": torch._neg_view(patterned(torch.float64, 3)), "imag": patterned(torch.complex128, 3).conj().imag}
    yield "plain", {
        "none": None, "true": True, "false": False, "ints": [0, 1, 255, 256, -1, 2**31, -(2**31), 2**53, 2**53 + 1, -(2**63), 2**63, 2**200, -(2**200)],
        "floats": [0.0, -0.0, 1.0, 0.1, 1e300, float("inf"), float("-inf")], "texts": ["", "größe 😀", "a" * 300, "\\ufeffbom"],
        "bytes": b"\\x00\\xff\\x80", "empty": b"", "tuple": (1, (2.0, ()), [3]), "set": {1, "a"}, "list": [], "dict": {},
        1: "int key", (1, "a"): "tuple key", 2.5: "float key", True + 1: "two", None: "none key",
    }
    yield "ordered", collections.OrderedDict([("b", 1), ("a", 2.0), ("10", 3), ("2", 4), ("__proto__", 5)])
    yield "objects", {"size": torch.Size([1, 2]), "device": torch.device("cuda", 1), "dtype": torch.float16, "complex": 1 - 2j, "bytearray": bytearray(b"xy"), "counter": collections.Counter("aab"), "layout": torch.strided}
    yield "loop", loop
    yield "deep", __import__("functools").reduce(lambda inner, _: [inner], range(200), [])
`;

const WRITE = `${COMMON}
folder = json.loads(sys.argv[1])
for name, value in values():
    torch.save(value, f"{folder}/{name}.pt")
    torch.save(value, f"{folder}/{name}.legacy.pth", _use_new_zipfile_serialization=False)
print(json.dumps([name for name, _ in values()]))
`;

/** Compares what we wrote with what torch had: types, values, order, strides, sharing. */
const COMPARE = `${COMMON}
def same(a, b, path, seen):
    if id(a) in seen:
        assert seen[id(a)] is b, f"{path}: shared otherwise"
        return
    assert type(a) is type(b), f"{path}: {type(a)} became {type(b)}"
    if isinstance(a, (list, dict, torch.Tensor)):
        seen[id(a)] = b
    if isinstance(a, torch.Tensor):
        assert facts(a) == facts(b) and a.requires_grad == b.requires_grad, f"{path}: {facts(a)} became {facts(b)}"
    elif isinstance(a, dict):
        assert len(a) == len(b) and getattr(a, "_metadata", None) == getattr(b, "_metadata", None), path
        assert type(a) is dict or list(a) == list(b), f"{path}: order {list(a)} became {list(b)}"
        for key in a:
            assert [type(k) for k in b if k == key] == [type(key)] or isinstance(key, float), f"{path}: key {key}"
            same(a[key], b[key], f"{path}.{key}", seen)
    elif isinstance(a, (list, tuple)):
        assert len(a) == len(b), path
        for i, (x, y) in enumerate(zip(a, b)): same(x, y, f"{path}.{i}", seen)
    else:
        assert a == b and str(a) == str(b), f"{path}: {a!r} became {b!r}"

def tensors(value):
    if isinstance(value, torch.Tensor): return [value]
    if isinstance(value, dict): return [t for v in value.values() for t in tensors(v)]
    return [t for v in value for t in tensors(v)] if isinstance(value, (list, tuple)) and value and value != [1] else []

def sharing(value):
    found = [t for t in tensors(value) if t.numel()]
    bases = [t.untyped_storage().data_ptr() for t in found]
    return [bases.index(base) for base in bases]

sys.setrecursionlimit(10000)
folder = json.loads(sys.argv[1])
report = {}
for name, original in values():
    for suffix in ["", ".legacy"]:
        for mmap in [False, True]:
            copy = torch.load(f"{folder}/{name}{suffix}.copy.pt", weights_only=True, mmap=mmap)
            same(original, copy, name, {})
            if name != "loop": assert sharing(original) == sharing(copy), f"{name}: {sharing(original)} became {sharing(copy)}"
copy = torch.load(f"{folder}/strides.copy.pt", weights_only=True)
report["strides"] = {key: [t.stride(), t.untyped_storage().nbytes()] for key, t in copy.items()}
model = Tied()
model.load_state_dict(torch.load(f"{folder}/checkpoint.copy.pt")["model_state_dict"])
print(json.dumps(report))
`;

describe.skipIf(python === undefined)("with PyTorch", () => {
  let folder: string;
  let names: string[];
  beforeAll(async () => {
    folder = mkdtempSync(join(tmpdir(), "quiver-torch-"));
    names = await runPython<string[]>(python as string, WRITE, folder);
  });
  afterAll(() => {
    rmSync(folder, { recursive: true });
  });
  const path = (name: string): string => join(folder, name);

  test("what it saved comes back to it as it was, through us", async () => {
    for (const name of names) {
      await saveFile(path(`${name}.copy.pt`), await loadFile(path(`${name}.pt`)));
      await saveFile(path(`${name}.legacy.copy.pt`), await loadFile(path(`${name}.legacy.pth`)));
    }
    const report = await runPython<{ strides: Record<string, [number[], number]> }>(
      python as string,
      COMPARE,
      folder,
    );
    expect(report.strides).toMatchObject({
      transposed: [[1, 4], 48],
      expanded: [[1, 0], 6],
      nowhere: [[0], 4],
      channels_last: [[60, 1, 15, 3], 480],
      gaps: [[1], 12],
      small: [[1], 24],
    });
  });

  test("it sees the bytes that we see, in every dtype and layout", async () => {
    const script = `${COMMON}
out = {}
def walk(value, path):
    if isinstance(value, torch.Tensor): out[path] = facts(value)
    elif isinstance(value, dict):
        for key, v in value.items(): walk(v, f"{path}.{key}")
    elif isinstance(value, (list, tuple)):
        for i, v in enumerate(value): walk(v, f"{path}.{i}")
for name, value in values():
    if name not in ("loop", "plain", "views"): walk(value, name)
print(json.dumps(out))
`;
    const expected = await runPython<Record<string, Facts>>(python as string, script, null);
    for (const suffix of [".pt", ".legacy.pth"]) {
      const found: Record<string, Facts> = {};
      for (const name of new Set(Object.keys(expected).map((key) => key.split(".")[0] as string))) {
        for (const [key, tensor] of namedTensors(await loadFile(path(`${name}${suffix}`)))) {
          found[`${name}.${key}`] = factsOf(tensor);
        }
      }
      expect(found).toEqual(expected);
    }
  });

  test("values are plain ones, and what JavaScript lacks is told apart", async () => {
    const plain = (await loadFile(path("plain.pt"))) as Map<unknown, unknown>;
    expect(plain).toBeInstanceOf(Map);
    expect(plain.get(1)).toBe("int key");
    expect(plain.get("ints")).toEqual([
      0,
      1,
      255,
      256,
      -1,
      2 ** 31,
      -(2 ** 31),
      2n ** 53n,
      2n ** 53n + 1n,
      -(2n ** 63n),
      2n ** 63n,
      2n ** 200n,
      -(2n ** 200n),
    ]);
    expect(plain.get("tuple")).toEqual(new Tuple([1, new Tuple([2, new Tuple([])]), [3]]));
    expect(plain.get("set")).toEqual(new Set([1, "a"]));
    expect(plain.get("bytes")).toEqual(Uint8Array.of(0, 255, 128));
    expect(() => plain.set("x", 1)).toThrow(TypeError);

    const checkpoint = (await loadFile(path("checkpoint.pt"))) as Record<string, unknown>;
    expect(checkpoint).toMatchObject({ epoch: 3, loss: 2 });
    expect(Object.isFrozen(checkpoint)).toBe(true);
    const { state, param_groups } = checkpoint["optimizer_state_dict"] as Record<string, unknown>;
    expect((state as Map<number, unknown>).get(0)).toMatchObject({ step: expect.any(Tensor) });
    expect(param_groups).toMatchObject([{ lr: 1, betas: new Tuple([0.5, 0.999]) }]);
    const weights = checkpoint["model_state_dict"] as Record<string, Tensor>;
    expect(weights["a.weight"]?.memory.buffer).toBe(weights["b.weight"]?.memory.buffer);

    const objects = await loadFile(path("objects.pt"));
    expect(objects).toMatchObject({
      device: new PythonObject("torch.device", new Tuple(["cuda", 1])),
      dtype: new PythonObject("torch.float16"),
    });
    const [parameter] = (await loadFile(path("parameters.pt"))) as [Tensor];
    expect(torchFacts(parameter)).toEqual({ parameter: true, requiresGrad: true, location: "cpu" });
    const loop = (await loadFile(path("loop.pt"))) as [1, { again: unknown }];
    expect(loop[1].again).toBe(loop);
  });

  test("it reads what we make, in every dtype, shape and order", async () => {
    const drawn = fc.sample(
      fc.tuple(fc.constantFrom(...dtypes), fc.array(fc.nat(6), { maxLength: 5 }), fc.boolean(), fc.nat(999)),
      { numRuns: 200, seed: 5 },
    );
    const tensors = drawn.map(([dtype, shape, columns, seed]) => {
      const tensor = patterned(dtype, shape, columns ? "F" : "C", seed);
      return shape.length > 0 && seed % 3 === 0 ? tensor.slice(1) : tensor;
    });
    await saveFile(path("drawn.pt"), { tensors });
    const script = `${COMMON}
def whole(path, **options): return [facts(t) for t in torch.load(path, weights_only=True, **options)["tensors"]]
path = json.loads(sys.argv[1])
assert whole(path) == whole(path, mmap=True)
print(json.dumps(whole(path)))
`;
    const found = await runPython<Facts[]>(python as string, script, path("drawn.pt"));
    expect(found).toEqual(tensors.map(factsOf));
  });

  test("what would run code is refused by name, here as there, and nothing runs", async () => {
    const script = `${COMMON}
import os, datetime, pathlib
folder = json.loads(sys.argv[1])
class Evil:
    def __reduce__(self): return (os.system, (f"touch {folder}/owned",))
class Getattr:
    def __reduce__(self): return (getattr, ("text", "upper"))
class Build:
    def __init__(self): self.x = 1
evil = {"system": Evil(), "getattr": Getattr(), "build": Build(), "module": nn.Linear(1, 1), "date": datetime.date(2020, 1, 1), "path": pathlib.PurePosixPath("x"),
        "frozenset": frozenset([1]), "defaultdict": collections.defaultdict(list), "sparse": torch.eye(2).to_sparse()}
out = {}
for name, value in evil.items():
    path = f"{folder}/evil-{name}.pt"
    torch.save({"x": [value]}, path)
    try:
        torch.load(path, weights_only=True)
        out[name] = True
    except Exception:
        out[name] = False
torch.save({"x": 1}, f"{folder}/evil-protocol.pt", pickle_protocol=4)
print(json.dumps(out))
`;
    const theirs = await runPython<Record<string, boolean>>(python as string, script, folder);
    const named: Record<string, RegExp> = {
      system: /posix\.system/,
      getattr: /__builtin__\.getattr/,
      build: /__main__\.Build/,
      module: /torch\.nn\.modules\.linear\.Linear/,
      date: /datetime\.date/,
      path: /pathlib/,
      frozenset: /frozenset/,
      defaultdict: /defaultdict/,
      sparse: /sparse/,
      protocol: /protocol: 4/,
    };
    for (const [name, pattern] of Object.entries(named)) {
      await expect(loadFile(path(`evil-${name}.pt`)), name).rejects.toMatchObject({
        code: "ERR_QUIVER_UNSUPPORTED",
        message: expect.stringMatching(pattern),
      });
    }
    expect(Object.entries(theirs).filter(([, reads]) => reads)).toEqual([["sparse", true]]);
    expect(existsSync(path("owned"))).toBe(false);
  });

  test("an archive cut short is refused at every length, a flipped bit is noticed or changes nothing", async () => {
    const whole = readFileSync(path("views.pt"));
    for (let length = 0; length < whole.byteLength; length += 1 + (length % 23)) {
      writeFileSync(path("cut.pt"), whole.subarray(0, length));
      await expect(loadFile(path("cut.pt")), String(length)).rejects.toMatchObject({
        code: "ERR_QUIVER_CORRUPT",
      });
    }
    const legacy = readFileSync(path("views.legacy.pth"));
    for (let length = 0; length < legacy.byteLength; length += 17) {
      writeFileSync(path("cut.pth"), legacy.subarray(0, length));
      await expect(loadFile(path("cut.pth")), String(length)).rejects.toMatchObject({
        code: expect.stringMatching(/CORRUPT|UNSUPPORTED/),
      });
    }
  });
});
