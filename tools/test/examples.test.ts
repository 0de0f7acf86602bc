// Examples that need several processes run as a reader would run them.

import { join } from "node:path";
import { expect, test } from "vitest";
import { check, root } from "../src/workspace.ts";

test(
  "workers train apart and go on from the mean of their weights",
  { timeout: 120_000 },
  async () => {
    const printed = await check(process.execPath, [join(root, "tools/examples/machines.ts")], {
      cwd: root,
    });
    const rounds = [...printed.matchAll(/^round (\d): the mean of 3 reads (\d+\.\d) %$/gm)].map(
      ([, round, percent]) => [Number(round), Number(percent)],
    );
    expect(rounds.map(([round]) => round)).toEqual([1, 2, 3]);
    expect(rounds[2][1]).toBeGreaterThan(70);
  },
);
