// Files that the command reads and writes: refused before anything is measured, written whole, and
// JSON alone where it goes to standard output.

import {
  chmodSync,
  lstatSync,
  mkdtempSync,
  readFileSync,
  rmSync,
  statSync,
  symlinkSync,
  writeFileSync,
} from "node:fs";
import { availableParallelism, tmpdir } from "node:os";
import { join } from "node:path";
import { inOneProcess } from "@conv/testkit/processes";
import { afterAll, expect, test } from "vitest";
import type { Row } from "../src/report/result.ts";

const folder = mkdtempSync(join(tmpdir(), "conv-bench-files-"));
afterAll(() => rmSync(folder, { recursive: true }));
const bench = inOneProcess(new URL("../src/main.ts", import.meta.url), { COLUMNS: "100" });

const row = (name: string, competitor: Row["competitor"], medianMs: number): Row => ({
  ...{
    case: name,
    competitor,
    medianMs,
    p10Ms: medianMs,
    p90Ms: medianMs,
    gflops: 10 / medianMs,
    intensity: 10,
    percentOfPeak: 50,
  },
  ...{ calls: 9, verified: true, error: 1, kernels: ["igemm"] },
});
const peak = { gflops: 50, of: "f32x4.mul in registers", bandwidth: 10 };
const machine = {
  cpu: "A",
  cores: 2,
  memoryGiB: 8,
  system: "linux",
  threads: 1,
  peak,
  peaks: [peak],
};
const result = {
  machine,
  engine: { node: "24", v8: "13" },
  flags: [],
  commit: "abc",
  direction: "forward",
  versions: {},
};
const file = (name: string, contents: string) => {
  writeFileSync(join(folder, name), contents);
  return join(folder, name);
};
const first = file(
  "first.json",
  JSON.stringify({
    ...result,
    rows: [row("a", "conv", 1), row("a", "torch", 2)],
    ratios: {},
    declined: [],
  }),
);
const second = file(
  "second.json",
  JSON.stringify({ ...result, rows: [row("b\u001B[2J|", "conv", 1)], ratios: {}, declined: [] }),
);

test.each([
  [
    ["layers", "--json", "/dev/null"],
    "--json /dev/null: /dev/null is a device, not a regular file",
  ],
  [["networks", "--html", folder], `--html ${folder}: ${folder} is a folder`],
  [
    ["train", "--json", join(folder, "none", "a.json")],
    `--json ${join(folder, "none", "a.json")}: ENOENT: no such file or directory`,
  ],
  [["fit", "--json", ""], "--json : the path is empty"],
  [["layers", "--from", first, "--html", folder], `--html ${folder}: ${folder} is a folder`],
  [
    ["layers", "--from", join(folder, "none.json")],
    `--from ${join(folder, "none.json")}: ENOENT: no such file or directory`,
  ],
  [
    ["layers", "--from", file("list.json", "{}")],
    `--from ${join(folder, "list.json")}: it holds no rows; it must be a file that --json wrote`,
  ],
  [
    ["fit", "--from", first],
    `--from ${first}: it holds no times; it must be a file that --json wrote`,
  ],
  [
    ["layers", "--threads", `${availableParallelism() + 1}`],
    `error: option '--threads <n>' argument '${availableParallelism() + 1}' is invalid. It must be a whole number from 1 to ${availableParallelism()}, the number of processor cores.`,
  ],
  [["networks", "--profile", "--json"], "--profile prints text alone: leave out --json and --html"],
])("%j is refused in one line, before anything is measured", async (args, message) => {
  const { code, stdout, stderr } = await bench(args);
  expect(stderr.split("\n")[0]).toBe(message);
  expect([code, stdout]).toEqual([2, ""]);
});

test("--json without a file prints the figures alone", async () => {
  const { code, stdout, stderr } = await bench([
    "layers",
    "--from",
    `${first},${second}`,
    "--json",
  ]);
  expect([code, stderr]).toEqual([0, ""]);
  expect(JSON.parse(stdout)).toMatchObject({
    commit: "abc",
    ratios: { torch: { geometricMean: 2 } },
    rows: [{ case: "a" }, {}, {}],
  });
});

test("tables show no character of a file that a terminal acts on", async () => {
  const { stdout } = await bench(["layers", "--from", second]);
  expect(stdout).toContain("| b\\u{1b}[2J\\| ");
});

test("a link is followed, and the mode of a file is kept", async () => {
  const target = file("private.json", "");
  chmodSync(target, 0o600);
  symlinkSync(target, join(folder, "link.json"));
  expect((await bench(["layers", "--from", first, "--json", join(folder, "link.json")])).code).toBe(
    0,
  );
  expect(lstatSync(join(folder, "link.json")).isSymbolicLink()).toBe(true);
  expect(statSync(target).mode & 0o777).toBe(0o600);
  expect(JSON.parse(readFileSync(target, "utf8"))).toMatchObject({ commit: "abc" });
});
