/** What the host's own checks say of a restore, inside the dialog; nothing waits for it. */
import { isOver } from '../../../db/intent-state.ts';
import type { RestorePlan } from '../../../db/results.ts';
import type { IntentAnswer } from '../../cli/client/wire.ts';
import { request } from './api.ts';
import { el, ICONS, icon, show } from './dom.ts';
import type { Model } from './model.ts';
import { problemBox, problemWords, toProblem } from './problem.ts';

const POLL_MS = 300;
/** After so many looks without an answer it says so, and goes on looking. */
const PATIENCE = 20;

export interface PlanPanel {
  readonly element: HTMLElement;
  stop(): void;
}

export function planPanel(model: Model, path: string): PlanPanel {
  const { t } = model;
  const words = t.dialog;
  const body = el('div', { class: 'plan-body' }, el('p', { class: 'plan-line busy' }, words.planRunning));
  const element = el('section', { class: 'plan', 'aria-live': 'polite', 'aria-label': words.planTitle }, body);
  let stopped = false;
  let timer: ReturnType<typeof setTimeout> | undefined;

  const look = async (id: string, looks: number) => {
    const intent = await request<IntentAnswer>('GET', `/api/intents/${id}`);
    if (stopped) return;
    if (isOver(intent.state)) return tell(intent);
    if (looks === PATIENCE) show(body, el('p', { class: 'plan-line' }, words.planWaiting));
    timer = setTimeout(() => void look(id, looks + 1).catch(fail), POLL_MS);
  };
  const tell = (intent: IntentAnswer) => {
    const plan = intent.result?.plan;
    if (plan === undefined)
      show(body, el('p', { class: 'plan-line bad' }, `${words.planFailed} ${intent.error?.message ?? ''}`));
    else show(body, ...planLines(model, plan));
  };
  const fail = (thrown: unknown) => {
    if (!stopped) show(body, problemBox(t, toProblem(thrown)));
  };
  void request<IntentAnswer>('POST', path, {}, {})
    .then((intent) => look(intent.id, 1))
    .catch(fail);
  return {
    element,
    stop: () => {
      stopped = true;
      clearTimeout(timer);
    },
  };
}

function planLines({ t, f }: Model, plan: RestorePlan): HTMLElement[] {
  const words = t.dialog;
  const lines: HTMLElement[] = [
    el(
      'p',
      { class: `plan-line ${plan.ok ? 'good' : 'bad'}` },
      icon(plan.ok ? ICONS.check : ICONS.cross),
      plan.ok ? words.planOk : words.planRefused,
    ),
  ];
  for (const refusal of plan.refusals) {
    const { hint } = problemWords(t, refusal);
    lines.push(el('p', { class: 'plan-detail' }, `${refusal.message}. `, el('span', { class: 'muted' }, hint)));
  }
  const active = plan.containers.filter((container) => container.state === 'running' || container.state === 'paused');
  if (plan.ok && active.length > 0)
    lines.push(el('p', { class: 'plan-detail' }, words.planStops(f.list(active.map((container) => container.name)))));
  if (plan.ok) {
    for (const system of plan.fileSystems) {
      lines.push(
        el(
          'p',
          { class: 'plan-detail' },
          `${words.planSpace(f.bytes(system.bytesNeeded), f.bytes(system.bytesFree))} · `,
          el('code', {}, system.mountPoint),
        ),
      );
    }
  }
  if (plan.ok) lines.push(...essentials({ t, f }, plan));
  for (const warning of plan.warnings) lines.push(el('p', { class: 'plan-detail warn', lang: 'en' }, warning));
  return lines;
}

/** What changes in each volume, and for how long the workload is down. */
function essentials({ t, f }: Pick<Model, 't' | 'f'>, plan: RestorePlan): HTMLElement[] {
  const words = t.dialog;
  const lines = plan.targets.flatMap(({ volume, difference }) => {
    if (difference === null) return [];
    const { added, changed, removed, complete } = difference;
    const counts = words.planChanges(f.number(added.count), f.number(changed.count), f.number(removed.count));
    return [
      el(
        'p',
        { class: 'plan-detail' },
        el('code', {}, volume),
        ` · ${counts}${complete ? '' : ` ${words.planNotAll}`}`,
      ),
    ];
  });
  const { estimateMs } = plan.downtime;
  if (estimateMs !== null && estimateMs > 0)
    lines.push(el('p', { class: 'plan-detail' }, words.planDowntime(f.duration(estimateMs))));
  return lines;
}
