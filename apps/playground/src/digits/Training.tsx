// Training in the page: start, pause, reset, learning rate, optimizer, augmentation, what it achieves, and weights to a file and back.

import { useRef } from "react";
import { Card, Icon } from "../components/ui.tsx";
import { count, decimal, percent } from "../format.ts";
import { useLanguage, useText } from "../i18n/index.tsx";
import type { Client, NetworkState, Notice } from "./client.ts";
import { Curve } from "./Curve.tsx";
import { DeviceNotes, DeviceSwitch } from "./DeviceSwitch.tsx";
import { OPTIMIZERS } from "./recipe.ts";

const EPOCHS = 5; // of one press of the button
const SECONDS = 10; // what that takes, about, on two cores; GPUs differ too much to say
const RATES = [1e-4, 2e-4, 5e-4, 1e-3, 2e-3, 5e-3, 1e-2];
const MAX_FILE = 64 * 2 ** 20; // bytes; the weights of these networks take a quarter of one MiB

export function Training({ client, state }: { client: Client; state: NetworkState }) {
  const t = useText();
  const language = useLanguage();
  const file = useRef<HTMLInputElement>(null);
  const { running, images, losses, accuracies, notice } = state;
  const isFresh = images === 0 && !running;
  const accuracy = accuracies.at(-1)?.accuracy;
  const off = !state.ready || state.moving !== null;
  const begin = state.device?.name === "gpu" ? t.trainFresh : t.train(SECONDS);

  const noticeText = ({ kind, text }: Notice): string =>
    ({
      loaded: t.loaded,
      refused: t.weightsFailed,
      failed: t.workerFailed,
      notGpu: t.noGpu,
      lost: (reason: string) => t.deviceLost(reason, t.deviceNames[state.device?.name ?? "cpu"]),
    })[kind](text);

  const load = async (chosen: File | undefined) => {
    if (!chosen) return;
    const bytes = new Uint8Array(await chosen.slice(0, MAX_FILE).arrayBuffer());
    client.send({ type: "load", name: chosen.name, bytes }, [bytes.buffer]);
  };

  return (
    <Card title={t.trainingTitle} className="training-card" aside={<DeviceSwitch client={client} state={state} />}>
      <div className="training">
        <div className="training-controls">
          <div className="buttons">
            {running ? (
              <button type="button" className="button primary" onClick={() => client.send({ type: "pause" })}>
                <Icon name="pause" /> {t.pauseTraining}
              </button>
            ) : (
              <button type="button" className="button primary" disabled={off} onClick={() => client.send({ type: "train", epochs: EPOCHS })}>
                <Icon name="play" /> {isFresh ? begin : t.trainOn}
              </button>
            )}
            <button type="button" className="button" disabled={off || isFresh} onClick={() => client.send({ type: "reset" })}>
              <Icon name="reset" /> {t.reset}
            </button>
          </div>
          <label className="slider">
            <span>
              {t.learningRate} <span className="mono">{state.learningRate}</span>
            </span>
            <input
              type="range"
              min={0}
              max={RATES.length - 1}
              value={RATES.indexOf(state.learningRate)}
              aria-valuetext={`${state.learningRate}`}
              disabled={off}
              onChange={(e) => client.setLearningRate(RATES[Number(e.target.value)])}
            />
          </label>
          <div className="recipe">
            <label>
              {t.optimizer}{" "}
              <select
                value={state.recipe.optimizer}
                disabled={off}
                onChange={(e) => {
                  const optimizer = OPTIMIZERS.find((name) => name === e.target.value);
                  if (optimizer) client.setRecipe({ ...state.recipe, optimizer });
                }}
              >
                {OPTIMIZERS.map((name) => (
                  <option key={name}>{name}</option>
                ))}
              </select>
            </label>
            <label>
              <input
                type="checkbox"
                checked={state.recipe.augment}
                disabled={off}
                onChange={(e) => client.setRecipe({ ...state.recipe, augment: e.target.checked })}
              />{" "}
              {t.augment}
            </label>
          </div>
          <dl className="figures">
            <Figure name={t.testAccuracy} value={accuracy === undefined ? "–" : percent(accuracy)} id="accuracy" />
            <Figure name={t.batchLoss} value={losses.length ? decimal(losses[losses.length - 1].loss, 3) : "–"} id="loss" />
            <Figure name={t.trainingPictures} value={images === null ? "–" : count(images, language)} id="images" />
            <Figure name={t.speedLabel} value={state.imagesPerSecond ? count(Math.round(state.imagesPerSecond), language) : "–"} id="speed" />
          </dl>
          <div className="buttons">
            <button type="button" className="button quiet small" disabled={off} onClick={() => client.send({ type: "save" })}>
              <Icon name="download" /> {t.saveWeights}
            </button>
            <button type="button" className="button quiet small" disabled={off} onClick={() => file.current?.click()}>
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
          {noticeText(notice)}
        </p>
      )}
      <DeviceNotes state={state} />
    </Card>
  );
}

const Figure = ({ name, value, id }: { name: string; value: string; id: string }) => (
  <div>
    <dt>{name}</dt>
    <dd data-testid={id}>{value}</dd>
  </div>
);
