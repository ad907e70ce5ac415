/** The list of workloads, with a filter. */
import { el, show } from './dom.ts';
import type { Model } from './model.ts';

/** @param filtered the filter's text changed */
export function workloadList(model: Model, filtered: () => void): HTMLElement {
  const { t } = model;
  const list = el('ul', { class: 'workload-list' });
  const input = el('input', {
    type: 'search',
    class: 'filter',
    placeholder: t.filter,
    'aria-label': t.filter,
    value: model.filter,
    'data-key': 'filter',
    autocomplete: 'off',
  });
  input.addEventListener('input', () => {
    model.filter = input.value;
    fillList(model, list);
    filtered();
  });
  fillList(model, list);
  return el(
    'nav',
    { class: 'sidebar', 'aria-label': t.workloads },
    el('h2', {}, t.workloads),
    model.workloads.length > 6 && input,
    list,
  );
}

function fillList(model: Model, list: HTMLElement): void {
  const wanted = model.filter.trim().toLowerCase();
  const shown = model.workloads.filter((workload) =>
    [workload.name, workload.project, workload.config.image].some((text) => text.toLowerCase().includes(wanted)),
  );
  show(
    list,
    ...shown.map((workload) => {
      const health = healthOf(workload.containers);
      return el(
        'li',
        {},
        el(
          'a',
          {
            href: `#${encodeURIComponent(workload.name)}`,
            'aria-current': workload.id === model.selected?.id ? 'page' : undefined,
            'data-key': `workload-${workload.id}`,
          },
          el('span', { class: `light is-${health}`, 'aria-hidden': 'true' }),
          el('span', { class: 'workload-name' }, workload.name),
          el('span', { class: 'muted' }, workload.project),
        ),
      );
    }),
    shown.length === 0 && el('li', { class: 'muted' }, model.t.noMatches),
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
