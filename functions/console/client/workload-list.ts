/** The list of workloads, with a filter. */
import type { WorkloadAnswer } from '../../cli/client/wire.ts';
import { el } from './dom.ts';
import type { Model } from './model.ts';

/** So many fit on a screen; from here on a filter helps. */
const FILTER_FROM = 7;

/** @param filtered the filter's text changed */
export function workloadList(model: Model, filtered: (text: string) => void): HTMLElement {
  const { t } = model;
  const input = el('input', {
    type: 'search',
    class: 'filter',
    placeholder: t.filter,
    'aria-label': t.filter,
    'data-key': 'filter',
    autocomplete: 'off',
    input: (event) => event.target instanceof HTMLInputElement && filtered(event.target.value),
  });
  const wanted = model.filter.trim().toLowerCase();
  const shown = model.workloads.filter(({ name, project, config }) =>
    [name, project, config.image].some((text) => text.toLowerCase().includes(wanted)),
  );
  return el(
    'nav',
    { class: 'sidebar', 'aria-label': t.workloads },
    el('h2', {}, t.workloads),
    model.workloads.length > FILTER_FROM && input,
    el(
      'ul',
      { class: 'workload-list' },
      ...shown.map((workload) => workloadItem(model, workload)),
      shown.length === 0 && el('li', { class: 'muted' }, t.noMatches),
    ),
  );
}

function workloadItem(model: Model, workload: WorkloadAnswer): HTMLElement {
  return el(
    'li',
    { 'data-key': `item-${workload.id}` },
    el(
      'a',
      {
        href: `#${encodeURIComponent(workload.name)}`,
        'aria-current': workload.id === model.selected?.id ? 'page' : undefined,
        'data-key': `workload-${workload.id}`,
      },
      el('span', { class: `light is-${healthOf(workload.containers)}`, 'aria-hidden': 'true' }),
      el('span', { class: 'workload-name' }, workload.name),
      el('span', { class: 'muted' }, workload.project),
    ),
  );
}

/** One light for all containers of a workload. */
export function healthOf(containers: Model['workloads'][number]['containers']): 'none' | 'good' | 'bad' | 'waiting' {
  if (containers.length === 0) return 'none';
  if (
    containers.some(
      (container) =>
        container.health === 'unhealthy' || !['running', 'created', 'restarting', 'paused'].includes(container.state),
    )
  )
    return 'bad';
  if (containers.every((container) => container.state === 'running' && container.health !== 'starting')) return 'good';
  return 'waiting';
}
