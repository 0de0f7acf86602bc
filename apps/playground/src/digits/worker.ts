// The worker's side of the protocol: requests to a session on one network. Those that change
// something are carried out one after another.

import { failureOf } from "../failure.ts";
import { fetchDigits } from "./data.ts";
import { createDevices } from "./device.ts";
import { modelNamed, viewOf } from "./models.ts";
import type { Reply, Request } from "./protocol.ts";
import { createSession, type Session } from "./session.ts";
import { readNetwork } from "./stages.ts";

const reply = (message: Reply, transfer: Transferable[] = []): void =>
  postMessage(message, { transfer });

let session: Promise<Session> | null = null;
/** Sessions that have shown their first picture. */
const settled = new WeakSet<Session>();

async function start({
  model: name,
  ...how
}: Extract<Request, { type: "start" }>): Promise<Session> {
  const model = modelNamed(name);
  const devices = createDevices((ready, total) => reply({ type: "compiling", ready, total }));
  const digits = await fetchDigits(how.folder);
  const made = await createSession(
    { devices, network: readNetwork(model), digits, view: viewOf(model), reply },
    how,
  );
  reply({
    type: "ready",
    testCount: digits.count - digits.trainCount,
    trainCount: digits.trainCount,
  });
  return made;
}

function handle(request: Exclude<Request, { type: "start" }>, s: Session): Promise<void> | void {
  switch (request.type) {
    case "look":
      return s.look(request.pixels);
    case "shown":
      return s.shown();
    case "rate":
      return s.rate(request.value);
    case "device":
      return s.inTurn(() => s.move(request.device));
    case "samples":
      return s.samples(request.indices);
    case "train":
      return s.inTurn(() => s.train(request.epochs));
    case "pause":
      return s.inTurn(() => s.pause());
    case "begin":
      return s.inTurn(() => s.begin(request.beginning));
    case "recipe":
      return s.inTurn(() => s.recipe(request.recipe));
    case "save":
      return s.inTurn(() => s.save());
    case "load":
      return s.inTurn(() => s.load(request.name, request.bytes));
  }
}

addEventListener("message", async ({ data }: MessageEvent<Request>) => {
  try {
    if (data.type === "start") session = start(data);
    const open = await session;
    if (open && data.type !== "look" && data.type !== "samples" && data.type !== "shown")
      open.hurry();
    if (open && data.type !== "start") await handle(data, open);
    if (open && data.type === "look" && !settled.has(open)) {
      settled.add(open);
      await open.inTurn(() => open.tryOut());
    }
  } catch (error) {
    reply({ type: "failed", failure: failureOf(error) });
  }
});
