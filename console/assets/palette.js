// Colours that the canvas draws with, from the style sheet: the themes are written down once, in CSS.

/** Reads the theme in force. */
export function readPalette(element = document.documentElement) {
  const style = getComputedStyle(element);
  const of = (name) => style.getPropertyValue(`--${name}`).trim();
  return {
    text: of('text'),
    muted: of('muted'),
    line: of('line'),
    surface: of('surface'),
    quiet: of('quiet'),
    amber: of('amber-fill'),
    red: of('red-fill'),
    dim: of('dim'),
    accent: of('accent'),
    series: Array.from({ length: 8 }, (_, index) => of(`series-${index + 1}`)),
    font: `11px ${style.getPropertyValue('--font')}`,
  };
}

/** Calls `changed` when the theme changes, by choice or by the system. Answers how to stop. */
export function onThemeChange(changed) {
  const system = matchMedia('(prefers-color-scheme: dark)');
  const watcher = new MutationObserver(changed);
  watcher.observe(document.documentElement, { attributeFilter: ['data-theme'] });
  system.addEventListener('change', changed);
  return () => {
    watcher.disconnect();
    system.removeEventListener('change', changed);
  };
}

/**
 * A colour for each group that is shown, which it keeps while it is shown: lines must not swap colours when their
 * ranks change. `kept` is a Map of earlier calls, by group key.
 */
export function assignColours(kept, keys) {
  for (const key of [...kept.keys()]) if (!keys.includes(key)) kept.delete(key);
  const taken = new Set(kept.values());
  let next = 0;
  for (const key of keys) {
    if (kept.has(key)) continue;
    while (taken.has(next)) next += 1;
    kept.set(key, next);
    taken.add(next);
  }
  return kept;
}
