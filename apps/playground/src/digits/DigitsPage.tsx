// Digits: draw or pick one, see the prediction and every feature map, see how any value is
// computed, train. The digit, the model, where its weights begin and the selected value are in the
// address.

import { sizeOf } from "@conv/tensor";
import { useEffect, useMemo } from "react";
import { Share } from "../components/Share.tsx";
import { UnusedParameters } from "../components/ui.tsx";
import { useText } from "../i18n/index.tsx";
import { reader, wholeBelow, type Unused } from "../parameters.ts";
import { setParams, useAddress } from "../url.ts";
import { Answer } from "./Answer.tsx";
import {
  OWN,
  readDigitsAddress,
  sameBeginning,
  writeBeginning,
  type DigitsAddress,
  type Own,
} from "./choices.ts";
import { useNetwork, type Client, type NetworkState } from "./client.ts";
import { DigitInput, FIRST, useDigit } from "./DigitInput.tsx";
import { decodeDigit } from "./drawing.ts";
import { explain } from "./explain.ts";
import { Inspector } from "./Inspector.tsx";
import { NetworkCard } from "./NetworkCard.tsx";
import type { Choice } from "./NetworkView.tsx";
import type { Network } from "./stages.ts";
import { LoadWeights, SaveWeights, Training } from "./Training.tsx";
import type { Beginning } from "./weights.ts";

/** Clears the selected value, and puts the focus back on the maps that it lies in. */
const unchoose = (stage: string | undefined): void => {
  setParams({ layer: null, at: null });
  [...document.querySelectorAll<HTMLElement>("li[data-stage]")]
    .find((li) => li.dataset.stage === stage)
    ?.querySelector<HTMLElement>("[role=application]")
    ?.focus();
};

/** The kind of current weights that a link does not contain; null where it contains them. */
const ownOf = ({ weights }: NetworkState): Own | null =>
  weights?.images ? OWN[0] : weights?.from === "file" ? OWN[1] : null;

/**
 * What an address shows of a network, `sample=12&layer=c3&at=412`: a digit, and the selected value,
 * if there is one.
 */
function shownIn(params: ReadonlyMap<string, string>, network: Network, testCount = Infinity) {
  const { read, unused } = reader(params);
  const drawn = read("draw", (text) => decodeDigit(text) ?? undefined, null);
  const sample = read("sample", wholeBelow(testCount), FIRST, `${FIRST}`);
  const stage = read("layer", (text) => network.stages.find((s) => s.name === text), undefined);
  const index = read("at", wholeBelow(stage ? sizeOf(stage.output.shape) : Infinity), undefined);
  const choice: Choice | null = stage && index !== undefined ? { stage, index } : null;
  return { text: params.get("draw") ?? null, drawn, sample, choice, unused };
}

/** Applies the address to the network, and keeps the address in agreement with the network. */
function useAddressed(client: Client, asked: DigitsAddress, own: Own | null): void {
  const { modelName, device, beginning, rate, recipe } = asked;
  useEffect(() => {
    if (device) client.setDevice(device);
  }, [client, device]);
  useEffect(() => {
    client.setLearningRate(rate);
    client.setRecipe(recipe);
  }, [client, rate, recipe.optimizer, recipe.augment]);
  // Weights that a link does not contain are marked in the address; going back keeps them.
  useEffect(() => {
    if (own) setParams({ own, ...writeBeginning(client.beginning(), modelName) }, "replace");
    else if (!sameBeginning(client.beginning(), beginning)) client.begin(beginning);
  }, [client, own, modelName, beginning]);
}

/** Escape closes the inspector. */
function useEscape(choice: Choice | null): void {
  useEffect(() => {
    if (!choice) return;
    const onKey = (e: KeyboardEvent) =>
      e.key === "Escape" && !e.defaultPrevented && unchoose(choice.stage.name);
    addEventListener("keydown", onKey);
    return () => removeEventListener("keydown", onKey);
  }, [choice]);
}

export function DigitsPage() {
  const { params } = useAddress();
  const asked = useMemo(() => readDigitsAddress(params), [params]);
  const { modelName, device = "best", beginning } = asked;
  const { client, state } = useNetwork(modelName, { ...asked, device });
  const { network } = client;
  const { ready, seen } = state;
  const own = ownOf(state);
  useAddressed(client, asked, own);
  const shown = useMemo(
    () => shownIn(params, network, ready?.testCount),
    [params, network, ready?.testCount],
  );
  const { choice } = shown;
  const digit = useDigit(client, state, shown);
  useEscape(choice);
  const explanation = useMemo(
    () => (choice && seen ? explain(choice.stage, choice.index, seen.values) : null),
    [choice, seen],
  );
  const begin = (next: Beginning) => {
    client.begin(next);
    setParams({ ...writeBeginning(next, modelName), own: null });
  };
  return (
    <div className={`digits${choice ? " inspecting" : ""}`}>
      <PageBar
        client={client}
        state={state}
        asked={asked}
        own={own}
        unused={[...asked.unused, ...shown.unused]}
      />
      <div className="digits-input">
        <DigitInput digit={digit} samples={state.samples} />
        <Answer
          scores={(!digit.empty && seen?.values.get(network.scores.output)) || null}
          empty={digit.empty}
          trained={
            state.weights !== null && (state.weights.from !== "random" || state.weights.images > 0)
          }
          quiet={state.running}
          label={digit.chosen?.label ?? null}
        />
      </div>
      <div className="digits-main">
        <Training client={client} state={state} beginning={beginning} onBegin={begin} />
        <NetworkCard client={client} state={state} choice={choice} explanation={explanation} />
      </div>
      <Inspector
        network={network}
        choice={choice}
        explanation={explanation}
        ready={seen !== null}
        onClose={() => unchoose(choice?.stage.name)}
      />
    </div>
  );
}

interface BarProps {
  client: Client;
  state: NetworkState;
  asked: DigitsAddress;
  /** Current weights that a link does not contain. */
  own: Own | null;
  unused: readonly Unused[];
}

/** Notices about the address, and the link to this page. */
function PageBar({ client, state, asked, own, unused }: BarProps) {
  const t = useText();
  const off = state.moving !== null;
  const { unknown, own: sendersOwn, beginning } = asked;
  return (
    <div className="page-bar">
      {unknown !== null && (
        <p className="notice bad" role="alert" data-testid="unknown">
          {t.noSuchNetwork(unknown)}
        </p>
      )}
      <UnusedParameters unused={unused} />
      {sendersOwn && !own && state.ready && (
        <div className="notice bad" role="alert" data-testid="missing-weights">
          {t.ownMissing[sendersOwn]} <LoadWeights client={client} disabled={off} />
        </div>
      )}
      <Share
        carries={t.linkCarries(
          t.weightsFrom[state.weights?.from === "random" ? "random" : beginning.from],
        )}
      >
        {own && (
          <p>
            {t.linkLacks} <SaveWeights client={client} disabled={off} />
          </p>
        )}
      </Share>
    </div>
  );
}
