import { availableParallelism } from "node:os";
import { fileURLToPath } from "node:url";
import { defineConfig, type TestProjectInlineConfiguration } from "vitest/config";
import { BaseSequencer, type TestSpecification } from "vitest/node";

// Tests start hundreds of Node processes. With a compile cache, each of them strips and compiles
// the sources only once.
process.env.NODE_COMPILE_CACHE ??= fileURLToPath(
  new URL("node_modules/.cache/node", import.meta.url),
);

// SwiftShader's compiler takes and returns memory by the megabyte. With these, glibc keeps it: a
// third less time for tests on a GPU.
const glibc = { MALLOC_TRIM_THRESHOLD_: 2 ** 28, MALLOC_TOP_PAD_: 2 ** 24 };
for (const [name, bytes] of Object.entries(glibc)) process.env[name] ??= `${bytes}`;

// One worker more than there are cores, since some wait for a browser or a process that they
// started. Vitest leaves one core alone unless told.
process.env.VITEST_MAX_WORKERS ??= `${availableParallelism() + 1}`;

/**
 * Projects with the longest files, which begin first: many short files fill the cores at the end,
 * and none is left alone.
 */
const LONG = [
  "@conv/kernels-gpu",
  "@conv/tools",
  "@conv/cli",
  "@conv/bench",
  "@conv/playground",
  "@conv/kernels-cpu",
];

/**
 * Projects whose files run one after another in the same processes: nearly a second less for each
 * file. Their tests leave nothing global changed.
 */
const shared = [
  "tensor",
  "ops",
  "compiler",
  "layers",
  "analysis",
  "testkit",
  "kernels-cpu",
  "cli",
  "bench",
].map((name): TestProjectInlineConfiguration => ({
  root: name === "bench" ? "apps/bench" : `packages/${name}`,
  test: { name: `@conv/${name}`, isolate: false },
}));

class LongestFirst extends BaseSequencer {
  override async sort(files: TestSpecification[]): Promise<TestSpecification[]> {
    const rank = ({ project }: TestSpecification): number =>
      LONG.includes(project.name) ? LONG.indexOf(project.name) : LONG.length;
    return (await super.sort(files)).toSorted((a, b) => rank(a) - rank(b));
  }
}

export default defineConfig({
  test: {
    // CONFORMANCE=full: every back end runs all of the conformance suite, variants too (`every` of
    // testBackend).
    provide: { fullConformance: process.env.CONFORMANCE === "full" },
    sequence: { sequencer: LongestFirst },
    projects: [
      ...shared,
      "packages/kernels-gpu",
      "apps/playground",
      "tools",
      "tools/browser/vitest.*.config.ts",
    ],
  },
});
