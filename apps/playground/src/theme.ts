// Light or dark: the setting of the system, unless the address sets it. Canvases are painted in the
// current theme.

import { useEffect, useSyncExternalStore } from "react";
import { setParams, useAddress } from "./url.ts";

export type Theme = "light" | "dark";

const system = matchMedia("(prefers-color-scheme: dark)");
const subscribe = (listener: () => void) => {
  system.addEventListener("change", listener);
  return () => system.removeEventListener("change", listener);
};

/** The current theme. */
export function useTheme(): Theme {
  const asked = useAddress().params.get("theme");
  const dark = useSyncExternalStore(subscribe, () => system.matches);
  return asked === "dark" || asked === "light" ? asked : dark ? "dark" : "light";
}

/** Sets the theme on the document, for the style sheet. */
export function useThemeOnDocument(): Theme {
  const theme = useTheme();
  useEffect(() => {
    document.documentElement.dataset.theme = theme;
  }, [theme]);
  return theme;
}

/** Sets the theme; the address keeps it only where it differs from that of the system. */
export const chooseTheme = (theme: Theme): void =>
  setParams({ theme: theme === (system.matches ? "dark" : "light") ? null : theme }, "replace");
