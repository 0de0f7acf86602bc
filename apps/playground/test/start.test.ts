// `pnpm start` as anyone runs it: it builds, serves with the headers that allow threads, and prints where.

import { spawn } from "node:child_process";
import { fileURLToPath } from "node:url";
import { expect, test } from "vitest";

test("start prints an address of this machine, which serves the page and its digits", async () => {
  const script = fileURLToPath(new URL("../scripts/start.ts", import.meta.url));
  const child = spawn(process.execPath, [script], { env: { ...process.env, CI: "1" }, stdio: ["ignore", "pipe", "inherit"] });
  const ended = new Promise((resolve) => child.once("exit", resolve));
  try {
    let printed = "";
    for await (const chunk of child.stdout) {
      printed += String(chunk);
      if (printed.includes("Ctrl-C")) break;
    }
    const [address] = /http:\/\/127\.0\.0\.1:\d+\//.exec(printed) ?? [];
    expect(printed).toContain(`Conv playground: ${address}`);
    const page = await fetch(String(address));
    expect(page.headers.get("cross-origin-opener-policy")).toBe("same-origin");
    expect(page.headers.get("cross-origin-embedder-policy")).toBe("require-corp");
    expect(await page.text()).toContain('<div id="root">');
    expect((await fetch(`${address}digits.bin`)).ok).toBe(true);
  } finally {
    child.kill();
    await ended;
  }
});
