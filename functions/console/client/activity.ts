/** The newest thing that was asked of a workload: its steps live, what came of it, and the way back. */
import { isOver } from '../../../db/intent-state.ts';
import { INTENT_STEPS } from '../../../db/intent-steps.ts';
import type { IntentAnswer, WorkloadAnswer } from '../../cli/client/wire.ts';
import type { Dictionary } from '../i18n/en.ts';
import { el, ICONS, icon } from './dom.ts';
import type { LiveIntent, LiveStep } from './live.ts';
import { type Actions, type Model, may } from './model.ts';
import { problemWords } from './problem.ts';

/** The workload's containers are stopped from the first of these until the end of the last. */
const STOPPED_STEPS: ReadonlySet<string> = new Set(['quiesce', 'swap', 'redeploy']);
/** Kinds whose steps are worth a list. */
const STEPPED: ReadonlySet<string> = new Set(['restore', 'undo', 'capture', 'deploy']);

export function activityPanel(
  model: Model,
  workload: WorkloadAnswer,
  actions: Actions,
  undoId: string | undefined,
): HTMLElement | null {
  const { live, t, f } = model;
  if (live === undefined) return null;
  const { intent } = live;
  const heading = el(
    'header',
    { class: 'activity-head' },
    el('h3', { id: 'activity-title', tabindex: '-1', 'data-key': 'activity' }, t.kinds[intent.kind]),
    badge(t, intent),
    el(
      'span',
      { class: 'muted' },
      el('time', { datetime: intent.createdAt, title: f.time(intent.createdAt) }, f.ago(intent.createdAt)),
      ` · ${t.requestedBy(intent.requestedBy)}`,
    ),
    cancelButton(model, intent, actions),
  );
  return el(
    'section',
    {
      class: `card activity is-${intent.state}`,
      'aria-labelledby': 'activity-title',
      'data-intent': intent.id,
      'data-state': intent.state,
    },
    heading,
    t.stateTexts[intent.state] !== '' && el('p', { class: 'state-text' }, t.stateTexts[intent.state]),
    !live.connected && el('p', { class: 'state-text warn', role: 'status' }, t.connectionLost),
    errorBox(t, intent),
    resultBox(model, workload, intent, actions, undoId),
    STEPPED.has(intent.kind) && stepList(model, live),
    ...live.warnings.map((warning) => el('p', { class: 'state-text warn', lang: 'en' }, icon(ICONS.alert), warning)),
  );
}

export function badge(t: Dictionary, intent: IntentAnswer): HTMLElement {
  const wanted = intent.cancelRequestedAt !== null && !isOver(intent.state);
  return el('span', { class: `badge is-${intent.state}` }, wanted ? t.cancelling : t.states[intent.state]);
}

function cancelButton(model: Model, intent: IntentAnswer, actions: Actions): HTMLElement | null {
  const { t } = model;
  if (isOver(intent.state) || intent.committedAt !== null || !may(model, 'restores:create')) return null;
  const asked = intent.cancelRequestedAt !== null;
  return el(
    'button',
    {
      type: 'button',
      class: 'button small push',
      disabled: asked,
      title: t.cancelHint,
      'data-key': 'cancel',
      click: () => actions.cancel(intent),
    },
    asked ? t.cancelling : t.cancelIntent,
  );
}

function errorBox(t: Dictionary, intent: IntentAnswer): HTMLElement | null {
  const { error } = intent;
  if (error === null || intent.state === 'cancelled') return null;
  const { title, hint } = problemWords(t, error);
  const step = error.step === undefined ? '' : ` · ${stepName(t, error.step)}`;
  return el(
    'div',
    { class: 'problem', role: 'alert' },
    icon(ICONS.alert),
    el(
      'div',
      {},
      title !== t.problemOther && el('p', { class: 'problem-title' }, title),
      el('p', { class: 'problem-detail', lang: 'en' }, error.message),
      hint !== '' && el('p', { class: 'problem-hint' }, el('strong', {}, `${t.hint}: `), hint),
      el('p', { class: 'problem-code' }, `${error.code}${step}`),
    ),
  );
}

function resultBox(
  model: Model,
  workload: WorkloadAnswer,
  intent: IntentAnswer,
  actions: Actions,
  undoId: string | undefined,
): HTMLElement | null {
  const { t, f } = model;
  const { result } = intent;
  if (intent.state !== 'succeeded' || result === null) return null;
  const facts: [string, Node | string][] = [];
  if (result.downtimeMs !== undefined && intent.kind !== 'deploy') {
    facts.push([
      t.downtime,
      el(
        'strong',
        { class: 'figure', id: 'downtime' },
        result.downtimeMs === 0 ? t.downtimeNone : f.duration(result.downtimeMs),
      ),
    ]);
  }
  if (result.bytes !== undefined)
    facts.push([
      t.size,
      `${f.bytes(result.bytes)}${result.entries === undefined ? '' : ` · ${t.entries(result.entries)}`}`,
    ]);
  if (result.imageId !== undefined && intent.kind !== 'capture')
    facts.push([t.sameImage, el('code', { title: result.imageId }, result.imageId.slice(7, 19))]);
  if (result.preRestoreSnapshotId !== undefined) facts.push([t.previousState, t.previousStateKept]);
  const canUndo = intent.id === undoId && may(model, 'restores:create');
  const until = result.undoUntil;
  const skipped = result.skipped ?? [];
  return el(
    'div',
    { class: 'result' },
    facts.length > 0 &&
      el(
        'dl',
        { class: 'result-facts' },
        ...facts.map(([name, value]) => el('div', {}, el('dt', {}, name), el('dd', {}, value))),
      ),
    canUndo &&
      el(
        'div',
        { class: 'undo' },
        el(
          'button',
          { type: 'button', class: 'button', 'data-key': 'undo', click: () => actions.undo(workload, intent) },
          icon(ICONS.back),
          t.undo,
        ),
        until !== undefined && el('span', { class: 'muted' }, t.undoUntil(f.time(until))),
      ),
    skipped.length > 0 &&
      el(
        'details',
        { class: 'skipped' },
        el('summary', {}, t.skipped(skipped.length)),
        el(
          'ul',
          {},
          ...skipped
            .slice(0, 200)
            .map((each) => el('li', {}, el('code', {}, `${each.volume ?? ''}/${each.path}`), ` ${each.reason}`)),
        ),
      ),
    ...(result.warnings ?? []).map((warning) =>
      el('p', { class: 'state-text warn', lang: 'en' }, icon(ICONS.alert), warning),
    ),
  );
}

type ShownStep = Omit<LiveStep, 'status'> & { readonly status: LiveStep['status'] | 'waiting' };

/** Steps as they are known, in the saga's order, with the ones that are still to come while it goes on. */
function shownSteps(live: LiveIntent): ShownStep[] {
  const { intent } = live;
  const known = new Map<string, ShownStep>(live.steps.map((step) => [step.name, step]));
  for (const { name, ms } of intent.result?.steps ?? []) {
    const status = known.get(name)?.status ?? 'done';
    known.set(name, { name, status: status === 'started' ? 'done' : status, startedAt: undefined, ms });
  }
  const order: string[] = [...INTENT_STEPS[intent.kind]];
  for (const name of known.keys()) if (!order.includes(name)) order.push(name);
  const going = !isOver(intent.state);
  const last = order.findLastIndex((name) => known.has(name));
  return order.flatMap((name, index) => {
    const step = known.get(name);
    if (step !== undefined) return [step];
    // What was passed over, or never reached, says nothing.
    return going && index > last ? [{ name, status: 'waiting' as const, startedAt: undefined, ms: undefined }] : [];
  });
}

function stepList(model: Model, live: LiveIntent): HTMLElement | null {
  const { t } = model;
  const steps = shownSteps(live);
  if (steps.length === 0) return null;
  const replaces = live.intent.kind === 'restore' || live.intent.kind === 'undo';
  return el(
    'ol',
    { class: 'steps' },
    ...steps.map((step) => stepItem(model, live, step, replaces && STOPPED_STEPS.has(step.name), t)),
  );
}

const STEP_ICONS = {
  waiting: ICONS.dot,
  started: '',
  done: ICONS.check,
  failed: ICONS.cross,
  undone: ICONS.back,
} as const;

function stepItem({ f }: Model, live: LiveIntent, step: ShownStep, stopped: boolean, t: Dictionary): HTMLElement {
  const { progress } = live.intent;
  const running = step.status === 'started' && !isOver(live.intent.state);
  const measured = running && live.intent.step === step.name && progress !== null && progress.bytesTotal > 0;
  return el(
    'li',
    {
      class: `step is-${step.status}${stopped ? ' stopped' : ''}`,
      'data-step': step.name,
      'data-status': step.status,
      'aria-current': running ? 'step' : undefined,
    },
    running ? el('span', { class: 'spinner', 'aria-hidden': 'true' }) : icon(STEP_ICONS[step.status] || ICONS.dot),
    el('span', { class: 'step-name' }, stepName(t, step.name)),
    el('span', { class: 'visually-hidden' }, t.stepStates[step.status]),
    stopped && step.name === 'quiesce' && el('span', { class: 'step-note' }, t.stoppedSpan),
    measured &&
      el(
        'span',
        { class: 'step-progress' },
        el('progress', { max: progress.bytesTotal, value: progress.bytesDone, 'aria-label': stepName(t, step.name) }),
        el('span', { class: 'muted' }, t.progressOf(f.bytes(progress.bytesDone), f.bytes(progress.bytesTotal))),
      ),
    el('span', { class: 'step-time' }, step.ms === undefined ? '' : f.duration(step.ms)),
  );
}

function stepName(t: Dictionary, name: string): string {
  return Object.hasOwn(t.steps, name) ? t.steps[name as keyof Dictionary['steps']] : name.replaceAll('_', ' ');
}
