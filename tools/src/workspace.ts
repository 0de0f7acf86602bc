// The packages of the workspace, read from their manifests, and functions that run the tools of the
// repository.

import { execFile } from "node:child_process";
import { readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { promisify } from "node:util";

export interface Manifest {
  readonly name: string;
  readonly version: string;
  readonly private?: boolean;
  readonly engines?: { readonly node: string };
  readonly exports?: Readonly<Record<string, unknown>>;
  readonly dependencies?: Readonly<Record<string, string>>;
  readonly devDependencies?: Readonly<Record<string, string>>;
  readonly peerDependencies?: Readonly<Record<string, string>>;
  readonly peerDependenciesMeta?: Readonly<Record<string, { readonly optional?: boolean }>>;
  readonly publishConfig?: {
    readonly exports?: Readonly<Record<string, unknown>>;
    readonly bin?: Readonly<Record<string, string>>;
  };
}

export interface Package {
  /** Without the scope: `kernels-cpu`. */
  readonly name: string;
  readonly folder: string;
  readonly manifest: Manifest;
}

export const root = fileURLToPath(new URL("../../", import.meta.url));

const read = (folder: string): Package => {
  const manifest = JSON.parse(readFileSync(join(folder, "package.json"), "utf8")) as Manifest;
  return { name: manifest.name.replace("@conv/", ""), folder, manifest };
};
const below = (folder: string): Package[] =>
  readdirSync(join(root, folder)).map((name) => read(join(root, folder, name)));

export const packages: readonly Package[] = [
  ...below("packages"),
  ...below("apps"),
  read(join(root, "tools")),
];
export const published: readonly Package[] = packages.filter(({ manifest }) => !manifest.private);

/** Output and exit code of a command. */
export interface Outcome {
  readonly code: number;
  readonly stdout: string;
  readonly stderr: string;
}

/**
 * The environment of this process without the variables of Vitest, which would change builds.
 */
const { NODE_ENV: _mode, VITEST: _vitest, ...plainEnv } = process.env;

/** Runs a program until it ends. Does not throw if the program fails. */
export async function run(
  program: string,
  args: readonly string[],
  { cwd = root, input = "", env = {} } = {},
): Promise<Outcome> {
  const running = promisify(execFile)(program, args, {
    cwd,
    env: { ...plainEnv, ...env },
    maxBuffer: 2 ** 26,
  });
  running.child.stdin?.on("error", () => {}); // a program may end without reading
  running.child.stdin?.end(input);
  try {
    return { code: 0, ...(await running) };
  } catch (error) {
    const failed = error as {
      code: number | string;
      stdout: string;
      stderr: string;
      message: string;
    };
    return {
      code: typeof failed.code === "number" ? failed.code : 1,
      stdout: failed.stdout ?? "",
      stderr: failed.stderr || failed.message,
    };
  }
}

/** Runs a program, throws if it fails, and returns its standard output. */
export async function check(
  program: string,
  args: readonly string[],
  options: Parameters<typeof run>[2] = {},
): Promise<string> {
  const { code, stdout, stderr } = await run(program, args, options);
  if (code !== 0)
    throw new Error(`${program} ${args.join(" ")} ended with code ${code}\n${stdout}\n${stderr}`);
  return stdout;
}

/** Path of an executable of the root's dependencies. */
export const bin = (name: string): string => join(root, "node_modules", ".bin", name);

/** Runs pnpm: the one that started this process, or else the version in the README. */
export function pnpm(
  args: readonly string[],
  options: Parameters<typeof run>[2] = {},
): Promise<string> {
  const own = process.env.npm_execpath;
  return own?.includes("pnpm")
    ? check(process.execPath, [own, ...args], options)
    : check("npx", ["-y", "pnpm@10", ...args], options);
}
