// `pnpm start`: builds the playground, serves it, prints its address, and opens it where there is a desktop.

import { fileURLToPath } from "node:url";
import { build, preview } from "vite";

const root = fileURLToPath(new URL("..", import.meta.url));

const hasDesktop = process.platform === "darwin" || process.platform === "win32" || Boolean(process.env.DISPLAY || process.env.WAYLAND_DISPLAY);

await build({ root, logLevel: "warn" });
const server = await preview({ root, preview: { port: 4173, open: hasDesktop && !process.env.CI } });
console.log(`\n  Conv playground: ${server.resolvedUrls?.local[0]}\n  Ctrl-C ends it.\n`);
