/**
 * Elements from data, and a page that is brought up to date in place.
 *
 * Guarantees: text is always text: nothing here, or anywhere in the console, parses HTML. An element that stays what it is
 * stays the same element, so that a refresh takes away neither focus nor a click that is half done.
 */

type Child = Node | string | number | false | null | undefined;
type Listener = (event: Event) => void;
/** What an element listens to now; the newest drawing decides. */
const listeners = new WeakMap<Element, Map<string, Listener>>();
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
    if (typeof value === 'function') listen(element, name, value);
    else if (value === true) element.setAttribute(name, '');
    else if (value !== undefined && value !== false) element.setAttribute(name, String(value));
  }
  append(element, children);
  return element;
}

function listen(element: Element, type: string, listener: Listener): void {
  const own = listeners.get(element) ?? new Map<string, Listener>();
  listeners.set(element, own.set(type, listener));
  element.addEventListener(type, (event) => listeners.get(element)?.get(type)?.(event));
}

function append(parent: Element, children: readonly Child[]): void {
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

/** Makes a container show this, and changes only what differs. */
export function show(container: Element, ...children: readonly Child[]): void {
  const next = container.cloneNode(false) as Element;
  append(next, children);
  updateChildren(container, next);
}

/** What an element is, beyond its tag: those that differ in it never become one another. */
function identity(node: Node): string {
  if (!(node instanceof Element)) return node.nodeName;
  const { key, snapshot, step, intent } = node instanceof HTMLElement ? node.dataset : {};
  return [node.nodeName, key, snapshot, step, intent, node.id, [...(listeners.get(node)?.keys() ?? [])].join()].join(
    ' ',
  );
}

function updateChildren(current: Element, next: Element): void {
  let place = current.firstChild;
  for (const wanted of [...next.childNodes]) {
    const match = nextMatching(place, wanted);
    if (match === null) {
      current.insertBefore(wanted, place);
      continue;
    }
    // What stands before the match is looked for by later ones, or removed at the end.
    if (match === place) place = place.nextSibling;
    else current.insertBefore(match, place);
    update(match, wanted);
  }
  while (place !== null) {
    const rest: ChildNode | null = place.nextSibling;
    place.remove();
    place = rest;
  }
}

function nextMatching(from: ChildNode | null, wanted: Node): ChildNode | null {
  const wantedIdentity = identity(wanted);
  for (let node = from; node !== null; node = node.nextSibling) if (identity(node) === wantedIdentity) return node;
  return null;
}

function update(current: ChildNode, next: Node): void {
  if (!(current instanceof Element) || !(next instanceof Element)) {
    if (current.nodeValue !== next.nodeValue) current.nodeValue = next.nodeValue;
    return;
  }
  const own = listeners.get(next);
  if (own !== undefined) listeners.set(current, own);
  for (const name of current.getAttributeNames()) {
    // Whether details are open is the reader's choice.
    if (name !== 'open' && !next.hasAttribute(name)) current.removeAttribute(name);
  }
  for (const name of next.getAttributeNames()) {
    const value = next.getAttribute(name) ?? '';
    if (current.getAttribute(name) !== value) current.setAttribute(name, value);
  }
  updateChildren(current, next);
}

/** Focuses the element with this `data-key`, if there is one. */
export function focusKey(key: string | undefined, within: ParentNode = document): void {
  if (key === undefined) return;
  const found = [...within.querySelectorAll<HTMLElement>('[data-key]')].find(
    (candidate) => candidate.dataset['key'] === key,
  );
  found?.focus({ preventScroll: true });
}
