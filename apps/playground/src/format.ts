// Formats of numbers: a minus sign, few digits, aligned.

const MINUS = "\u2212";

/** `digits` decimals, or an exponent where all of these would be zero. */
export function decimal(value: number, digits = 3): string {
  if (!Number.isFinite(value)) return Number.isNaN(value) ? "NaN" : value > 0 ? "∞" : `${MINUS}∞`;
  const size = Math.abs(value);
  const text =
    size !== 0 && (size >= 1e6 || size < 10 ** -digits / 2)
      ? size.toExponential(1)
      : size.toFixed(digits);
  return `${value < 0 ? MINUS : ""}${text.replace("e-", `e${MINUS}`).replace("e+", "e")}`;
}

/** Few characters: for the cells of a grid. */
export const short = (value: number): string => {
  const size = Math.abs(value);
  if (size === 0) return "0";
  const text =
    size >= 100
      ? size.toFixed(0)
      : size >= 10
        ? size.toFixed(1)
        : size >= 0.1
          ? size.toFixed(2)
          : size.toFixed(3);
  return `${value < 0 ? MINUS : ""}${text.replace(/^0\./, ".")}`;
};

/** A float32 with enough digits to tell it from its neighbors. */
export const exact = (value: number): string =>
  `${value < 0 ? MINUS : ""}${Math.abs(value).toPrecision(7)}`.replace("e-", `e${MINUS}`);

/** 98.1 %, with a narrow no-break space. */
export const percent = (value: number, digits = 1): string =>
  `${(value * 100).toFixed(digits)}\u202f%`;

export const count = (value: number, language: string): string =>
  new Intl.NumberFormat(language).format(value);
