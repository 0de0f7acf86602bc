// The width that a part of the page has.

import { useEffect, useRef, useState, type RefObject } from "react";

/** The width of the element behind `box` in whole pixels; `initial` until it is measured. */
export function useWidth<E extends HTMLElement>(
  initial: number,
): { box: RefObject<E | null>; width: number } {
  const box = useRef<E>(null);
  const [width, setWidth] = useState(initial);
  useEffect(() => {
    if (!box.current) return;
    const observer = new ResizeObserver(([entry]) => setWidth(Math.floor(entry.contentRect.width)));
    observer.observe(box.current);
    return () => observer.disconnect();
  }, []);
  return { box, width };
}
