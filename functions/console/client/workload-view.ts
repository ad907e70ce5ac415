/** One workload: what it is, what is going on, its snapshots, and what was asked of it before. */
import { EXCLUSIVE_KINDS, isOver } from '../../../db/intent-state.ts';
import type { IntentAnswer, SnapshotAnswer, WorkloadAnswer } from '../../cli/client/wire.ts';
import { activityPanel, badge } from './activity.ts';
import { el, ICONS, icon } from './dom.ts';
import { type Actions, type Model, may, undoable } from './model.ts';
import { healthOf } from './workload-list.ts';

/** An agent that was not seen for so long counts as away, in ms. */
const AWAY_MS = 90_000;

export function workloadView(model: Model, workload: WorkloadAnswer, actions: Actions): HTMLElement {
  const { t } = model;
  const underWay = intentsOf(model).find(
    (intent) => !isOver(intent.state) && (EXCLUSIVE_KINDS as readonly string[]).includes(intent.kind),
  );
  const isIdle = underWay === undefined;
  return el(
    'article',
    { class: 'workload', 'aria-labelledby': 'workload-title' },
    el(
      'header',
      { class: 'workload-head' },
      el('div', {}, el('h1', { id: 'workload-title' }, workload.name), factLine(model, workload)),
      el(
        'div',
        { class: 'buttons' },
        may(model, 'workloads:deploy') &&
          el(
            'button',
            {
              type: 'button',
              class: 'button',
              disabled: !isIdle,
              'data-key': 'deploy',
              click: () => actions.deploy(workload),
            },
            icon(ICONS.play),
            underWay?.kind === 'deploy' ? t.deploying : t.deployNow,
          ),
        may(model, 'snapshots:capture') &&
          el(
            'button',
            {
              type: 'button',
              class: 'button primary',
              disabled: !isIdle,
              'data-key': 'capture',
              click: () => actions.capture(workload),
            },
            icon(ICONS.camera),
            underWay?.kind === 'capture' ? t.capturing : t.captureNow,
          ),
      ),
    ),
    activityPanel(model, workload, actions, isIdle ? undoable(intentsOf(model))?.id : undefined),
    snapshotSection(model, workload, actions, isIdle),
    historySection(model),
  );
}

/** The list from the API, with the followed intent as the stream has it. */
function intentsOf({ intents, live }: Model): readonly IntentAnswer[] {
  if (live === undefined) return intents;
  const rest = intents.filter((intent) => intent.id !== live.intent.id);
  return intents.length === rest.length
    ? [live.intent, ...intents]
    : intents.map((intent) => (intent.id === live.intent.id ? live.intent : intent));
}

function factLine({ t, f, hosts }: Model, workload: WorkloadAnswer): HTMLElement {
  const host = hosts.find((each) => each.id === workload.hostId);
  const seen = host?.agentSeenAt ?? null;
  const away = seen === null || Date.now() - Date.parse(seen) > AWAY_MS;
  const agent =
    seen === null ? t.hostNeverSeen : away ? `${t.hostAway}, ${t.hostSeen(f.ago(seen))}` : t.hostSeen(f.ago(seen));
  const facts: [string, Node | string][] = [
    [
      t.host,
      el(
        'span',
        { class: away && host !== undefined ? 'warn' : '', title: host === undefined ? undefined : agent },
        host?.name ?? '–',
        away && host !== undefined && ` (${agent})`,
      ),
    ],
    [t.image, el('code', {}, workload.config.image)],
    [t.project, `${workload.project} / ${workload.config.stage}`],
    [t.volumes, workload.config.volumes.map((volume) => volume.name).join(', ') || '–'],
    [
      t.containers,
      el(
        'span',
        {},
        el('span', { class: `light is-${healthOf(workload.containers)}`, 'aria-hidden': 'true' }),
        workload.containers
          .map(
            (container) =>
              `${container.name}: ${container.health === null || container.health === 'none' ? container.state : container.health}`,
          )
          .join(', ') || '–',
      ),
    ],
  ];
  return el(
    'dl',
    { class: 'fact-line' },
    ...facts.map(([name, value]) => el('div', {}, el('dt', {}, name), el('dd', {}, value))),
  );
}

function snapshotSection(model: Model, workload: WorkloadAnswer, actions: Actions, isIdle: boolean): HTMLElement {
  const { t, snapshots } = model;
  const columns = [t.captured, t.kind, t.size, t.image];
  return el(
    'section',
    { class: 'card', 'aria-labelledby': 'snapshots-title' },
    el(
      'header',
      { class: 'card-head' },
      el('h2', { id: 'snapshots-title' }, t.snapshots),
      el('span', { class: 'muted' }, snapshots.length === 0 ? '' : t.snapshotCount(snapshots.length)),
    ),
    snapshots.length === 0
      ? el(
          'div',
          { class: 'empty' },
          el('p', {}, el('strong', {}, t.noSnapshots)),
          el('p', { class: 'muted' }, t.noSnapshotsText),
        )
      : el(
          'table',
          { class: 'snapshots' },
          el(
            'thead',
            {},
            el(
              'tr',
              {},
              ...columns.map((column) => el('th', { scope: 'col' }, column)),
              el('th', { scope: 'col' }, el('span', { class: 'visually-hidden' }, t.actions)),
            ),
          ),
          el('tbody', {}, ...snapshots.map((snapshot) => snapshotRow(model, workload, snapshot, actions, isIdle))),
        ),
  );
}

function snapshotRow(
  model: Model,
  workload: WorkloadAnswer,
  snapshot: SnapshotAnswer,
  actions: Actions,
  isIdle: boolean,
): HTMLElement {
  const { t, f } = model;
  const when = f.time(snapshot.capturedAt);
  const same = snapshot.contentBytes === snapshot.archiveBytes;
  return el(
    'tr',
    { 'data-snapshot': snapshot.id },
    el(
      'td',
      { 'data-label': t.captured },
      el('time', { datetime: snapshot.capturedAt }, when),
      el('span', { class: 'sub' }, f.ago(snapshot.capturedAt)),
    ),
    el(
      'td',
      { 'data-label': t.kind },
      el('span', { class: `chip is-${snapshot.kind}` }, t.snapshotKinds[snapshot.kind]),
    ),
    el(
      'td',
      { 'data-label': t.size },
      f.bytes(snapshot.contentBytes),
      !same && el('span', { class: 'sub' }, `${f.bytes(snapshot.archiveBytes)} · ${t.entries(snapshot.entries)}`),
    ),
    el('td', { 'data-label': t.image }, el('code', { title: snapshot.imageId }, snapshot.image)),
    el(
      'td',
      { class: 'row-actions' },
      may(model, 'restores:create') &&
        el(
          'button',
          {
            type: 'button',
            class: 'button small',
            disabled: !isIdle,
            'aria-label': t.restoreLabel(when),
            'data-key': `restore-${snapshot.id}`,
            click: () => actions.restore(workload, snapshot),
          },
          t.restore,
        ),
    ),
  );
}

function historySection(model: Model): HTMLElement | null {
  const { t, f, live } = model;
  const earlier = intentsOf(model).filter((intent) => intent.id !== live?.intent.id);
  if (earlier.length === 0 && live !== undefined) return null;
  return el(
    'section',
    { class: 'card', 'aria-labelledby': 'history-title' },
    el('header', { class: 'card-head' }, el('h2', { id: 'history-title' }, t.earlier)),
    earlier.length === 0
      ? el('div', { class: 'empty' }, el('p', { class: 'muted' }, t.noActivity))
      : el(
          'ul',
          { class: 'history' },
          ...earlier.map((intent) =>
            el(
              'li',
              {},
              el('span', { class: 'history-kind' }, t.kinds[intent.kind]),
              badge(t, intent),
              el(
                'span',
                { class: 'muted history-what' },
                intent.error === null ? downtimeText(model, intent) : intent.error.message,
              ),
              el(
                'time',
                {
                  class: 'muted',
                  datetime: intent.createdAt,
                  title: `${f.time(intent.createdAt)} · ${t.requestedBy(intent.requestedBy)}`,
                },
                f.ago(intent.createdAt),
              ),
            ),
          ),
        ),
  );
}

function downtimeText({ t, f }: Model, intent: IntentAnswer): string {
  const ms = intent.result?.downtimeMs;
  return ms === undefined || intent.kind === 'deploy' ? '' : `${t.downtime} ${f.duration(ms)}`;
}
