import { defineConfig } from "tsup";

export default defineConfig({ entry: ["src/bin.ts", "src/digits.ts"], format: "esm", target: "es2022", dts: true, minify: true, clean: true });
