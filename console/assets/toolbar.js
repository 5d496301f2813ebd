// The controls over the chart: which output, which range, how often, and how times and colours are shown.
import { html, useRef } from './dom.js';
import { dateTime, clock, day, duration, zoneName } from './format.js';
import { RANGES, REFRESHES } from './state.js';
import { visible } from './text.js';

/** A row of buttons of which one is pressed. */
function Choice({ label, options, value, pick, test }) {
  return html`
    <div class="buttons" role="group" aria-label=${label} data-test=${test}>
      ${options.map(
        ([name, option]) => html`
        <button aria-pressed=${option === value} onClick=${() => pick(option)}>${name}</button>`,
      )}
    </div>`;
}

export function RangeControl({ state, change, back }) {
  const { zoom, zone } = state;
  if (!zoom) {
    return html`<${Choice} label="Range" test="ranges" options=${RANGES} value=${state.last}
      pick=${(last) => change({ last, window: null }, true)} />`;
  }
  const sameDay = day(zoom.from, zone) === day(zoom.to, zone);
  return html`
    <div class="zoomed" data-test="zoomed">
      <button onClick=${back} title="Undo the zoom">← back</button>
      <span>${dateTime(zoom.from, zone)} – ${sameDay ? clock(zoom.to, zone) : dateTime(zoom.to, zone)}
        <span class="muted"> ${duration(zoom.to - zoom.from)}</span></span>
      <button onClick=${() => change({ zoom: null, window: null }, true)}>
        latest ${RANGES.find(([, ms]) => ms === state.last)[0]}</button>
    </div>`;
}

export function RefreshControl({ state, change }) {
  return html`<span class="labelled">refresh <${Choice} label="Refresh" test="refresh" options=${REFRESHES}
    value=${state.refresh}
    pick=${(refresh) => change({ refresh })} /></span>`;
}

export function ViewControl({ state, change }) {
  return html`<${Choice} label="View" test="view" options=${[
    ['chart', 'chart'],
    ['table', 'table'],
  ]} value=${state.view}
    pick=${(view) => change({ view })} />`;
}

/** Time zone and theme: how, not what. */
export function Preferences({ state, change }) {
  const theme = (value) => {
    applyTheme(value);
    change({ theme: value });
  };
  const now = Date.now();
  return html`
    <${Choice} label="Time zone" test="zone" options=${[
      [zoneName('local', now) === 'UTC' ? 'local' : zoneName('local', now), 'local'],
      ['UTC', 'utc'],
    ]}
      value=${state.zone} pick=${(zone) => change({ zone })} />
    <${Choice} label="Theme" test="theme" options=${[
      ['auto', null],
      ['light', 'light'],
      ['dark', 'dark'],
    ]} value=${state.theme} pick=${theme} />`;
}

/** Puts a theme in force and remembers it for other pages; null follows the system. */
export function applyTheme(theme) {
  if (theme) document.documentElement.dataset.theme = theme;
  else delete document.documentElement.dataset.theme;
  try {
    if (theme) localStorage.setItem('sunfire-theme', theme);
    else localStorage.removeItem('sunfire-theme');
  } catch {
    // Storage may be forbidden; the URL still says it.
  }
}

/** Outputs as tabs; `cpu.util`, `cpu.user`, … stand together under their common beginning. */
export function Outputs({ outputs, chosen, choose }) {
  const list = useRef(null);
  const onKeyDown = (event) => {
    const step = { ArrowRight: 1, ArrowLeft: -1 }[event.key];
    if (!step) return;
    event.preventDefault();
    const next = outputs[(outputs.indexOf(chosen) + step + outputs.length) % outputs.length];
    choose(next);
    [...list.current.querySelectorAll('[role=tab]')].find((tab) => tab.dataset.output === next)?.focus();
  };
  return html`
    <div class="outputs" role="tablist" aria-label="Outputs" ref=${list} onKeyDown=${onKeyDown} data-test="outputs">
      ${byPrefix(outputs).map(
        ({ prefix, names }) => html`
        <span class="family" role="presentation" key=${prefix ?? names[0]}>
          ${prefix !== null && html`<span class="prefix" role="presentation">${visible(prefix)}</span>`}
          ${names.map(
            (name) => html`
            <button role="tab" data-output=${name} aria-selected=${name === chosen} aria-controls="panel"
              aria-label=${name} tabindex=${name === chosen ? 0 : -1} onClick=${() => choose(name)}>
              ${visible(prefix === null ? name : name.slice(prefix.length + 1))}</button>`,
          )}
        </span>`,
      )}
    </div>`;
}

/** Neighbours with the same word before their first point are a family; a name without one stands alone. */
export function byPrefix(outputs) {
  const families = [];
  for (const name of outputs) {
    const dot = name.indexOf('.');
    const prefix = dot > 0 ? name.slice(0, dot) : null;
    const last = families.at(-1);
    if (last && last.prefix === prefix) last.names.push(name);
    else families.push({ prefix, names: [name] });
  }
  return families;
}
