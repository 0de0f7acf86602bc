// Maps of values on one canvas: feature maps, kernels, a vector as a row of units. Any value can be
// pointed at, or reached by keyboard; the selected one and the window of another are outlined.

import { useEffect, useRef, useState, type KeyboardEvent } from "react";
import { useRestored } from "../canvas.ts";
import { packedColor } from "../color.ts";
import { decimal } from "../format.ts";
import { useWidth } from "../size.ts";
import { useTheme, type Theme } from "../theme.ts";
import type { Maps } from "./stages.ts";

interface Props {
  data: Float32Array;
  maps: Maps;
  /** The largest magnitude of the color scale. */
  limit: number;
  /** Side of a value in CSS pixels, less where the maps would not fit. */
  zoom: number;
  label: string;
  /** The position of a value, in words. */
  describe(index: number): string;
  selected?: number | null;
  window?: ReadonlySet<number> | null;
  /** Columns of maps, where they are fixed. */
  columns?: number;
  /** The value under the pointer or cursor; null where there is none. */
  onPoint(index: number | null): void;
  onPick?(index: number, byKey: boolean): void;
}

interface Layout {
  readonly count: number;
  readonly height: number;
  readonly width: number;
  readonly zoom: number;
  readonly gap: number;
  readonly columns: number;
}

function layoutOf(
  { channels, height, width }: Maps,
  zoom: number,
  available: number,
  wanted?: number,
): Layout {
  // A vector is a map for each unit.
  const [count, h, w] = channels === 1 && height === 1 ? [width, 1, 1] : [channels, height, width];
  const fitted = Math.max(0.5, Math.min(zoom, available / w));
  const gap = h * w === 1 ? 2 : Math.max(2, Math.min(8, Math.round(fitted * 1.5)));
  const fit = Math.max(1, Math.floor((available + gap) / (w * fitted + gap)));
  return {
    count,
    height: h,
    width: w,
    zoom: fitted,
    gap,
    columns: wanted && wanted <= fit ? wanted : Math.min(fit, count),
  };
}

const originOf = ({ columns, width, height, zoom, gap }: Layout, map: number) => ({
  x: (map % columns) * (width * zoom + gap),
  y: Math.floor(map / columns) * (height * zoom + gap),
});

/** The size of all maps in CSS pixels. */
const sizeOf = ({ count, columns, width, height, zoom, gap }: Layout) => ({
  width: columns * (width * zoom + gap) - gap,
  height: Math.ceil(count / columns) * (height * zoom + gap) - gap,
});

/** The value under a point of the canvas; null between the maps. */
function indexAt(layout: Layout, px: number, py: number): number | null {
  const { count, columns, width, height, zoom, gap } = layout;
  const column = Math.floor(px / (width * zoom + gap));
  const map = Math.floor(py / (height * zoom + gap)) * columns + column;
  const origin = originOf(layout, map);
  const [x, y] = [Math.floor((px - origin.x) / zoom), Math.floor((py - origin.y) / zoom)];
  return column < columns && map < count && x >= 0 && y >= 0 && x < width && y < height
    ? (map * height + y) * width + x
    : null;
}

export function MapCanvas(props: Props) {
  const { data, maps, limit, label, describe, selected = null, onPick } = props;
  const theme = useTheme();
  useRestored(); // then it is painted again, as after every rendering
  const { box, width: available } = useWidth<HTMLDivElement>(0);
  const canvas = useRef<HTMLCanvasElement>(null);
  const [cursor, setCursor] = useState<number | null>(null);
  const layout = layoutOf(maps, props.zoom, available || 320, props.columns);
  const { height, width } = layout;
  const total = sizeOf(layout);

  useEffect(() => {
    if (!canvas.current || available === 0) return;
    const marks = { selected, cursor, shown: props.window ?? null };
    paint(canvas.current, data, layout, limit, theme, marks);
  });

  const indexOf = (e: { clientX: number; clientY: number }): number | null => {
    const rect = canvas.current?.getBoundingClientRect();
    return rect ? indexAt(layout, e.clientX - rect.left, e.clientY - rect.top) : null;
  };
  const point = (index: number | null) => {
    setCursor(index);
    props.onPoint(index);
  };
  const onKeyDown = (e: KeyboardEvent) => {
    const at = cursor ?? selected ?? 0;
    const [y, x] = [Math.floor(at / width) % height, at % width];
    const to = moved(e.key, { map: Math.floor(at / (height * width)), y, x }, layout);
    if (to) point((to.map * height + to.y) * width + to.x);
    else if ((e.key === "Enter" || e.key === " ") && onPick) onPick(at, true);
    else return;
    e.preventDefault();
  };

  return (
    <div ref={box} className="maps">
      <div
        className="maps-field"
        role="application"
        tabIndex={0}
        aria-label={cursor === null ? label : `${describe(cursor)}: ${decimal(data[cursor], 4)}`}
        style={total}
        onKeyDown={onKeyDown}
        onFocus={(e) =>
          e.target.matches(":focus-visible") && cursor === null && point(selected ?? 0)
        }
        onBlur={() => point(null)}
        onPointerMove={(e) => e.pointerType === "mouse" && point(indexOf(e))}
        onPointerLeave={(e) => e.pointerType === "mouse" && point(null)}
        onClick={(e) => {
          const index = indexOf(e);
          if (index !== null) onPick?.(index, false);
        }}
      >
        <canvas ref={canvas} style={total} aria-hidden="true" />
      </div>
    </div>
  );
}

interface Place {
  readonly map: number;
  readonly y: number;
  readonly x: number;
}

/**
 * The target of a key; null for other keys. Units of a vector and maps of one value are neighbors
 * as they are drawn.
 */
function moved(
  key: string,
  { map, y, x }: Place,
  { count, height, width, columns }: Layout,
): Place | null {
  const single = height * width === 1;
  const steps: Record<string, readonly [number, number, number]> = {
    ArrowLeft: single ? [-1, 0, 0] : [0, 0, -1],
    ArrowRight: single ? [1, 0, 0] : [0, 0, 1],
    ArrowUp: single ? [-columns, 0, 0] : [0, -1, 0],
    ArrowDown: single ? [columns, 0, 0] : [0, 1, 0],
    PageUp: [-1, 0, 0],
    PageDown: [1, 0, 0],
  };
  const step = steps[key];
  if (!step) return null;
  const next = map + step[0];
  return {
    map: next < 0 || next >= count ? map : next,
    y: Math.max(0, Math.min(height - 1, y + step[1])),
    x: Math.max(0, Math.min(width - 1, x + step[2])),
  };
}

interface Marks {
  readonly selected: number | null;
  readonly cursor: number | null;
  readonly shown: ReadonlySet<number> | null;
}

function paint(
  canvas: HTMLCanvasElement,
  data: Float32Array,
  layout: Layout,
  limit: number,
  theme: Theme,
  marks: Marks,
): void {
  const { count, height, width, zoom } = layout;
  const total = sizeOf(layout);
  const scale = devicePixelRatio;
  const [w, h] = [total.width, total.height].map((side) => Math.max(1, Math.round(side * scale)));
  if (canvas.width !== w || canvas.height !== h) [canvas.width, canvas.height] = [w, h];
  const context = canvas.getContext("2d");
  if (!context) return;
  context.setTransform(scale, 0, 0, scale, 0, 0);
  context.clearRect(0, 0, total.width, total.height);
  // All maps one below the other, a pixel a value; then each is drawn enlarged at its place.
  const small = new OffscreenCanvas(width, Math.max(1, count * height));
  const pixels = new ImageData(width, Math.max(1, count * height));
  const packed = new Uint32Array(pixels.data.buffer);
  for (let i = 0; i < count * height * width; i++) packed[i] = packedColor(data[i], limit, theme);
  small.getContext("2d")?.putImageData(pixels, 0, 0);
  context.imageSmoothingEnabled = zoom < 1;
  for (let map = 0; map < count; map++) {
    const { x, y } = originOf(layout, map);
    context.drawImage(small, 0, map * height, width, height, x, y, width * zoom, height * zoom);
  }
  paintMarks(context, layout, theme, marks);
}

/** Outlines the window, the cursor and the selected value. */
function paintMarks(
  context: CanvasRenderingContext2D,
  layout: Layout,
  theme: Theme,
  { shown, cursor, selected }: Marks,
): void {
  const { count, height, width, zoom } = layout;
  const outline = (map: number, [top, left, bottom, right]: Box, strong: boolean) => {
    const { x, y } = originOf(layout, map);
    const around: [number, number, number, number] = [
      x + left * zoom - 1,
      y + top * zoom - 1,
      (right - left + 1) * zoom + 2,
      (bottom - top + 1) * zoom + 2,
    ];
    context.lineWidth = strong ? 4 : 3;
    context.strokeStyle = theme === "dark" ? "#121417" : "#ffffff";
    context.strokeRect(...around);
    context.lineWidth = strong ? 2 : 1.25;
    context.strokeStyle = theme === "dark" ? "#ffe08a" : "#14171a";
    context.strokeRect(...around);
  };
  const one = (index: number, strong: boolean) => {
    const [y, x] = [Math.floor(index / width) % height, index % width];
    outline(Math.floor(index / (height * width)), [y, x, y, x], strong);
  };
  // A window that covers all values is not outlined.
  if (shown && shown.size > 0 && shown.size < count * height * width)
    for (const [map, box] of boxes(shown, height, width)) outline(map, box, false);
  if (cursor !== null && cursor !== selected) one(cursor, false);
  if (selected !== null) one(selected, true);
}

type Box = readonly [top: number, left: number, bottom: number, right: number];

/** The box around the indices in each map. */
function boxes(indices: ReadonlySet<number>, height: number, width: number): Map<number, Box> {
  const found = new Map<number, Box>();
  for (const index of indices) {
    const [map, y, x] = [
      Math.floor(index / (height * width)),
      Math.floor(index / width) % height,
      index % width,
    ];
    const [top, left, bottom, right] = found.get(map) ?? [y, x, y, x];
    found.set(map, [Math.min(top, y), Math.min(left, x), Math.max(bottom, y), Math.max(right, x)]);
  }
  return found;
}
