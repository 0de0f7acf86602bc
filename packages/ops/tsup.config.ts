import { defineConfig } from "tsup";

export default defineConfig({ entry: ["src/index.ts", "src/cases.ts"], format: "esm", target: "es2022", dts: true, minify: true, clean: true });
