// Training in the page: start, pause, other weights, learning rate, optimizer, augmentation, what
// it achieves, how long it takes, and weights to a file and back.

import { useRef } from "react";
import { Card, Icon } from "../components/ui.tsx";
import { count, decimal, percent } from "../format.ts";
import { useLanguage, useText, type Dictionary } from "../i18n/index.tsx";
import { setParams } from "../url.ts";
import { accuracyOf, smoothed, type Client, type NetworkState, type Notice } from "./client.ts";
import { Curve } from "./Curve.tsx";
import { DeviceNotes, DeviceSwitch, reasonText } from "./DeviceSwitch.tsx";
import { startRateOf } from "./models.ts";
import type { Refusal, Weights } from "./protocol.ts";
import { OPTIMIZERS, RATES, START_RECIPE } from "./recipe.ts";
import { shippedOf, type Beginning } from "./weights.ts";

const EPOCHS = 5; // of one press of the button
const SLOW = 120; // seconds from which a training is called slow
const MAX_FILE = 64 * 2 ** 20; // bytes; the weights of these networks take one MiB

interface Props {
  client: Client;
  state: NetworkState;
  beginning: Beginning;
  /** Other weights, trained ones of the page or random ones. */
  onBegin(beginning: Beginning): void;
}

export function Training({ client, state, beginning, onBegin }: Props) {
  const t = useText();
  const language = useLanguage();
  const { running, losses, notice, weights, left, ready, secondsPerImage } = state;
  const { model } = client.network;
  const accuracy = accuracyOf(state, model.name);
  const off = !ready || state.moving !== null;
  const total = EPOCHS * (ready?.trainCount ?? 0);
  const seconds = secondsPerImage === null || total === 0 ? null : secondsPerImage * total;
  const time = seconds === null ? null : t.duration(seconds);
  const fresh = weights?.images === 0;
  const shipped = shippedOf(model.name);

  return (
    <Card
      title={t.trainingTitle}
      className="training-card"
      aside={<DeviceSwitch client={client} state={state} />}
    >
      <div className="training">
        <div className="training-controls">
          <div className="buttons">
            {running ? (
              <button
                type="button"
                className="button primary"
                onClick={() => client.send({ type: "pause" })}
              >
                <Icon name="pause" /> {t.pauseTraining}
              </button>
            ) : (
              <button
                type="button"
                className="button primary"
                disabled={off}
                onClick={() => client.send({ type: "train", epochs: EPOCHS })}
              >
                <Icon name="play" />{" "}
                {fresh && weights.from === "random"
                  ? t.train(EPOCHS, time)
                  : t.trainOn(EPOCHS, time)}
              </button>
            )}
            <button
              type="button"
              className="button small"
              disabled={off || (fresh && weights.from === "random")}
              onClick={() =>
                onBegin({
                  from: "random",
                  seed: beginning.from === "random" ? beginning.seed + 1 : 0,
                })
              }
            >
              <Icon name="reset" /> {t.useRandom}
            </button>
            {shipped && (
              <button
                type="button"
                className="button small"
                disabled={off || (fresh && weights.from === "shipped")}
                onClick={() => onBegin({ from: "shipped" })}
              >
                {t.useShipped}
              </button>
            )}
          </div>
          {running && (
            <p className="progress" data-testid="progress">
              <progress
                aria-label={t.trainingTitle}
                value={left === null ? 0 : Math.max(0, total - left)}
                max={total}
              />{" "}
              {left === null || secondsPerImage === null
                ? t.measuringTime
                : t.timeLeft(t.duration(secondsPerImage * left))}
            </p>
          )}
          {seconds !== null && time !== null && seconds > SLOW && (
            <p className="note" data-testid="slow">
              {t.slowTraining(EPOCHS, time)}
            </p>
          )}
          {weights && (
            <p className="note" data-testid="weights">
              {weightsText(weights, model.name, t, language)}
            </p>
          )}
          <Recipe client={client} state={state} off={off} />
          <dl className="figures">
            <Figure
              name={t.testAccuracy}
              value={accuracy === undefined ? "–" : percent(accuracy)}
              id="accuracy"
            />
            <Figure
              name={t.batchLoss}
              value={losses.length ? decimal(smoothed(losses)[losses.length - 1], 3) : "–"}
              id="loss"
            />
            <Figure
              name={t.trainingPictures}
              value={count(weights?.images ?? 0, language)}
              id="images"
            />
            <Figure
              name={t.speedLabel}
              value={secondsPerImage ? count(Math.round(1 / secondsPerImage), language) : "–"}
              id="speed"
            />
          </dl>
          <div className="buttons">
            <SaveWeights client={client} disabled={off} />
            <LoadWeights client={client} disabled={off} />
          </div>
        </div>
        <Curve state={state} />
      </div>
      <p className="visually-hidden" role="status">
        {!running && accuracy !== undefined ? t.accuracyNow(percent(accuracy)) : ""}
      </p>
      {notice && (
        <p
          className={`notice ${notice.kind === "loaded" ? "good" : "bad"}`}
          role={notice.kind === "loaded" ? "status" : "alert"}
          data-testid="notice"
        >
          {noticeText(notice, state, t)}
        </p>
      )}
      <DeviceNotes state={state} />
    </Card>
  );
}

function noticeText(notice: Notice, state: NetworkState, t: Dictionary): string {
  switch (notice.kind) {
    case "loaded":
      return t.loaded(notice.text);
    case "failed":
      return t.workerFailed(notice.text);
    case "lost":
      return t.deviceLost(notice.text, t.deviceNames[state.device?.name ?? "cpu"]);
    case "notGpu":
      return t.noGpu(reasonText(notice.reason, t));
    case "refused":
      return refusalText(notice.refusal, t);
  }
}

function refusalText(refusal: Refusal, t: Dictionary): string {
  switch (refusal.kind) {
    case "unsupported":
      return t.refusedType(refusal.message);
    case "otherNetwork":
      return t.refusedNetwork(refusal.missing, refusal.more);
    case "notFinite":
      return t.refusedNumbers(refusal.name);
    case "notFetched":
      return t.notFetched(refusal.message);
    default:
      return t.refusals[refusal.kind];
  }
}

/** Where the weights come from, and what has become of them here. */
function weightsText(
  { from, images }: Weights,
  model: string,
  t: Dictionary,
  language: string,
): string {
  const n = count(images, language);
  const shipped = shippedOf(model);
  if (from === "file") return images ? t.fileTrained(n) : t.fileWeights;
  if (from === "random")
    return images
      ? t.randomTrained(n)
      : shipped
        ? t.randomWeights
        : `${t.randomWeights} ${t.noShippedWeights}`;
  return images || !shipped
    ? t.shippedTrained(n)
    : t.shippedWeights(
        percent(shipped.accuracy),
        shipped.heldOut,
        shipped.epochs,
        shipped.trainCount,
      );
}

/** How it learns; kept in the address. */
function Recipe({ client, state, off }: { client: Client; state: NetworkState; off: boolean }) {
  const t = useText();
  const { learningRate, recipe } = state;
  return (
    <>
      <label className="slider">
        <span>
          {t.learningRate} <span className="mono">{learningRate}</span>
        </span>
        <input
          type="range"
          min={0}
          max={RATES.length - 1}
          value={RATES.indexOf(learningRate)}
          aria-valuetext={`${learningRate}`}
          disabled={off}
          onChange={(e) => {
            const rate = RATES[Number(e.target.value)];
            setParams(
              { lr: rate === startRateOf(client.network.model) ? null : `${rate}` },
              "replace",
            );
          }}
        />
      </label>
      <div className="recipe">
        <label>
          {t.optimizer}{" "}
          <select
            value={recipe.optimizer}
            disabled={off}
            onChange={(e) =>
              setParams(
                { optimizer: e.target.value === START_RECIPE.optimizer ? null : e.target.value },
                "replace",
              )
            }
          >
            {OPTIMIZERS.map((name) => (
              <option key={name}>{name}</option>
            ))}
          </select>
        </label>
        <label>
          <input
            type="checkbox"
            checked={recipe.augment}
            disabled={off}
            onChange={(e) => setParams({ augment: e.target.checked ? "1" : null }, "replace")}
          />{" "}
          {t.augment}
        </label>
      </div>
    </>
  );
}

/** The weights as they are, as a file. */
export function SaveWeights({ client, disabled }: { client: Client; disabled: boolean }) {
  const t = useText();
  return (
    <button
      type="button"
      className="button quiet small"
      disabled={disabled}
      onClick={() => client.send({ type: "save" })}
    >
      <Icon name="download" /> {t.saveWeights}
    </button>
  );
}

/** Weights from a file. */
export function LoadWeights({ client, disabled }: { client: Client; disabled: boolean }) {
  const t = useText();
  const file = useRef<HTMLInputElement>(null);
  const load = async (chosen: File | undefined) => {
    if (!chosen) return;
    const bytes = new Uint8Array(await chosen.slice(0, MAX_FILE).arrayBuffer());
    client.send({ type: "load", name: chosen.name, bytes }, [bytes.buffer]);
  };
  return (
    <>
      <button
        type="button"
        className="button quiet small"
        disabled={disabled}
        onClick={() => file.current?.click()}
      >
        <Icon name="upload" /> {t.loadWeights}
      </button>
      <input
        ref={file}
        type="file"
        accept=".safetensors"
        hidden
        onChange={(e) => {
          void load(e.target.files?.[0]);
          e.target.value = "";
        }}
      />
    </>
  );
}

const Figure = ({ name, value, id }: { name: string; value: string; id: string }) => (
  <div>
    <dt>{name}</dt>
    <dd data-testid={id}>{value}</dd>
  </div>
);
