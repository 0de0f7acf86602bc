// The grids of the arithmetic page: a channel of input or output, and a channel of the kernel.

import { useRef, useState, type KeyboardEvent } from "react";
import { cssColor, inkOn } from "../color.ts";
import { useText, type Dictionary } from "../i18n/index.tsx";
import { useTheme, type Theme } from "../theme.ts";
import { isPadding, placeOf, type Picture, type Side } from "./picture.ts";

/** Side of a cell, in the units of the picture. */
export const SIZE = 36;
/** A whole number with a minus sign. */
export const signed = (v: number): string => (v < 0 ? `−${-v}` : `${v}`);

/** The product x·w that joins a cell with the current one. */
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
  /** While playing: the step; later outputs are not shown yet. */
  pending: number | null;
  onPoint(cell: number | null): void;
  onPick(cell: number): void;
}

/** The target of a key from a cell; null for other keys. */
function keyTarget(key: string, side: Side, cell: number): number | null {
  const [channel, row, column] = placeOf(side, cell);
  const [h, w] = side.size;
  const [dr, dc] = {
    ArrowUp: [-1, 0],
    ArrowDown: [1, 0],
    ArrowLeft: [0, -1],
    ArrowRight: [0, 1],
    Home: [0, -column],
    End: [0, w - 1 - column],
  }[key] ?? [0, 0];
  if (!dr && !dc) return null;
  const [r, c] = [
    Math.max(0, Math.min(h - 1, row + dr)),
    Math.max(0, Math.min(w - 1, column + dc)),
  ];
  return (channel * h + r) * w + c;
}

/** One channel of the input or output: a grid of cells that are pointed at, walked and chosen. */
export function Plane(props: PlaneProps) {
  const { name, side, channel, group, active, scale, onPoint, onPick } = props;
  const t = useText();
  const theme = useTheme();
  const svg = useRef<SVGSVGElement>(null);
  const [h, w] = side.size;
  const first = channel * h * w;
  const isHere = (cell: number) => cell >= first && cell < first + h * w;
  // One cell of a plane can be reached by Tab, the others from there by arrow keys.
  const [stop, setStop] = useState(first);
  const tabStop = active !== null && isHere(active) ? active : isHere(stop) ? stop : first;
  const onKeyDown = (e: KeyboardEvent, cell: number) => {
    const to = keyTarget(e.key, side, cell);
    if (e.key === "Enter" || e.key === " ") onPick(cell);
    else if (to === null) return;
    e.preventDefault();
    svg.current?.querySelector<SVGElement>(`[data-cell="${to ?? cell}"]`)?.focus();
  };
  const cellAt = (row: number, column: number) => {
    const cell = first + row * w + column;
    const look = lookOf(props, cell, t);
    return (
      <g
        key={column}
        role="gridcell"
        tabIndex={cell === tabStop ? 0 : -1}
        aria-label={look.label}
        aria-selected={cell === active}
        className={look.className}
        data-cell={cell}
        data-related={look.product ? "" : undefined}
        transform={`translate(${column * SIZE} ${row * SIZE})`}
        onPointerEnter={(e) => e.pointerType === "mouse" && onPoint(cell)}
        onFocus={() => (setStop(cell), onPoint(cell))}
        onClick={() => onPick(cell)}
        onKeyDown={(e) => onKeyDown(e, cell)}
      >
        {drawCell(look, props.limit, theme)}
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

interface Look {
  readonly product: Product | undefined;
  readonly text: string;
  /** `=6`, of a cell that shows a product. */
  readonly result: string;
  readonly label: string;
  readonly className: string;
}

/** A cell that is joined with the current one shows their product, all others their value. */
function lookOf({ side, active, related, pending }: PlaneProps, cell: number, t: Dictionary): Look {
  const [, row, column] = placeOf(side, cell);
  const padding = isPadding(side, cell);
  const product = related?.get(cell);
  const text = product ? `${signed(product.x)}·${signed(product.w)}` : signed(side.values[cell]);
  const result = product ? `=${signed(product.x * product.w)}` : "";
  const place = t.cell(row - side.padLo[0], column - side.padLo[1]);
  const kind = cell === active ? "active" : product ? "related" : padding ? "padding" : "";
  return {
    product,
    text,
    result,
    label: `${place}: ${padding ? `${t.padding} ` : ""}${text}${result}`,
    className: [
      `cell ${kind}`,
      ...(pending !== null && cell > pending ? ["pending"] : []),
      ...(related && side.isOutput && !product ? ["rest"] : []),
    ].join(" "),
  };
}

function drawCell({ product, text, result }: Look, limit: number, theme: Theme) {
  const ink = product && inkOn(product.w, limit, theme);
  return (
    <>
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
    </>
  );
}

/** One channel of the kernel of an output channel. */
export function KernelPlane({
  picture,
  outChannel,
  channel,
  used,
  limit,
  scale,
  showName,
}: {
  picture: Picture;
  outChannel: number;
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
  const first = (outChannel * (g.ic / g.groups) + channel) * kh * kw;
  const rows = Array.from({ length: kh }, (_, row) =>
    weights.subarray(first + row * kw, first + (row + 1) * kw).join(" "),
  );
  const label = `${t.kernel}: ${rows.join("; ")}`;
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
      {showName && <figcaption>{t.kernelOf(outChannel, channel)}</figcaption>}
    </figure>
  );
}
