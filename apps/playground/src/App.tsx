// The frame around the pages: navigation, language, theme.

import { useEffect, useRef } from "react";
import { ArithmeticPage } from "./arithmetic/ArithmeticPage.tsx";
import { Icon } from "./components/ui.tsx";
import { DigitsPage } from "./digits/DigitsPage.tsx";
import { chooseLanguage, TextProvider, useLanguage, useText } from "./i18n/index.tsx";
import { chooseTheme, useThemeOnDocument } from "./theme.ts";
import { PAGES, pageAddress, useAddress } from "./url.ts";

export const App = () => (
  <TextProvider>
    <Frame />
  </TextProvider>
);

function Frame() {
  const t = useText();
  const address = useAddress();
  const { page } = address;
  const heading = useRef<HTMLHeadingElement>(null);
  const shown = useRef(page);
  useEffect(() => {
    document.title = `${t.pages[page]} · Conv`;
    // After a change of the page, focus moves to its heading; on arrival it does not.
    if (shown.current !== page) {
      shown.current = page;
      heading.current?.focus();
      scrollTo(0, 0);
    }
  }, [t, page]);
  return (
    <>
      <a
        className="skip"
        href="#main"
        onClick={(e) => (e.preventDefault(), heading.current?.focus())}
      >
        {t.skip}
      </a>
      <header className="top">
        <span className="brand">
          <Mark /> Conv
        </span>
        <nav aria-label={t.navigation}>
          {PAGES.map((p) => (
            <a
              key={p}
              href={pageAddress(address, p)}
              aria-current={p === page ? "page" : undefined}
            >
              {t.pages[p]}
            </a>
          ))}
        </nav>
        <Settings />
      </header>
      <main id="main">
        <div className="intro">
          <h1 ref={heading} tabIndex={-1}>
            {t.pages[page]}
          </h1>
          <p>{t.intros[page]}</p>
        </div>
        {address.unknown !== undefined && (
          <p className="notice bad" role="alert" data-testid="no-page">
            {t.noSuchPage(address.unknown)}
          </p>
        )}
        {page === "digits" ? <DigitsPage /> : <ArithmeticPage />}
      </main>
    </>
  );
}

function Settings() {
  const t = useText();
  const language = useLanguage();
  const theme = useThemeOnDocument();
  return (
    <div className="settings">
      <div className="segments" role="group" aria-label={t.language}>
        <button
          type="button"
          lang="en"
          aria-pressed={language === "en"}
          onClick={() => chooseLanguage("en")}
        >
          EN
        </button>
        <button
          type="button"
          lang="zh-Hans"
          aria-pressed={language === "zh"}
          onClick={() => chooseLanguage("zh")}
        >
          中文
        </button>
      </div>
      <button
        type="button"
        className="button quiet round"
        aria-label={theme === "dark" ? t.useLight : t.useDark}
        onClick={() => chooseTheme(theme === "dark" ? "light" : "dark")}
      >
        <Icon name={theme === "dark" ? "sun" : "moon"} />
      </button>
    </div>
  );
}

// A window of a grid and the one value it becomes.
const Mark = () => (
  <svg className="mark" viewBox="0 0 22 22" aria-hidden="true">
    {Array.from({ length: 9 }, (_, i) => (
      <rect
        key={i}
        x={(i % 3) * 7.5}
        y={Math.floor(i / 3) * 7.5}
        width="6.5"
        height="6.5"
        rx="1.2"
        className={i === 8 ? "hit" : i % 3 && i > 3 ? "on" : ""}
      />
    ))}
  </svg>
);
