/** Elements from data. Text is always text: nothing here, or anywhere in the console, parses HTML. */

type Child = Node | string | number | false | null | undefined;
type Listener = (event: Event) => void;
type Props = Readonly<Record<string, string | number | boolean | undefined | Listener>>;

/**
 * @param props attributes; `true` sets an empty one, `false` and `undefined` none; a function listens to the event of its
 * name without `on`
 */
export function el<Tag extends keyof HTMLElementTagNameMap>(
  tag: Tag,
  props: Props = {},
  ...children: readonly Child[]
): HTMLElementTagNameMap[Tag] {
  const element = document.createElement(tag);
  for (const [name, value] of Object.entries(props)) {
    if (typeof value === 'function') element.addEventListener(name.replace(/^on/, ''), value);
    else if (value === true) element.setAttribute(name, '');
    else if (value !== undefined && value !== false) element.setAttribute(name, String(value));
  }
  append(element, children);
  return element;
}

export function append(parent: Element, children: readonly Child[]): void {
  for (const child of children) {
    if (child === null || child === undefined || child === false) continue;
    parent.append(typeof child === 'number' ? String(child) : child);
  }
}

const SVG = 'http://www.w3.org/2000/svg';

/** A line drawing of 20 by 20, from path data; decoration, so hidden from assistive technology. */
export function icon(path: string, name = ''): SVGSVGElement {
  const svg = document.createElementNS(SVG, 'svg');
  svg.setAttribute('viewBox', '0 0 20 20');
  svg.setAttribute('class', `icon ${name}`.trim());
  svg.setAttribute('aria-hidden', 'true');
  const line = document.createElementNS(SVG, 'path');
  line.setAttribute('d', path);
  svg.append(line);
  return svg;
}

export const ICONS = {
  check: 'M4.5 10.5l3.7 3.7 7.3-8',
  cross: 'M5.5 5.5l9 9m0-9l-9 9',
  back: 'M8 5L4 9l4 4M4.5 9H12a4 4 0 0 1 0 8h-2',
  camera: 'M3 6.5h3l1.2-2h5.6l1.2 2h3v10H3zM10 14a2.8 2.8 0 1 0 0-5.600a2.8 2.8 0 0 0 0 5.600',
  play: 'M6.500 4.500l9 5.500-9 5.500z',
  alert: 'M10 3l8 14H2zM10 8.500v4M10 14.700v.1',
  host: 'M3 4h14v5H3zM3 11h14v5H3zM6 6.500h.1M6 13.500h.1',
  dot: 'M10 9.900v.2',
} as const;

/**
 * Replaces what a container shows, and puts the focus back on the element with the same `data-key`, so that a refresh does
 * not take it away from whoever uses the keyboard.
 */
export function show(container: Element, ...children: readonly Child[]): void {
  const focused = document.activeElement;
  const key = focused instanceof HTMLElement && container.contains(focused) ? focused.dataset['key'] : undefined;
  container.replaceChildren();
  append(container, children);
  focusKey(key, container);
}

/** Focuses the element with this `data-key`, if there is one. */
export function focusKey(key: string | undefined, within: ParentNode = document): void {
  if (key === undefined) return;
  const found = [...within.querySelectorAll<HTMLElement>('[data-key]')].find(
    (candidate) => candidate.dataset['key'] === key,
  );
  found?.focus({ preventScroll: true });
}
