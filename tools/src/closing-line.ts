// A Vitest reporter that ends the output with one plain line of counts: `12 passed, 0 failed,
// 1 skipped`. A file that fails outside its tests, and an error outside of any test, count as a
// failure each.

import type { Reporter, TestModule } from "vitest/node";

export default class ClosingLine implements Reporter {
  onTestRunEnd(modules: readonly TestModule[], unhandled: readonly unknown[]): void {
    const counts = { passed: 0, failed: unhandled.length, skipped: 0, pending: 0 };
    for (const module of modules) {
      for (const test of module.children.allTests()) counts[test.result().state]++;
      const suites = [module, ...module.children.allSuites()];
      counts.failed += suites.filter((suite) => suite.errors().length > 0).length;
    }
    // A test still pending when the run has ended did not pass.
    const line = `${counts.passed} passed, ${counts.failed + counts.pending} failed, ${counts.skipped} skipped`;
    process.once("exit", () => process.stdout.write(`\n${line}\n`));
  }
}
