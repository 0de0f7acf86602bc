// Loss of each step with its running mean, and test accuracy, over the images seen.

import { scaleLinear } from "d3-scale";
import { useText } from "../i18n/index.tsx";
import { useWidth } from "../size.ts";
import { smoothed, type NetworkState } from "./client.ts";

const HEIGHT = 188;
const MARGIN = { top: 10, right: 42, bottom: 24, left: 34 };

/** The polyline through the points, as an SVG path. */
const pathOf = (points: readonly (readonly [number, number])[]): string =>
  points.map(([x, y], i) => `${i ? "L" : "M"}${x.toFixed(1)} ${y.toFixed(1)}`).join("");

const thousands = (v: number): string => (v >= 1000 ? `${v / 1000}k` : `${v}`);

export function Curve({ state: { losses, accuracies } }: { state: NetworkState }) {
  const t = useText();
  const { box, width: available } = useWidth<HTMLElement>(480);
  const width = Math.max(200, available);

  const last = Math.max(2000, losses.at(-1)?.images ?? 0);
  const means = smoothed(losses);
  const x = scaleLinear([0, last], [MARGIN.left, width - MARGIN.right]);
  const highest = means.reduce((top, v) => Math.max(top, v), 0.5);
  const loss = scaleLinear([0, highest * 1.05], [HEIGHT - MARGIN.bottom, MARGIN.top]).clamp(true);
  const accuracy = scaleLinear([0, 1], [HEIGHT - MARGIN.bottom, MARGIN.top]);
  const smooth = losses.map((p, i) => [x(p.images), loss(means[i])] as const);
  const measured = accuracies.map((a) => [x(a.images), accuracy(a.accuracy)] as const);

  if (losses.length === 0 && accuracies.length === 0) {
    return (
      <figure className="curve" ref={box}>
        <p className="curve-empty">{t.curveEmpty}</p>
      </figure>
    );
  }
  return (
    <figure className="curve" ref={box}>
      <svg
        role="img"
        aria-label={t.curve}
        width={width}
        height={HEIGHT}
        data-points={losses.length}
      >
        {loss.ticks(4).map((v) => (
          <g key={v} transform={`translate(0 ${loss(v)})`}>
            <line className="grid" x1={MARGIN.left} x2={width - MARGIN.right} />
            <text className="left" x={MARGIN.left - 7}>
              {highest < 10 ? v.toFixed(1) : v}
            </text>
          </g>
        ))}
        {accuracy.ticks(4).map((v) => (
          <text key={v} className="right" x={width - MARGIN.right + 7} y={accuracy(v)}>
            {Math.round(v * 100)}%
          </text>
        ))}
        {x.ticks(Math.max(2, Math.floor(width / 100))).map((v) => (
          <text key={v} className="below" x={x(v)} y={HEIGHT - 8}>
            {thousands(v)}
          </text>
        ))}
        <path className="raw" d={pathOf(losses.map((p) => [x(p.images), loss(p.loss)]))} />
        <path className="loss" d={pathOf(smooth)} />
        <path className="accuracy" d={pathOf(measured)} />
        {measured.map(([cx, cy], i) => (
          <circle key={i} cx={cx} cy={cy} r="2.5" />
        ))}
      </svg>
      <figcaption aria-hidden="true">
        <span className="key loss">{t.batchLoss}</span>
        <span className="key accuracy">{t.testAccuracy}</span>
        <span>{t.overImages}</span>
      </figcaption>
    </figure>
  );
}
