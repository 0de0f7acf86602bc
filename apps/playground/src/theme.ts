// Light or dark: the system's wish unless the address says otherwise. Canvases ask here which they
// are painted in.

import { useEffect, useSyncExternalStore } from "react";
import { setParams, useAddress } from "./url.ts";

export type Theme = "light" | "dark";

const system = matchMedia("(prefers-color-scheme: dark)");
const subscribe = (listener: () => void) => {
  system.addEventListener("change", listener);
  return () => system.removeEventListener("change", listener);
};

/** The theme in force. */
export function useTheme(): Theme {
  const asked = useAddress().params.get("theme");
  const dark = useSyncExternalStore(subscribe, () => system.matches);
  return asked === "dark" || asked === "light" ? asked : dark ? "dark" : "light";
}

/** Puts the theme on the document, where the style sheet reads it. */
export function useThemeOnDocument(): Theme {
  const theme = useTheme();
  useEffect(() => {
    document.documentElement.dataset.theme = theme;
  }, [theme]);
  return theme;
}

/** Asks for a theme; the address keeps it only where it differs from the system's. */
export const chooseTheme = (theme: Theme): void =>
  setParams({ theme: theme === (system.matches ? "dark" : "light") ? null : theme }, "replace");
