// The grids of the arithmetic page: a channel of input or output, and a channel of the kernel.

import { useRef, useState, type KeyboardEvent } from "react";
import { cssColor, inkOn } from "../color.ts";
import { useText } from "../i18n/index.tsx";
import { useTheme } from "../theme.ts";
import { isPadding, placeOf, type Picture, type Side } from "./picture.ts";

/** Side of a cell, in the units of the picture. */
export const SIZE = 36;
/** A whole number with a proper minus sign. */
export const signed = (v: number): string => (v < 0 ? `−${-v}` : `${v}`);

/** What joins a cell with the one at hand: x·w. */
export interface Product {
  readonly x: number;
  readonly w: number;
}

interface PlaneProps {
  name: string;
  side: Side;
  channel: number;
  group: number | null;
  active: number | null;
  related: ReadonlyMap<number, Product> | null;
  limit: number;
  /** Pixels per unit. */
  scale: number;
  /** While playing: outputs after this step are still to come. */
  pending: number | null;
  onPoint(cell: number | null): void;
  onPick(cell: number): void;
}

/** One channel of the input or output: a grid of cells that are pointed at, walked and chosen. */
export function Plane({
  name,
  side,
  channel,
  group,
  active,
  related,
  limit,
  scale,
  pending,
  onPoint,
  onPick,
}: PlaneProps) {
  const t = useText();
  const theme = useTheme();
  const svg = useRef<SVGSVGElement>(null);
  const [h, w] = side.size;
  const first = channel * h * w;
  // One cell of a plane can be reached by Tab, the others from there by arrow keys.
  const [stop, setStop] = useState(first);
  const tabStop =
    active !== null && active >= first && active < first + h * w
      ? active
      : stop < first + h * w
        ? stop
        : first;

  const onKeyDown = (e: KeyboardEvent, cell: number) => {
    const [, row, column] = placeOf(side, cell);
    const [dr, dc] = {
      ArrowUp: [-1, 0],
      ArrowDown: [1, 0],
      ArrowLeft: [0, -1],
      ArrowRight: [0, 1],
      Home: [0, -column],
      End: [0, w - 1 - column],
    }[e.key] ?? [0, 0];
    if (e.key === "Enter" || e.key === " ") onPick(cell);
    else if (!dr && !dc) return;
    e.preventDefault();
    const [r, c] = [
      Math.max(0, Math.min(h - 1, row + dr)),
      Math.max(0, Math.min(w - 1, column + dc)),
    ];
    svg.current?.querySelector<SVGElement>(`[data-cell="${first + r * w + c}"]`)?.focus();
  };

  const cellAt = (row: number, column: number) => {
    const cell = first + row * w + column;
    const padding = isPadding(side, cell);
    const product = related?.get(cell);
    const value = side.values[cell];
    const kind = cell === active ? "active" : product ? "related" : padding ? "padding" : "";
    const ink = product && inkOn(product.w, limit, theme);
    // A cell that is joined with the one at hand shows their product; all others their own value.
    const text = product ? `${signed(product.x)}·${signed(product.w)}` : signed(value);
    const result = product ? `=${signed(product.x * product.w)}` : "";
    const label = `${t.cell(row - side.padLo[0], column - side.padLo[1])}: ${padding ? `${t.padding} ` : ""}${text}${result}`;
    return (
      <g
        key={column}
        role="gridcell"
        tabIndex={cell === tabStop ? 0 : -1}
        aria-label={label}
        aria-selected={cell === active}
        className={`cell ${kind}${pending !== null && cell > pending ? " pending" : ""}${related && side.isOutput && !product ? " rest" : ""}`}
        data-cell={cell}
        data-related={product ? "" : undefined}
        transform={`translate(${column * SIZE} ${row * SIZE})`}
        onPointerEnter={(e) => e.pointerType === "mouse" && onPoint(cell)}
        onFocus={() => (setStop(cell), onPoint(cell))}
        onClick={() => onPick(cell)}
        onKeyDown={(e) => onKeyDown(e, cell)}
      >
        <rect
          x="1"
          y="1"
          width={SIZE - 2}
          height={SIZE - 2}
          rx="3"
          style={product && { fill: cssColor(product.w, limit, theme) }}
        />
        <text
          className={product ? "factors" : undefined}
          x={SIZE / 2}
          y={product ? SIZE / 2 - 7 : SIZE / 2}
          style={{ fill: ink }}
        >
          {text}
        </text>
        {product && (
          <text className="result" x={SIZE / 2} y={SIZE - 10} style={{ fill: ink }}>
            {result}
          </text>
        )}
      </g>
    );
  };

  return (
    <figure className="plane">
      <svg
        ref={svg}
        role="grid"
        aria-label={t.planeName(name, channel)}
        viewBox={`-2 -2 ${w * SIZE + 4} ${h * SIZE + 4}`}
        style={{ width: (w * SIZE + 4) * scale }}
        onPointerLeave={(e) => e.pointerType === "mouse" && onPoint(null)}
        onBlur={(e) => !e.currentTarget.contains(e.relatedTarget) && onPoint(null)}
      >
        {Array.from({ length: h }, (_, row) => (
          <g key={row} role="row">
            {Array.from({ length: w }, (_, column) => cellAt(row, column))}
          </g>
        ))}
      </svg>
      {side.channels > 1 && (
        <figcaption>
          {t.channel(channel)}
          {group !== null && ` · ${t.group(group)}`}
        </figcaption>
      )}
    </figure>
  );
}

/** One channel of the kernel that is at work. */
export function KernelPlane({
  picture,
  filter,
  channel,
  used,
  limit,
  scale,
  showName,
}: {
  picture: Picture;
  filter: number;
  channel: number;
  used: ReadonlySet<number>;
  limit: number;
  scale: number;
  showName: boolean;
}) {
  const t = useText();
  const theme = useTheme();
  const { geometry: g, weights } = picture;
  const [kh, kw] = g.kernel;
  const first = (filter * (g.ic / g.groups) + channel) * kh * kw;
  const label = `${t.kernel}: ${Array.from({ length: kh }, (_, row) => Array.from({ length: kw }, (_, column) => weights[first + row * kw + column]).join(" ")).join("; ")}`;
  return (
    <figure className="plane">
      <svg
        role="img"
        aria-label={label}
        viewBox={`-2 -2 ${kw * SIZE + 4} ${kh * SIZE + 4}`}
        style={{ width: (kw * SIZE + 4) * scale }}
      >
        {Array.from({ length: kh * kw }, (_, i) => {
          const weight = weights[first + i];
          return (
            <g
              key={i}
              className={`cell tap${used.has(first + i) ? "" : " unused"}`}
              transform={`translate(${(i % kw) * SIZE} ${Math.floor(i / kw) * SIZE})`}
            >
              <rect
                x="1"
                y="1"
                width={SIZE - 2}
                height={SIZE - 2}
                rx="3"
                style={{ fill: cssColor(weight, limit, theme) }}
              />
              <text x={SIZE / 2} y={SIZE / 2} style={{ fill: inkOn(weight, limit, theme) }}>
                {signed(weight)}
              </text>
            </g>
          );
        })}
      </svg>
      {showName && <figcaption>{t.filter(filter, channel)}</figcaption>}
    </figure>
  );
}
