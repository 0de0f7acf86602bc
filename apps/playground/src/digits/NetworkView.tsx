// The network from the picture to the scores: the feature maps and kernels of every stage. The
// window of the selected value is outlined in the maps that it covers.

import type { Value } from "@conv/tensor";
import { memo, useState } from "react";
import { cssGradient, limitOf } from "../color.ts";
import { decimal } from "../format.ts";
import { useText } from "../i18n/index.tsx";
import { useTheme } from "../theme.ts";
import { describePlace, describeStage } from "./describe.ts";
import type { Explanation } from "./explain.ts";
import { MapCanvas } from "./MapCanvas.tsx";
import { formatMaps, type Known, type Maps, type Network, type Stage } from "./stages.ts";

/** A value of a stage's output. */
export interface Choice {
  readonly stage: Stage;
  readonly index: number;
}

interface Props {
  network: Network;
  values: Known;
  choice: Choice | null;
  explanation: Explanation | null;
  onPick(stage: Stage, index: number, byKey: boolean): void;
}

/** Renders again only when there is something new to see, however often the page does. */
export const NetworkView = memo(function NetworkView({
  network,
  values,
  choice,
  explanation,
  onPick,
}: Props) {
  const { traced, stages, inputMaps } = network;
  const t = useText();
  const windowIn = (output: Value) => explanation?.windows.get(output) ?? null;
  const input = values.get(traced.x);
  return (
    <ol className="stages">
      {input && (
        <li className="stage-row">
          <MapsOf
            name="x"
            title={t.inputStage}
            maps={inputMaps}
            data={input}
            shown={windowIn(traced.x)}
          />
        </li>
      )}
      {stages.map((stage) => (
        <StageView
          key={stage.name}
          network={network}
          stage={stage}
          values={values}
          selected={choice?.stage === stage ? choice.index : null}
          used={choice?.stage === stage ? (explanation?.used ?? null) : null}
          shown={windowIn(stage.output)}
          onPick={(index, byKey) => onPick(stage, index, byKey)}
        />
      ))}
    </ol>
  );
});

interface StageProps {
  network: Network;
  stage: Stage;
  values: Known;
  selected: number | null;
  used: Explanation["used"];
  shown: ReadonlySet<number> | null;
  onPick(index: number, byKey: boolean): void;
}

function StageView({ network, stage, values, selected, used, shown, onPick }: StageProps) {
  const t = useText();
  const learned = stage.weights.flatMap((weight) => ({
    weight,
    data: values.get(weight) ?? new Float32Array(),
  }));
  const [open, setOpen] = useState(
    stage.mains[0]?.kind === "conv" &&
      learned.reduce((sum, { data }) => sum + data.length, 0) < 4000,
  );
  const data = values.get(stage.output);
  if (!data) return null;
  return (
    <li className="stage-row" data-stage={stage.name}>
      <MapsOf
        name={stage.name}
        title={describeStage(stage, network, t)}
        maps={stage.maps}
        data={data}
        shown={shown}
        selected={selected}
        onPick={onPick}
      />
      {learned.length > 0 && (
        <details className="kernels" open={open} onToggle={(e) => setOpen(e.currentTarget.open)}>
          <summary>
            {stage.mains[0]?.kind === "conv" ? t.showKernels : t.showWeights}
            <span className="visually-hidden"> {stage.name}</span>{" "}
            <span className="shape">
              {learned.map(({ weight }) => size(weight.shape)).join(", ")}
            </span>
          </summary>
          {open &&
            learned.map(({ weight, data: w }, i) => (
              <Kernels
                key={i}
                name={stage.name}
                shape={weight.shape}
                data={w}
                used={used?.weight === weight ? used : null}
              />
            ))}
        </details>
      )}
    </li>
  );
}

interface MapsProps {
  name: string;
  title: string;
  maps: Maps;
  data: Float32Array;
  shown: ReadonlySet<number> | null;
  selected?: number | null;
  onPick?(index: number, byKey: boolean): void;
}

function MapsOf({ name, title, maps, data, shown, selected, onPick }: MapsProps) {
  const t = useText();
  const [pointed, setPointed] = useState<number | null>(null);
  const limit = limitOf(data);
  const describe = (index: number) => describePlace(maps, index, t);
  const zoom =
    maps.height * maps.channels === 1
      ? maps.width <= 16
        ? 26
        : 13
      : Math.max(3, Math.min(10, Math.round(96 / (maps.height + 4))));
  return (
    <>
      <div className="stage-title">
        <h3>
          <span className="stage-name">{name}</span> {title}
        </h3>
        <span className="shape">{formatMaps(maps)}</span>
        <Legend limit={limit} />
      </div>
      <MapCanvas
        data={data}
        maps={maps}
        limit={limit}
        zoom={zoom}
        label={t.mapsOf(name)}
        describe={describe}
        selected={selected}
        window={shown}
        onPoint={setPointed}
        onPick={onPick}
      />
      <p className="readout" aria-live="polite">
        {pointed === null ? "\u00a0" : `${describe(pointed)}: ${decimal(data[pointed], 4)}`}
      </p>
    </>
  );
}

function Kernels({
  name,
  shape,
  data,
  used,
}: {
  name: string;
  shape: readonly number[];
  data: Float32Array;
  used: Explanation["used"];
}) {
  const t = useText();
  const [pointed, setPointed] = useState<number | null>(null);
  const limit = limitOf(data);
  const isRow = shape.length === 2;
  const [outputs, inputs, kh = 1, kw = 1] = shape;
  const perKernel = inputs * kh * kw;
  const maps: Maps = isRow
    ? { channels: 1, height: outputs, width: inputs }
    : { channels: outputs * inputs, height: kh, width: kw };
  // The kernel that the selected value was computed with.
  const shown = used && new Set(Array.from({ length: used.size }, (_, i) => used.first + i));
  const describe = (index: number) =>
    isRow
      ? t.weightPlaceInRow(Math.floor(index / inputs), index % inputs)
      : t.weightPlace(
          Math.floor(index / perKernel),
          Math.floor(index / (kh * kw)) % inputs,
          Math.floor(index / kw) % kh,
          index % kw,
        );
  const isLarge = data.length > 4000;
  const zoom = isRow
    ? Math.max(2, Math.min(6, Math.floor(480 / inputs)))
    : isLarge
      ? 2
      : inputs > 1
        ? 4
        : 8;
  // Kernels side by side, their channels in a row: whole kernels only.
  const columns = isLarge || inputs === 1 ? undefined : inputs * (inputs <= 4 ? 4 : 2);
  return (
    <>
      <MapCanvas
        data={data}
        maps={maps}
        limit={limit}
        zoom={zoom}
        columns={columns}
        label={t.kernelsOf(name, outputs)}
        describe={describe}
        window={shown}
        onPoint={setPointed}
      />
      <p className="readout" aria-live="polite">
        {pointed === null ? "\u00a0" : `${describe(pointed)}: ${decimal(data[pointed], 4)}`}
      </p>
    </>
  );
}

/** The color scale and its ends. */
export function Legend({ limit }: { limit: number }) {
  const t = useText();
  const theme = useTheme();
  return (
    <span
      className="legend"
      role="img"
      aria-label={`${t.legend}: ${decimal(-limit, 2)} – ${decimal(limit, 2)}`}
    >
      <span aria-hidden="true">{decimal(-limit, 2)}</span>
      <span className="legend-bar" style={{ background: cssGradient(theme) }} />
      <span aria-hidden="true">{decimal(limit, 2)}</span>
    </span>
  );
}

const size = (list: readonly number[]): string => list.join("×");
