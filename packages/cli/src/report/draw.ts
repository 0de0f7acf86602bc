// Common parts of all pictures of the page: their style, which follows the colors and font of the
// page, and the conversion of Vega's drawing.

import { parse, View, type Axis, type Config, type Mark, type Spec } from "vega";

/** Widths of pictures, in pixels, for wide pages and for phones. */
export const widths = { wide: 1040, narrow: 350 } as const;

export const colors = {
  blue: "#3b82f6",
  purple: "#9b6ef3",
  green: "#2da44e",
  orange: "#d9822b",
  gray: "#8a8f98",
  red: "#e5484d",
} as const;

/** The color of the page's text, light or dark. */
export const INK = "currentColor";

const FONT = {
  labelFont: "inherit",
  titleFont: "inherit",
  labelFontSize: 12,
  titleFontSize: 12,
} as const;
// pixels of a character at font size 12, in a wide sans serif: text cannot be measured here
const CHARACTER = 7.2;

/** The approximate width of a text. */
export const textWidth = (text: string): number => text.length * CHARACTER;

const config: Config = {
  axis: {
    ...FONT,
    labelColor: INK,
    titleColor: INK,
    titleFontWeight: "normal",
    domainColor: INK,
    domainOpacity: 0.4,
    tickColor: INK,
    tickOpacity: 0.4,
    gridColor: INK,
    gridOpacity: 0.12,
  },
  text: { font: "inherit", fontSize: 12, fill: INK },
};

export const axis = (orient: "left" | "bottom", scale: string, more: Partial<Axis> = {}): Axis => ({
  orient,
  scale,
  ...(more.values === undefined && { tickCount: 5 }),
  ...more,
});

/** An axis on the left with lines across the picture; thousands are k, millions M. */
export const levels = (more: Partial<Axis> = {}): Axis =>
  axis("left", "y", {
    grid: true,
    domain: false,
    ticks: false,
    labelPadding: 6,
    tickCount: more.values === undefined ? 4 : undefined,
    encode: {
      labels: { update: { text: { signal: "datum.value ? format(datum.value, '~s') : '0'" } } },
    },
    ...more,
  });

/** A picture of a fixed size: `width` and `height` are those within the padding. */
export interface Picture extends Pick<Spec, "data" | "scales" | "axes" | "marks"> {
  /** For screen readers. */
  readonly description: string;
  readonly width: number;
  readonly height: number;
  readonly padding: {
    readonly left: number;
    readonly right: number;
    readonly top: number;
    readonly bottom: number;
  };
}

/** The picture as SVG. The description of a mark is its tooltip. */
export async function svgOf({ description, ...picture }: Picture): Promise<string> {
  const spec: Spec = { ...picture, autosize: "none", config };
  const svg = await new View(parse(spec), { renderer: "none" }).toSVG();
  return svg
    .replace(
      /<(path|line|text) aria-label="([^"]*)" role="graphics-symbol" aria-roledescription="[^"]*" ([^>]*)\/>/g,
      "<$1 $3><title>$2</title></$1>",
    )
    .replace(/ (role|aria-label|aria-roledescription|aria-hidden|pointer-events)="[^"]*"/g, "")
    .replace(
      / xmlns:xlink="[^"]*" version="[^"]*" class="marks"/,
      ` role="img" aria-label="${description}"`,
    )
    .replace(/(\.\d\d)\d+/g, "$1");
}

/** A line of text at a place, or a text from the data of a mark. */
export const label = (
  x: number,
  y: number,
  text: string,
  more: Record<string, object> = {},
): Mark => ({
  type: "text",
  encode: { update: { x: { value: x }, y: { value: y }, text: { value: text }, ...more } },
});

/** A title above a panel. */
export const heading = (text: string): Mark =>
  label(0, -10, text, { fontWeight: { value: "bold" } });

/** A dashed line from one point to another. */
export const dashed = (
  from: readonly [number, number],
  to: readonly [number, number],
  color: string,
): Mark => ({
  type: "rule",
  encode: {
    update: {
      x: { value: from[0] },
      y: { value: from[1] },
      x2: { value: to[0] },
      y2: { value: to[1] },
      stroke: { value: color },
      strokeDash: { value: [4, 3] },
    },
  },
});

/** The side of `x` with room for a text in a picture of that width: right, or left. */
export function beside(x: number, text: string, width: number): Record<string, object> {
  const right = x + 8 + textWidth(text) <= width;
  const left = x - 8 - textWidth(text) >= 0;
  if (right || !left)
    return { align: { value: right ? "left" : "right" }, x: { value: right ? x + 8 : width } };
  return { align: { value: "right" }, x: { value: x - 8 } };
}
