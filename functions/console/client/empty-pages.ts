/** What stands in the place of workloads when there are none. */
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
