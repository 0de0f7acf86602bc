// Two languages: every text is in both dictionaries, or the program does not compile.

import { createContext, use, useEffect, type ReactNode } from "react";
import { setParams, useAddress } from "../url.ts";
import { en, type Dictionary } from "./en.ts";
import { zh } from "./zh.ts";

export type Language = "en" | "zh";

const DICTIONARIES: Record<Language, Dictionary> = { en, zh };
const fromBrowser: Language = navigator.languages
  .find((l) => /^(en|zh)\b/i.test(l))
  ?.toLowerCase()
  .startsWith("zh")
  ? "zh"
  : "en";

const Text = createContext<Dictionary>(en);

/** The current language: that of the address, else that of the browser. */
export function useLanguage(): Language {
  const asked = useAddress().params.get("lang");
  return asked === "en" || asked === "zh" ? asked : fromBrowser;
}

export const chooseLanguage = (language: Language): void =>
  setParams({ lang: language === fromBrowser ? null : language }, "replace");

export type { Dictionary };

export const useText = (): Dictionary => use(Text);

export function TextProvider({ children }: { children: ReactNode }) {
  const language = useLanguage();
  useEffect(() => {
    document.documentElement.lang = language === "zh" ? "zh-Hans" : "en";
  }, [language]);
  return <Text value={DICTIONARIES[language]}>{children}</Text>;
}
