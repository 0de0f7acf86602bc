// Digits: draw or pick one, see the answer and every map on the way to it, take any value apart,
// train. The digit, the model, where its weights begin and the chosen value are in the address.

import { sizeOf } from "@conv/tensor";
import { useEffect, useMemo, useRef, useState } from "react";
import { useRestored } from "../canvas.ts";
import { Share } from "../components/Share.tsx";
import { Card, UnusedParameters } from "../components/ui.tsx";
import { count } from "../format.ts";
import { useLanguage, useText } from "../i18n/index.tsx";
import { reader, wholeBelow } from "../parameters.ts";
import { setParams, useAddress } from "../url.ts";
import { Answer } from "./Answer.tsx";
import { OWN, readDigitsAddress, sameBeginning, writeBeginning, type Own } from "./choices.ts";
import { useNetwork, type NetworkState } from "./client.ts";
import { PIXELS } from "./data.ts";
import { decodeDigit, encodeDigit } from "./drawing.ts";
import { DrawPad } from "./DrawPad.tsx";
import { explain } from "./explain.ts";
import { Inspector } from "./Inspector.tsx";
import { MODEL_NAMES } from "./models.ts";
import { NetworkView, type Choice } from "./NetworkView.tsx";
import { Samples } from "./Samples.tsx";
import type { Network, Stage } from "./stages.ts";
import { LoadWeights, SaveWeights, Training } from "./Training.tsx";

const STRIP = 10; // samples shown at once
const FIRST = 2; // of the held-out digits, shown on arrival: a plain 3

/** Takes a value apart; chosen by keyboard, what it is made of is the next thing to read. */
const choose = (stage: Stage, index: number, byKey: boolean): void => {
  setParams({ layer: stage.name, at: `${index}` });
  if (byKey) requestAnimationFrame(() => document.getElementById("inspector-title")?.focus());
};
/** Puts the value together again, and the focus back on the maps that it lies in. */
const unchoose = (stage: string | undefined): void => {
  setParams({ layer: null, at: null });
  [...document.querySelectorAll<HTMLElement>("li[data-stage]")]
    .find((li) => li.dataset.stage === stage)
    ?.querySelector<HTMLElement>("[role=application]")
    ?.focus();
};

/** What the weights at hand are that no link carries; null where the address says all of them. */
const ownOf = ({ weights }: NetworkState): Own | null =>
  weights?.images ? OWN[0] : weights?.from === "file" ? OWN[1] : null;

/**
 * What an address shows of a network, `sample=12&layer=c3&at=412`: a digit, and the chosen value,
 * if there is one.
 */
function shownIn(params: ReadonlyMap<string, string>, network: Network, heldOut = Infinity) {
  const { read, unused } = reader(params);
  const drawn = read("draw", (text) => decodeDigit(text) ?? undefined, null);
  const sample = read("sample", wholeBelow(heldOut), FIRST, `${FIRST}`);
  const stage = read("layer", (text) => network.stages.find((s) => s.name === text), undefined);
  const index = read("at", wholeBelow(stage ? sizeOf(stage.output.shape) : Infinity), undefined);
  const choice: Choice | null = stage && index !== undefined ? { stage, index } : null;
  return { drawn, sample, choice, unused };
}

export function DigitsPage() {
  const t = useText();
  const language = useLanguage();
  const { params } = useAddress();
  const asked = useMemo(() => readDigitsAddress(params), [params]);
  const { modelName, unknown, device, beginning, rate, recipe, own: sendersOwn } = asked;
  const { client, state } = useNetwork(modelName, {
    device: device ?? "best",
    beginning,
    rate,
    recipe,
  });
  const { ready, samples, seen } = state;
  const own = ownOf(state);

  useEffect(() => {
    if (device) client.setDevice(device);
  }, [client, device]);
  useEffect(() => {
    client.setLearningRate(rate);
    client.setRecipe(recipe);
  }, [client, rate, recipe.optimizer, recipe.augment]);
  // The address says that these weights are not all in it; and going back in it never throws them
  // away.
  useEffect(() => {
    if (own) setParams({ own, ...writeBeginning(client.beginning(), modelName) }, "replace");
    else if (!sameBeginning(client.beginning(), beginning)) client.begin(beginning);
  }, [client, own, modelName, beginning]);

  const inLink = useMemo(
    () => shownIn(params, client.network, ready?.heldOut),
    [params, client, ready?.heldOut],
  );
  const { drawn, sample, choice } = inLink;
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
    if (ready)
      client.send({
        type: "samples",
        indices: Array.from({ length: STRIP }, (_, i) => (strip + i) % ready.heldOut),
      });
  }, [client, ready, strip]);
  useEffect(() => {
    if (!drawn)
      setStrip((now) =>
        sample >= now && sample < now + STRIP ? now : Math.floor(sample / STRIP) * STRIP,
      );
  }, [sample, drawn]);

  const chosen = drawn ? undefined : samples.find((s) => s.index === sample);
  const pixels = drawn ?? chosen?.pixels ?? null;
  const empty = pixels !== null && pixels.every((v) => v === 0) && !drawing;
  const look = (digit: Float32Array) => client.send({ type: "look", pixels: digit });
  useEffect(() => {
    if (ready && pixels) look(pixels);
  }, [client, ready, pixels]);

  const explanation = useMemo(
    () => (choice && seen ? explain(choice.stage, choice.index, seen.values) : null),
    [choice, seen],
  );
  useEffect(() => {
    if (!choice) return;
    const onKey = (e: KeyboardEvent) =>
      e.key === "Escape" && !e.defaultPrevented && unchoose(choice.stage.name);
    addEventListener("keydown", onKey);
    return () => removeEventListener("keydown", onKey);
  }, [choice]);
  const begin = (next: typeof beginning) => {
    client.begin(next);
    setParams({ ...writeBeginning(next, modelName), own: null });
  };

  return (
    <div className={`digits${choice ? " inspecting" : ""}`}>
      <div className="page-bar">
        {unknown !== null && (
          <p className="notice bad" role="alert" data-testid="unknown">
            {t.noSuchNetwork(unknown)}
          </p>
        )}
        <UnusedParameters unused={[...asked.unused, ...inLink.unused]} />
        {sendersOwn && !own && ready && (
          <div className="notice bad" role="alert" data-testid="missing-weights">
            {t.ownMissing[sendersOwn]}{" "}
            <LoadWeights client={client} disabled={state.moving !== null} />
          </div>
        )}
        <Share
          carries={t.linkCarries(
            t.weightsFrom[state.weights?.from === "random" ? "random" : beginning.from],
          )}
        >
          {own && (
            <p>
              {t.linkLacks} <SaveWeights client={client} disabled={state.moving !== null} />
            </p>
          )}
        </Share>
      </div>
      <div className="digits-input">
        <Card
          title={t.inputTitle}
          className="input-card"
          aside={
            <button
              type="button"
              className="button quiet small"
              onClick={() => (
                setDrawing(false),
                setParams({ draw: encodeDigit(new Float32Array(PIXELS)), sample: null })
              )}
            >
              {t.clear}
            </button>
          }
        >
          <DrawPad
            pixels={drawing ? null : pixels}
            hint={empty}
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
          scores={(!empty && seen?.values.get(client.network.scores.output)) || null}
          empty={empty}
          trained={
            state.weights !== null && (state.weights.from !== "random" || state.weights.images > 0)
          }
          quiet={state.running}
          label={chosen?.label ?? null}
        />
      </div>
      <div className="digits-main">
        <Training client={client} state={state} beginning={beginning} onBegin={begin} />
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
                    client.dismiss();
                    setParams({
                      model: e.target.value === MODEL_NAMES[0] ? null : e.target.value,
                      ...Object.fromEntries(
                        ["layer", "at", "own", "weights", "seed", "lr"].map((name) => [name, null]),
                      ),
                    });
                  }}
                >
                  {MODEL_NAMES.map((name) => (
                    <option key={name} value={name}>
                      {name === "lenet5" || name === "lenet5_1998" ? t.modelNames[name] : name}
                    </option>
                  ))}
                </select>
              </label>
              <span className="shape">
                {t.weightsCount(count(client.network.learned, language))}
              </span>
            </span>
          }
        >
          {seen ? (
            <NetworkView
              network={client.network}
              values={seen.values}
              choice={choice}
              explanation={explanation}
              onPick={choose}
            />
          ) : (
            <p className="note">
              {state.notice?.kind === "failed" ? t.workerFailed(state.notice.text) : t.starting}
            </p>
          )}
        </Card>
      </div>
      <Inspector
        network={client.network}
        choice={choice}
        explanation={explanation}
        ready={seen !== null}
        onClose={() => unchoose(choice?.stage.name)}
      />
    </div>
  );
}
