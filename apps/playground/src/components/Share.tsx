// A link to the page in its state: copied with one click, with a sentence on what it contains.

import { useState, type ReactNode } from "react";
import { useText } from "../i18n/index.tsx";
import { Icon } from "./ui.tsx";

/** `children` appears below the sentence: what the link lacks, and the remedy. */
export function Share({ carries, children }: { carries: string; children?: ReactNode }) {
  const t = useText();
  const [copied, setCopied] = useState<boolean | null>(null);
  const copy = () =>
    navigator.clipboard.writeText(location.href).then(
      () => setCopied(true),
      () => setCopied(false),
    );
  return (
    <div className="share">
      <button type="button" className="button quiet small" onClick={() => void copy()}>
        <Icon name="copy" /> {t.copyLink}
      </button>
      {copied !== null && (
        <div className="share-note" role="status" data-testid="shared">
          <p>
            <b>{copied ? t.linkCopied : t.linkNotCopied}</b> {carries}
          </p>
          {children}
          <button
            type="button"
            className="button quiet round small"
            aria-label={t.close}
            onClick={() => setCopied(null)}
          >
            <Icon name="close" />
          </button>
        </div>
      )}
    </div>
  );
}
