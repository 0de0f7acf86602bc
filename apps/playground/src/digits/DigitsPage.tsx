// Digits: draw or pick one, see the answer and every map on the way to it, take any value apart, train. The digit, the model and
// the chosen value are in the address.

import { sizeOf } from "@conv/tensor";
import { useEffect, useMemo, useRef, useState } from "react";
import { useRestored } from "../canvas.ts";
import { Card } from "../components/ui.tsx";
import { count } from "../format.ts";
import { useLanguage, useText } from "../i18n/index.tsx";
import { setParams, useAddress } from "../url.ts";
import { Answer } from "./Answer.tsx";
import { useNetwork } from "./client.ts";
import { PIXELS } from "./data.ts";
import { decodeDigit, encodeDigit } from "./drawing.ts";
import { DrawPad } from "./DrawPad.tsx";
import { explain } from "./explain.ts";
import { Inspector } from "./Inspector.tsx";
import { MODEL_NAMES, modelNamed } from "./models.ts";
import { NetworkView, type Choice } from "./NetworkView.tsx";
import { DEVICE_NAMES } from "./protocol.ts";
import { Samples } from "./Samples.tsx";
import type { Network, Stage } from "./stages.ts";
import { Training } from "./Training.tsx";

const STRIP = 10; // samples shown at once
const FIRST = 2; // of the held-out digits, shown on arrival: a plain 3

const choose = (stage: Stage, index: number): void => setParams({ layer: stage.name, at: `${index}` });
const unchoose = (): void => setParams({ layer: null, at: null });

/** The chosen value of an address, `layer=c3&at=412`; null where there is none or no such value. */
function choiceIn(params: ReadonlyMap<string, string>, network: Network): Choice | null {
  const stage = network.stages.find((s) => s.name === params.get("layer"));
  const index = Number(params.get("at") ?? Number.NaN);
  return stage && Number.isInteger(index) && index >= 0 && index < sizeOf(stage.output.shape) ? { stage, index } : null;
}

export function DigitsPage() {
  const t = useText();
  const language = useLanguage();
  const { params } = useAddress();
  const modelName = modelNamed(params.get("model")).name;
  const device = DEVICE_NAMES.find((name) => name === params.get("device"));
  const { client, state } = useNetwork(modelName, device ?? "best");
  const { ready, samples, seen } = state;

  useEffect(() => {
    if (device) client.setDevice(device);
  }, [client, device]);

  const drawn = useMemo(() => decodeDigit(params.get("draw") ?? ""), [params]);
  const sample = Math.abs(Number.parseInt(params.get("sample") ?? `${FIRST}`, 10) || 0) % (ready?.heldOut ?? Number.MAX_SAFE_INTEGER);
  const [strip, setStrip] = useState(Math.floor(sample / STRIP) * STRIP);
  // While what the pad shows are strokes drawn on it; the address then holds `strokes`.
  const [drawing, setDrawing] = useState(false);
  const strokes = useRef<string | null>(null);
  const inAddress = params.get("draw") ?? null;
  useEffect(() => {
    if (inAddress !== strokes.current) setDrawing(false);
  }, [inAddress]);
  // The strokes are gone with the canvas; the address has them, too.
  const restored = useRestored();
  useEffect(() => setDrawing(false), [restored]);
  useEffect(() => {
    if (ready) client.send({ type: "samples", indices: Array.from({ length: STRIP }, (_, i) => (strip + i) % ready.heldOut) });
  }, [client, ready, strip]);
  useEffect(() => {
    if (!drawn) setStrip((now) => (sample >= now && sample < now + STRIP ? now : Math.floor(sample / STRIP) * STRIP));
  }, [sample, drawn]);

  const chosen = drawn ? undefined : samples.find((s) => s.index === sample);
  const pixels = drawn ?? chosen?.pixels ?? null;
  const look = (digit: Float32Array) => client.send({ type: "look", pixels: digit });
  useEffect(() => {
    if (ready && pixels) look(pixels);
  }, [client, ready, pixels]);

  const choice = useMemo(() => choiceIn(params, client.network), [params, client]);
  const explanation = useMemo(() => (choice && seen ? explain(choice.stage, choice.index, seen.values) : null), [choice, seen]);
  const output = client.network.stages.at(-1)?.output;

  return (
    <div className={`digits${choice ? " inspecting" : ""}`}>
      <div className="digits-input">
        <Card
          title={t.inputTitle}
          className="input-card"
          aside={
            <button
              type="button"
              className="button quiet small"
              onClick={() => (setDrawing(false), setParams({ draw: encodeDigit(new Float32Array(PIXELS)), sample: null }))}
            >
              {t.clear}
            </button>
          }
        >
          <DrawPad
            pixels={drawing ? null : pixels}
            hint={pixels !== null && pixels.every((v) => v === 0) && !drawing}
            onDraw={(digit, done) => {
              setDrawing(true);
              look(digit);
              if (!done) return;
              strokes.current = encodeDigit(digit);
              setParams({ draw: strokes.current, sample: null });
            }}
          />
          <Samples
            samples={samples}
            chosen={chosen?.index ?? null}
            onPick={(index) => {
              setDrawing(false);
              setParams({ sample: index === FIRST ? null : `${index}`, draw: null });
            }}
            onMore={() => setStrip((strip + STRIP) % (ready?.heldOut ?? STRIP))}
          />
        </Card>
        <Answer
          scores={(output && seen?.values.get(output)) ?? null}
          trained={state.images !== 0}
          quiet={state.running}
          label={chosen?.label ?? null}
        />
      </div>
      <div className="digits-main">
        <Training client={client} state={state} />
        <Card
          title={t.networkTitle}
          className="network-card"
          aside={
            <span className="model">
              <label>
                <span className="visually-hidden">{t.model}</span>
                <select
                  value={modelName}
                  onChange={(e) => {
                    client.send({ type: "pause" });
                    setParams({ model: e.target.value === MODEL_NAMES[0] ? null : e.target.value, layer: null, at: null });
                  }}
                >
                  {MODEL_NAMES.map((name) => (
                    <option key={name} value={name}>
                      {name === "lenet5" || name === "lenet5_1998" ? t.modelNames[name] : name}
                    </option>
                  ))}
                </select>
              </label>
              <span className="shape">{t.weightsCount(count(client.network.learned, language))}</span>
            </span>
          }
        >
          {seen ? (
            <NetworkView network={client.network} values={seen.values} choice={choice} explanation={explanation} onPick={choose} />
          ) : (
            <p className="note">{state.notice?.kind === "failed" ? t.workerFailed(state.notice.text) : t.starting}</p>
          )}
        </Card>
      </div>
      <Inspector choice={choice} explanation={explanation} ready={seen !== null} onClose={unchoose} />
    </div>
  );
}
