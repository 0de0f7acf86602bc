// Descriptions that can serve as identity: equal text, equal value.

/**
 * The value as text, like JSON, but −0, NaN and infinities stay what they are. The text stands between line ends, which occur nowhere
 * inside it: joined to other text it stays a part of its own.
 */
export const exactly = (value: unknown): string => `\n${JSON.stringify(value, kept)}\n`;

/** Numbers that JSON loses become text that no other value has. */
const kept = (_: string, v: unknown): unknown =>
  typeof v === "number" && (Object.is(v, -0) || !Number.isFinite(v)) ? `\0${Object.is(v, -0) ? "-0" : v}` : v;
