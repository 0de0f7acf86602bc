// `pnpm hunt`: searches for faults for a given time, with new random numbers in each run. The test
// suite runs a short form of it with fixed seeds.

import { availableParallelism } from "node:os";
import { saveFile } from "@conv/layers/node";
import { usageErrors } from "@conv/testkit/usage";
import { Presets, SingleBar } from "cli-progress";
import { Command, InvalidArgumentError } from "commander";
import { hunts, run, type Outcome } from "./hunts.ts";

interface Flags {
  readonly minutes: number;
  readonly seed: number;
  readonly only: readonly string[];
  readonly json?: string | true;
}

const names = hunts.map((hunt) => hunt.name);

function positive(text: string): number {
  const value = Number(text);
  if (!(value > 0 && value < 1e5))
    throw new InvalidArgumentError("It must be a number of minutes greater than 0.");
  return value;
}

function whole(text: string): number {
  const value = Number(text);
  if (!Number.isSafeInteger(value) || value < 0 || text.trim() === "")
    throw new InvalidArgumentError("It must be a whole number ≥ 0.");
  return value;
}

function collected(text: string, before: readonly string[]): string[] {
  const list = text.split(",");
  const unknown = list.find((name) => !names.includes(name));
  if (unknown !== undefined) throw new InvalidArgumentError(`Valid names: ${names.join(", ")}.`);
  return [...before, ...list];
}

const program = new Command("hunt")
  .configureOutput(usageErrors)
  .description(
    "Search for faults: mutated files, decompression bombs, killed processes, full disks, " +
      "closed pipes, random arguments and requests.",
  )
  .option("--minutes <n>", "total time in minutes", positive, 45)
  .option(
    "--seed <n>",
    "seed of the random numbers (default: taken from the clock)",
    whole,
    Date.now() % 2 ** 32,
  )
  .option(
    "--only <names>",
    `run only these, separated by commas: ${names.join(", ")}`,
    collected,
    [],
  )
  .option(
    "--json [file]",
    "write the result as JSON to a file, or to standard output instead of the table",
  )
  .addHelpText("after", () =>
    [
      "\nHunts:",
      ...hunts.map((hunt) => `  ${hunt.name.padEnd(12)} ${hunt.what}`),
      "\nExamples:",
      "  $ pnpm hunt",
      "  $ pnpm hunt --minutes 5 --only safetensors,idx",
      "  $ pnpm hunt --only kills --seed 7 --json kills.json",
      "\nInputs that fail are saved in tools/corpus, and the test suite replays them.",
      "Exit code 1: at least one fault was found.",
    ].join("\n"),
  );

await program.parseAsync();
const { minutes, seed, only, json } = program.opts<Flags>();
const chosen = only.length ? hunts.filter((hunt) => only.includes(hunt.name)) : hunts;
const shares = chosen.reduce((sum, hunt) => sum + hunt.share, 0);
process.stderr.write(`seed ${seed}, ${minutes} minutes, ${availableParallelism()} cores\n`);

const outcomes: Outcome[] = [];
for (const hunt of chosen) {
  const bar = new SingleBar(
    { format: `${hunt.name.padEnd(12)} {bar} {tries}`, clearOnComplete: true, hideCursor: true },
    Presets.shades_classic,
  );
  bar.start(1000, 0, { tries: 0 });
  let tries = 0;
  const seconds = (60 * minutes * hunt.share) / shares;
  const outcome = await run(hunt, {
    seed,
    seconds,
    progress: (share) => bar.update(Math.round(1000 * share), { tries: ++tries }),
  });
  bar.stop();
  outcomes.push(outcome);
  for (const fault of outcome.faults) process.stderr.write(`${hunt.name}: ${fault}\n`);
}

const found = outcomes.reduce((sum, outcome) => sum + outcome.faults.length, 0);
const document = JSON.stringify({ seed, minutes, found, outcomes }, null, 2);
if (typeof json === "string") await saveFile(json, new TextEncoder().encode(`${document}\n`));
if (json === true) console.log(document);
else {
  console.log(
    `${"hunt".padEnd(12)} ${"tries".padStart(9)} ${"seconds".padStart(8)} ${"faults".padStart(7)}`,
  );
  for (const { name, tries, seconds, faults } of outcomes)
    console.log(
      `${name.padEnd(12)} ${tries.toLocaleString("en-US").padStart(9)} ${seconds.toFixed(0).padStart(8)} ${`${faults.length}`.padStart(7)}`,
    );
}
process.exitCode = found ? 1 : 0;
