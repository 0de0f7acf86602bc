// Input, kernel and output side by side. The cell at hand, pointed at, focused or reached by stepping, shows what it depends
// on or what depends on it: related cells take the colour of the weight that joins them.

import { useMemo, useRef, useState, type KeyboardEvent, type ReactNode } from "react";
import { cssColour, inkOn, limitOf } from "../colour.ts";
import { useText } from "../i18n/index.tsx";
import { useTheme } from "../theme.ts";
import { isPadding, nameOf, placeOf, type Picture, type Side, type Term } from "./picture.ts";

export interface Cell {
  readonly side: "wide" | "narrow";
  readonly cell: number;
}

interface Props {
  picture: Picture;
  step: number;
  playing: boolean;
  pointed: Cell | null;
  onPoint(cell: Cell | null): void;
  /** Makes a window the current step. */
  onPick(step: number): void;
}

const SIZE = 36; // of a cell, in the units of the picture

const signed = (v: number): string => (v < 0 ? `−${-v}` : `${v}`);

/** Pixels of a cell: less where there is much to show. */
const pixelsOf = ({ wide, narrow }: Picture): number => {
  const longest = Math.max(...wide.size, ...narrow.size);
  return wide.channels > 1 || narrow.channels > 1 ? (longest > 9 ? 24 : 28) : longest > 13 ? 28 : SIZE;
};

export function Stage({ picture, step, playing, pointed, onPoint, onPick }: Props) {
  const t = useText();
  const active = pointed ?? { side: "narrow", cell: step };
  const terms = (active.side === "narrow" ? picture.byNarrow : picture.byWide)[active.cell] ?? [];
  const related = useMemo(
    () => new Map(terms.map((term) => [active.side === "narrow" ? term.wide : term.narrow, picture.weights[term.w]])),
    [terms, active.side, picture],
  );
  const limit = limitOf(picture.weights);
  const scale = pixelsOf(picture) / SIZE;
  const { geometry: g } = picture;
  const per = g.ic / g.groups; // channels of the wide side in a group
  const filter = active.side === "narrow" ? placeOf(picture.narrow, active.cell)[0] : terms.length ? placeOf(picture.narrow, terms[0].narrow)[0] : 0;
  const used = new Set(terms.map((term) => term.w));

  const side = (which: "wide" | "narrow") => {
    const s = picture[which];
    const name = picture.inputIs === which ? t.input : t.output;
    return (
      <div className="planes" data-side={which} role="group" aria-label={name}>
        <h3>
          {name} <span className="shape">{[s.channels, s.size[0] - s.padLo[0] - s.padHi[0], s.size[1] - s.padLo[1] - s.padHi[1]].join("×")}</span>
        </h3>
        <div className="plane-list">
          {Array.from({ length: s.channels }, (_, c) => (
            <Plane
              key={c}
              name={name}
              side={s}
              channel={c}
              group={g.groups > 1 ? Math.floor(c / (s.channels / g.groups)) : null}
              active={active.side === which ? active.cell : null}
              related={active.side === which ? null : related}
              limit={limit}
              scale={scale}
              pending={playing && picture.inputIs !== which && which === "narrow" ? step : null}
              onPoint={(cell) => onPoint(cell === null ? null : { side: which, cell })}
              onPick={(cell) => which === "narrow" && onPick(cell)}
            />
          ))}
        </div>
      </div>
    );
  };

  const kernel = (
    <div className="planes" data-side="kernel" role="group" aria-label={t.kernel}>
      <h3>
        {t.kernel} <span className="shape">{[g.oc, per, ...g.kernel].join("×")}</span>
      </h3>
      <div className="plane-list">
        {Array.from({ length: per }, (_, c) => (
          <KernelPlane key={c} picture={picture} filter={filter} channel={c} used={used} limit={limit} scale={scale} showName={g.oc > 1 || per > 1} />
        ))}
      </div>
    </div>
  );

  return (
    <div className="stage">
      <div className="stage-sides">
        {side(picture.inputIs)}
        <span className="operator" aria-hidden="true">
          ∗
        </span>
        {kernel}
        <span className="operator" aria-hidden="true">
          =
        </span>
        {side(picture.inputIs === "wide" ? "narrow" : "wide")}
      </div>
      <p className="equation" data-testid="equation" aria-live={playing ? "off" : "polite"}>
        <Equation picture={picture} active={active} terms={terms} />
      </p>
    </div>
  );
}

/** What the cell at hand is made of, or where it goes. */
function Equation({ picture, active, terms }: { picture: Picture; active: Cell; terms: readonly Term[] }): ReactNode {
  const t = useText();
  const { wide, narrow, weights } = picture;
  const isInput = active.side === picture.inputIs;
  const side = picture[active.side];
  const value = side.values[active.cell];
  const factor = (v: number) => (v < 0 ? `(${signed(v)})` : signed(v));
  if (isPadding(side, active.cell)) return <>{isInput ? t.isPadding : t.isCropped}</>;
  if (isInput) {
    const [from, to] = [nameOf(side, active.cell), active.side === "wide" ? narrow : wide];
    const targets = terms.map((term) => (active.side === "wide" ? term.narrow : term.wide)).filter((cell) => !isPadding(to, cell));
    return (
      <>
        <b>
          {t.inputSymbol}[{from}] = {signed(value)}
        </b>{" "}
        {t.isUsedBy(targets.length)} {targets.map((cell) => `${t.outputSymbol}[${nameOf(to, cell)}]`).join("  ")}
      </>
    );
  }
  const sum = terms.map((term) => {
    const x = active.side === "narrow" ? wide.values[term.wide] : narrow.values[term.narrow];
    return `${factor(x)}·${factor(weights[term.w])}`;
  });
  return (
    <>
      <b>
        {t.outputSymbol}[{nameOf(side, active.cell)}]
      </b>{" "}
      = {sum.join(" + ") || "0"} = <b>{signed(value)}</b>
    </>
  );
}

interface PlaneProps {
  name: string;
  side: Side;
  channel: number;
  group: number | null;
  active: number | null;
  related: ReadonlyMap<number, number> | null;
  limit: number;
  /** Pixels per unit. */
  scale: number;
  /** While playing: outputs after this step are still to come. */
  pending: number | null;
  onPoint(cell: number | null): void;
  onPick(cell: number): void;
}

function Plane({ name, side, channel, group, active, related, limit, scale, pending, onPoint, onPick }: PlaneProps) {
  const t = useText();
  const theme = useTheme();
  const svg = useRef<SVGSVGElement>(null);
  const [h, w] = side.size;
  const first = channel * h * w;
  // One cell of a plane can be reached by Tab, the others from there by arrow keys.
  const [stop, setStop] = useState(first);
  const tabStop = active !== null && active >= first && active < first + h * w ? active : stop < first + h * w ? stop : first;

  const onKeyDown = (e: KeyboardEvent, cell: number) => {
    const [, row, column] = placeOf(side, cell);
    const [dr, dc] = { ArrowUp: [-1, 0], ArrowDown: [1, 0], ArrowLeft: [0, -1], ArrowRight: [0, 1], Home: [0, -column], End: [0, w - 1 - column] }[
      e.key
    ] ?? [0, 0];
    if (e.key === "Enter" || e.key === " ") onPick(cell);
    else if (!dr && !dc) return;
    e.preventDefault();
    const [r, c] = [Math.max(0, Math.min(h - 1, row + dr)), Math.max(0, Math.min(w - 1, column + dc))];
    svg.current?.querySelector<SVGElement>(`[data-cell="${first + r * w + c}"]`)?.focus();
  };

  const cellAt = (row: number, column: number) => {
    const cell = first + row * w + column;
    const padding = isPadding(side, cell);
    const weight = related?.get(cell);
    const value = side.values[cell];
    const kind = cell === active ? "active" : weight !== undefined ? "related" : padding ? "padding" : "";
    const ink = weight === undefined ? undefined : inkOn(weight, limit, theme);
    const text = signed(value);
    const factor = weight === undefined ? "" : `×${signed(weight)}`;
    const label = `${t.cell(row - side.padLo[0], column - side.padLo[1])}: ${padding ? `${t.padding} ` : ""}${text}${factor}`;
    return (
      <g
        key={column}
        role="gridcell"
        tabIndex={cell === tabStop ? 0 : -1}
        aria-label={label}
        aria-selected={cell === active}
        className={`cell ${kind}${pending !== null && cell > pending ? " pending" : ""}`}
        data-cell={cell}
        data-related={weight === undefined ? undefined : ""}
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
          style={weight === undefined ? undefined : { fill: cssColour(weight, limit, theme) }}
        />
        <text x={SIZE / 2} y={weight === undefined ? SIZE / 2 : SIZE / 2 - 3} style={{ fill: ink }}>
          {text}
        </text>
        {factor && (
          <text className="weight" x={SIZE - 4} y={SIZE - 7} style={{ fill: ink }}>
            {factor}
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

function KernelPlane({
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
      <svg role="img" aria-label={label} viewBox={`-2 -2 ${kw * SIZE + 4} ${kh * SIZE + 4}`} style={{ width: (kw * SIZE + 4) * scale }}>
        {Array.from({ length: kh * kw }, (_, i) => {
          const weight = weights[first + i];
          return (
            <g
              key={i}
              className={`cell tap${used.has(first + i) ? "" : " unused"}`}
              transform={`translate(${(i % kw) * SIZE} ${Math.floor(i / kw) * SIZE})`}
            >
              <rect x="1" y="1" width={SIZE - 2} height={SIZE - 2} rx="3" style={{ fill: cssColour(weight, limit, theme) }} />
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
