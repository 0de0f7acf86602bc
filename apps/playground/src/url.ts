// The state of the page is in the address, `#/digits?sample=12&layer=c3&at=412`, so that it can be
// shared, and back and forward work. It is in the hash, so that any static host can serve the page.

import { useSyncExternalStore } from "react";

/** The pages, in the order of the navigation. */
export const PAGES = ["digits", "arithmetic"] as const;
export type Page = (typeof PAGES)[number];

export interface Address {
  readonly page: Page;
  readonly params: ReadonlyMap<string, string>;
  /** The name in the address, where there is no such page; the first page is shown instead. */
  readonly unknown?: string;
}

/** Parameters that belong to the whole app and stay when the page changes. */
const SHARED = ["lang", "theme"];

export function parseAddress(hash: string): Address {
  const [path = "", query = ""] = hash.replace(/^#\/?/, "").split("?", 2);
  const params = new Map(new URLSearchParams(query));
  const page = PAGES.find((p) => p === path);
  return page || path === ""
    ? { page: page ?? PAGES[0], params }
    : { page: PAGES[0], params, unknown: path };
}

export function formatAddress({ page, params }: Address): string {
  // Commas are easier to read than their escapes, and are allowed in a fragment.
  const query = new URLSearchParams([...params]).toString().replaceAll("%2C", ",");
  return `#/${page}${query ? `?${query}` : ""}`;
}

/** The address of another page, with the shared parameters kept. */
export const pageAddress = (from: Address, page: Page): string =>
  formatAddress({
    page,
    params: new Map([...from.params].filter(([name]) => SHARED.includes(name))),
  });

let current = parseAddress(location.hash);
const listeners = new Set<() => void>();

function update(): void {
  current = parseAddress(location.hash);
  for (const listener of listeners) listener();
}
addEventListener("hashchange", update);
addEventListener("popstate", update);

const subscribe = (listener: () => void) => {
  listeners.add(listener);
  return () => void listeners.delete(listener);
};

/** The current address; renders again when it changes. */
export const useAddress = (): Address => useSyncExternalStore(subscribe, () => current);

/**
 * Sets parameters of the current page; null removes one. The back button undoes a `"push"`, not a
 * `"replace"` (dragging a slider, stepping an animation).
 */
export function setParams(
  changes: Readonly<Record<string, string | null>>,
  how: "push" | "replace" = "push",
): void {
  const params = new Map(current.params);
  for (const [name, value] of Object.entries(changes)) {
    if (value === null) params.delete(name);
    else params.set(name, value);
  }
  const hash = formatAddress({ page: current.page, params });
  if (hash === formatAddress(current)) return;
  if (how === "push") history.pushState(null, "", hash);
  else history.replaceState(null, "", hash);
  update();
}
