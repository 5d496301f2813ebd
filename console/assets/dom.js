// The one door to Preact and htm: components import from here, so that replacing either touches one file.
import { h, render, Fragment } from './vendor/preact.js';
import htm from './vendor/htm.js';

export { render, Fragment };
export { useState, useEffect, useLayoutEffect, useRef, useMemo, useCallback } from './vendor/preact-hooks.js';
export const html = htm.bind(h);
