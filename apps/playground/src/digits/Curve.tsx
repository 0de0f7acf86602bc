// Loss of each step, smoothed over it, and accuracy on held-out digits, over the images seen.

import { useEffect, useRef } from "react";
import uPlot from "uplot";
import "uplot/dist/uPlot.min.css";
import { useText } from "../i18n/index.tsx";
import { useTheme } from "../theme.ts";
import type { NetworkState } from "./client.ts";

const HEIGHT = 168;

type Data = [number[], (number | null)[], (number | null)[], (number | null)[]];

/** Losses, their running mean, and accuracies, on one common axis of images. */
function dataOf({ losses, accuracies }: NetworkState): Data {
  const rows = new Map<number, [loss: number | null, mean: number | null, accuracy: number | null]>();
  let mean = 0;
  losses.forEach(({ images, loss }, i) => {
    mean = i === 0 ? loss : mean + (loss - mean) * 0.06;
    rows.set(images, [loss, mean, null]);
  });
  for (const { images, accuracy } of accuracies) rows.set(images, [...(rows.get(images)?.slice(0, 2) ?? [null, null]), accuracy] as [number | null, number | null, number]);
  const xs = [...rows.keys()].toSorted((a, b) => a - b);
  const column = (i: 0 | 1 | 2) => xs.map((x) => rows.get(x)?.[i] ?? null);
  return [xs, column(0), column(1), column(2)];
}

export function Curve({ state }: { state: NetworkState }) {
  const t = useText();
  const theme = useTheme();
  const box = useRef<HTMLDivElement>(null);
  const plot = useRef<uPlot | null>(null);
  const data = useRef<Data>([[], [], [], []]);
  data.current = dataOf(state);

  useEffect(() => {
    const element = box.current;
    if (!element) return;
    const style = getComputedStyle(element);
    const colour = (name: string) => style.getPropertyValue(name).trim();
    const font = `11px ${style.fontFamily}`;
    const axis = { stroke: colour("--ink-2"), font, grid: { stroke: colour("--line"), width: 1 }, ticks: { show: false }, gap: 4 };
    const made = new uPlot(
      {
        width: Math.max(160, element.clientWidth),
        height: HEIGHT,
        legend: { show: false },
        cursor: { show: false },
        padding: [8, 4, 0, 0],
        scales: { x: { time: false }, loss: { range: (_, __, max) => [0, Math.max(0.5, Math.min(max, 3))] }, accuracy: { range: () => [0, 1] } },
        axes: [
          { ...axis, size: 24, space: 70, values: (_, ticks) => ticks.map((v) => (v >= 1000 ? `${v / 1000}k` : `${v}`)) },
          { ...axis, scale: "loss", size: 36, space: 36, values: (_, ticks) => ticks.map((v) => v.toFixed(1)) },
          { ...axis, scale: "accuracy", side: 1, size: 44, space: 36, grid: { show: false }, values: (_, ticks) => ticks.map((v) => `${Math.round(v * 100)}%`) },
        ],
        series: [
          {},
          { scale: "loss", stroke: colour("--loss-faint"), width: 1, points: { show: false } },
          { scale: "loss", stroke: colour("--loss"), width: 2, points: { show: false }, spanGaps: true },
          { scale: "accuracy", stroke: colour("--accuracy"), width: 2, points: { show: true, size: 5, fill: colour("--accuracy") }, spanGaps: true },
        ],
      },
      data.current,
      element,
    );
    plot.current = made;
    const observer = new ResizeObserver(([entry]) => made.setSize({ width: Math.max(160, Math.floor(entry.contentRect.width)), height: HEIGHT }));
    observer.observe(element);
    return () => {
      observer.disconnect();
      made.destroy();
      plot.current = null;
    };
  }, [theme]);

  useEffect(() => plot.current?.setData(data.current), [state.losses, state.accuracies]);

  return (
    <figure className="curve">
      <div ref={box} role="img" aria-label={t.curve} className="curve-plot" />
      <figcaption aria-hidden="true">
        <span className="key loss">{t.batchLoss}</span>
        <span className="key accuracy">{t.testAccuracy}</span>
      </figcaption>
      {state.losses.length === 0 && <p className="curve-empty">{t.curveEmpty}</p>}
    </figure>
  );
}
