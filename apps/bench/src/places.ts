// Where competitors run: processes of Node on the CPU, processes of Node on a GPU, or all in one
// page of a browser.

import type { AdapterName } from "./browser.ts";
import { start, type Competitor, type CompetitorName, type StartOptions } from "./competitor.ts";
import { describeGpuMachine, describeMachine, nodeGpuPeak, type Machine } from "./machine.ts";

export interface Place {
  readonly machine: Machine;
  /** A competitor beside the others. Throws an Error of one line when it does not come up. */
  start(name: CompetitorName): Promise<Competitor>;
  /** One that has a process, or a page, of its own, which ends with it. */
  startAlone(name: CompetitorName): Promise<Competitor>;
  close(): Promise<void>;
}

export interface PlaceOptions extends Omit<StartOptions, "env"> {
  readonly where: "node" | "browser";
  readonly adapter: AdapterName;
}

/**
 * Measures the peak of the device too. Throws an Error of one line where there is no such device.
 */
export async function openPlace(options: PlaceOptions): Promise<Place> {
  if (options.where === "browser") return inBrowser(options);
  const env = options.device === "gpu" ? await findDriver(options.adapter) : undefined;
  const machine = env
    ? describeGpuMachine(env.peak, `Dawn in Node ${process.versions.node}`)
    : await describeMachine(options.threads);
  const alone = (name: CompetitorName) => start(name, { ...options, env: env?.env });
  return { machine, start: alone, startAlone: alone, close: async () => {} };
}

async function inBrowser({ adapter }: PlaceOptions): Promise<Place> {
  const { openBrowser } = await import("./browser.ts"); // with a bundler, which is large
  const browser = await openBrowser(adapter);
  const page = await browser.openPage();
  return {
    machine: describeGpuMachine(browser.peak, browser.version),
    start: async (name) => ({ ...(await page.start(name)), end: () => {} }),
    startAlone: async (name) => (await browser.openPage()).start(name),
    close: () => browser.close(),
  };
}

/**
 * The variables with which processes find the adapter, and its peak: those of the machine, or
 * SwiftShader's.
 */
async function findDriver(adapter: AdapterName) {
  const machine = async () => ({ env: {}, peak: await nodeGpuPeak({}) });
  const swiftshader = async () => {
    const { softwareEnv } = await import("@conv/testkit/webgpu");
    const env = await softwareEnv();
    return { env, peak: await nodeGpuPeak(env) };
  };
  if (adapter === "machine") return machine();
  return adapter === "swiftshader" ? swiftshader() : machine().catch(swiftshader);
}
