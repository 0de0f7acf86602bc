import { defineConfig } from "tsup";

export default defineConfig({ entry: ["src/index.ts", "src/models/index.ts", "src/node.ts"], format: "esm", target: "es2022", dts: true, minify: true, clean: true });
