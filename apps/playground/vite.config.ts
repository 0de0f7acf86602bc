// Builds and serves the playground. The two headers isolate the page from other origins, which
// shared memory needs.

import react from "@vitejs/plugin-react";
import { defineConfig } from "vite";
import { digitsPlugin } from "./scripts/digits.ts";
import { POLICY } from "./scripts/policy.ts";
import { wellFormed } from "./scripts/wellFormed.ts";

const headers = {
  "Cross-Origin-Opener-Policy": "same-origin",
  "Cross-Origin-Embedder-Policy": "require-corp",
};

export default defineConfig({
  base: "./",
  plugins: [react(), digitsPlugin(), wellFormed()],
  worker: { format: "es" },
  server: { host: "127.0.0.1", headers },
  preview: { host: "127.0.0.1", headers: { ...headers, ...POLICY } },
  build: { target: "es2022", chunkSizeWarningLimit: 1000 },
});
