import { expect, it } from "vitest";
import { conv, folder } from "./run.ts";

const cwd = folder();

it(
  "conv soak trains and measures, and the back end holds no more at the end than at the beginning",
  { timeout: 120_000 },
  async () => {
    const { code, stdout } = await conv("soak --steps 600 --threads 1 --json".split(" "), cwd);
    expect(code).toBe(0);
    const { steps, growth, samples } = JSON.parse(stdout);
    expect(steps).toBe(600);
    expect(samples.map((s: { step: number }) => s.step)).toEqual(
      Array.from({ length: 20 }, (_, i) => 30 * (i + 1)),
    );
    for (const { backend } of samples) expect(backend).toEqual(samples[0].backend);
    expect(growth.backend).toBe(0);
    expect(growth.objects).toBeLessThan(2 ** 20);
    const text = await conv("soak --steps 40 --threads 1".split(" "), cwd);
    expect(text.stdout).toMatch(
      /^ {4}step +objects +buffers +process +back end\n +2 [\s\S]*\n40 steps in \d+ s; growth from the second quarter to the last: objects and buffers/,
    );
  },
);
