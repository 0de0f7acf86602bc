// `pnpm start`: builds the playground, serves it, prints its address, and opens it where there is a
// desktop.

import { spawn } from "node:child_process";
import { fileURLToPath } from "node:url";
import { serve } from "@conv/testkit/browser";
import { build } from "vite";
import { POLICY } from "./policy.ts";

const root = fileURLToPath(new URL("..", import.meta.url));

const hasDesktop =
  process.platform === "darwin" ||
  process.platform === "win32" ||
  Boolean(process.env.DISPLAY || process.env.WAYLAND_DISPLAY);

await build({ root, logLevel: "warn" });
const { url } = await serve(fileURLToPath(new URL("../dist", import.meta.url)), {
  isolated: true,
  headers: POLICY,
  port: 4173,
});
console.log(`\n  Conv playground: ${url}\n  Ctrl-C ends it.\n`);
if (hasDesktop && !process.env.CI) {
  const opener =
    process.platform === "darwin" ? "open" : process.platform === "win32" ? "explorer" : "xdg-open";
  spawn(opener, [url], { stdio: "ignore", detached: true })
    .on("error", () => {}) // then the address is typed
    .unref();
}
