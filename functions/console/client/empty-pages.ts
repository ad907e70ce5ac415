/** What stands in the place of workloads when there are none, or nobody is signed in. */
import type { Dictionary } from '../i18n/en.ts';
import { el } from './dom.ts';

export function noWorkloads(t: Dictionary): HTMLElement {
  return el(
    'div',
    { class: 'empty big' },
    el('h1', {}, t.noWorkloads),
    el('p', { class: 'muted' }, t.noWorkloadsText),
    el('pre', {}, el('code', {}, 'refloat workload apply workload.yaml')),
  );
}

/** @param reason why, if it was otherwise a moment ago */
export function signInCard(t: Dictionary, reason: string | undefined): HTMLElement {
  const logo = document.querySelector<HTMLLinkElement>('link[rel=icon]')?.href;
  return el(
    'section',
    { class: 'sign-in card' },
    el('img', { src: logo, alt: '', width: 56, height: 56 }),
    el('h1', {}, t.signInTitle),
    reason !== undefined && el('p', { class: 'warn' }, reason),
    el('p', {}, t.signInText),
    el('p', { class: 'muted' }, t.signInCommand),
    el('pre', {}, el('code', {}, 'refloat sign-in-link')),
  );
}
