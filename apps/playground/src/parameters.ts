// Reads the parameters of an address, and reports those that are not valid.

/**
 * A parameter of an address that is not valid, and the value that is used instead; null where there
 * is none.
 */
export interface Unused {
  readonly name: string;
  readonly given: string;
  readonly used: string | null;
}

/** Reads parameters of an address; `unused` gets those for which `parse` returns undefined. */
export function reader(params: ReadonlyMap<string, string>) {
  const unused: Unused[] = [];
  const read = <T>(
    name: string,
    parse: (text: string) => T | undefined,
    otherwise: T,
    used: string | null = null,
  ): T => {
    const given = params.get(name);
    if (given === undefined) return otherwise;
    const value = parse(given);
    if (value !== undefined) return value;
    unused.push({ name, given, used });
    return otherwise;
  };
  return { read, unused };
}

/** The whole number from 0 to less than `count` that a text is; undefined for any other text. */
export const wholeBelow =
  (count: number) =>
  (text: string): number | undefined =>
    /^\d{1,9}$/.test(text) && Number(text) < count ? Number(text) : undefined;
