// Training on the page: start, pause, other weights, learning rate, optimizer, augmentation, its
// accuracy, how long it takes, and weights to and from a file.

import { useRef } from "react";
import { Card, Icon } from "../components/ui.tsx";
import { count, decimal, percent } from "../format.ts";
import { useLanguage, useText, type Dictionary } from "../i18n/index.tsx";
import { failureText } from "../i18n/words.ts";
import { setParams } from "../url.ts";
import { accuracyOf, smoothed, type Client, type NetworkState, type Notice } from "./client.ts";
import { Curve } from "./Curve.tsx";
import { DeviceNotes, DeviceSwitch, reasonText } from "./DeviceSwitch.tsx";
import { startRateOf } from "./models.ts";
import type { Refusal, Weights } from "./protocol.ts";
import { OPTIMIZERS, RATES, START_RECIPE } from "./recipe.ts";
import { shippedOf, type Beginning } from "./weights.ts";

const EPOCHS = 5; // for each press of the button
const SLOW = 120; // seconds above which a note says that the training is slow
const MAX_FILE = 64 * 2 ** 20; // bytes; the weights of these networks take one MiB

interface Props {
  client: Client;
  state: NetworkState;
  beginning: Beginning;
  /** Other weights: pretrained or random. */
  onBegin(beginning: Beginning): void;
}

export function Training({ client, state, beginning, onBegin }: Props) {
  const t = useText();
  const { running, notice } = state;
  const accuracy = accuracyOf(state, client.network.model.name);
  const off = !state.ready || state.moving !== null;
  return (
    <Card
      title={t.trainingTitle}
      className="training-card"
      aside={<DeviceSwitch client={client} state={state} />}
    >
      <div className="training">
        <div className="training-controls">
          <Start client={client} state={state} beginning={beginning} onBegin={onBegin} off={off} />
          <Recipe client={client} state={state} off={off} />
          <Figures state={state} accuracy={accuracy} />
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

/** Start and pause, other weights, and the time of the training. */
function Start({ client, state, beginning, onBegin, off }: Props & { off: boolean }) {
  const t = useText();
  const language = useLanguage();
  const { running, weights, left, ready, secondsPerImage } = state;
  const { name } = client.network.model;
  const total = EPOCHS * (ready?.trainCount ?? 0);
  const seconds = secondsPerImage === null || total === 0 ? null : secondsPerImage * total;
  const time = seconds === null ? null : t.duration(seconds);
  const untouched = weights?.images === 0 ? weights.from : null;
  return (
    <>
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
            {untouched === "random" ? t.train(EPOCHS, time) : t.trainOn(EPOCHS, time)}
          </button>
        )}
        <OtherWeights
          model={name}
          untouched={untouched}
          beginning={beginning}
          onBegin={onBegin}
          off={off}
        />
      </div>
      {running && <TimeLeft left={left} total={total} secondsPerImage={secondsPerImage} />}
      {seconds !== null && time !== null && seconds > SLOW && (
        <p className="note" data-testid="slow">
          {t.slowTraining(EPOCHS, time)}
        </p>
      )}
      {weights && (
        <p className="note" data-testid="weights">
          {weightsText(weights, name, t, language)}
        </p>
      )}
    </>
  );
}

interface OtherProps extends Pick<Props, "beginning" | "onBegin"> {
  model: string;
  /** The origin of the weights, if they were not trained since. */
  untouched: Weights["from"] | null;
  off: boolean;
}

function OtherWeights({ model, untouched, beginning, onBegin, off }: OtherProps) {
  const t = useText();
  const seed = beginning.from === "random" ? beginning.seed + 1 : 0;
  return (
    <>
      <button
        type="button"
        className="button small"
        disabled={off || untouched === "random"}
        onClick={() => onBegin({ from: "random", seed })}
      >
        <Icon name="reset" /> {t.useRandom}
      </button>
      {shippedOf(model) && (
        <button
          type="button"
          className="button small"
          disabled={off || untouched === "shipped"}
          onClick={() => onBegin({ from: "shipped" })}
        >
          {t.useShipped}
        </button>
      )}
    </>
  );
}

interface TimeProps extends Pick<NetworkState, "left" | "secondsPerImage"> {
  total: number;
}

function TimeLeft({ left, total, secondsPerImage }: TimeProps) {
  const t = useText();
  return (
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
  );
}

function Figures({ state, accuracy }: { state: NetworkState; accuracy: number | undefined }) {
  const t = useText();
  const language = useLanguage();
  const { losses, weights, secondsPerImage } = state;
  const figures = {
    accuracy: [t.testAccuracy, accuracy === undefined ? "–" : percent(accuracy)],
    loss: [t.batchLoss, losses.length ? decimal(smoothed(losses)[losses.length - 1], 3) : "–"],
    images: [t.trainingPictures, count(weights?.images ?? 0, language)],
    speed: [t.speedLabel, secondsPerImage ? count(Math.round(1 / secondsPerImage), language) : "–"],
  } as const;
  return (
    <dl className="figures">
      {Object.entries(figures).map(([id, [name, value]]) => (
        <div key={id}>
          <dt>{name}</dt>
          <dd data-testid={id}>{value}</dd>
        </div>
      ))}
    </dl>
  );
}

function noticeText(notice: Notice, state: NetworkState, t: Dictionary): string {
  switch (notice.kind) {
    case "loaded":
      return t.loaded(notice.text);
    case "failed":
      return t.workerFailed(failureText(notice.failure, t));
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
      return t.refusedType(failureText(refusal.failure, t));
    case "otherNetwork":
      return t.refusedNetwork(refusal.missing, refusal.more);
    case "notFinite":
      return t.refusedNumbers(refusal.name);
    case "notFetched":
      return t.notFetched(failureText(refusal.failure, t));
    default:
      return t.refusals[refusal.kind];
  }
}

/** The origin of the weights, and their training here. */
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
        shipped.testCount,
        shipped.epochs,
        shipped.trainCount,
      );
}

/** Learning rate, optimizer and augmentation; kept in the address. */
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

/** Saves the current weights as a file. */
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

/** Loads weights from a file. */
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
