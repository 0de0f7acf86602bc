// Runs a program's main module again and again in one process, as asked by messages: `inOneProcess`
// starts it.

interface Asked {
  readonly args: readonly string[];
  readonly cwd: string;
}

const main = process.argv[2];
const state = { runs: 0 };
// each run adds its own
for (const emitter of [process, process.stdout, process.stderr]) emitter.setMaxListeners(0);

process.on("message", async ({ args, cwd }: Asked) => {
  process.chdir(cwd);
  process.argv.splice(2, process.argv.length, ...args);
  process.exitCode = undefined;
  const said = { stdout: "", stderr: "" };
  for (const name of ["stdout", "stderr"] as const)
    Object.assign(process[name], {
      write: (text: string | Uint8Array) => ((said[name] += text), true),
    });
  // another address: evaluated anew, while all that it imports stays loaded
  await import(`${main}?${state.runs++}`);
  process.send?.({ code: process.exitCode ?? 0, ...said });
});
