/** The console's script: signs in or loads, keeps the page up to date, and carries out what is clicked. */
import { INTENT_KINDS, isOver } from '../../../db/intent-state.ts';
import type { HostAnswer, IntentAnswer, SnapshotAnswer, WorkloadAnswer } from '../../cli/client/wire.ts';
import { DICTIONARIES, isLanguage } from '../i18n/languages.ts';
import { accountPage } from './account-page.ts';
import { request, requestAll } from './api.ts';
import { openDanger } from './confirm-dialog.ts';
import { restoreDanger, undoDanger } from './dangers.ts';
import { el, focusKey, show } from './dom.ts';
import { noWorkloads } from './empty-pages.ts';
import { formatFor } from './format.ts';
import { type Follower, followIntent } from './live.ts';
import type { Actions, Model, PageContext, Session } from './model.ts';
import { nudge } from './nudge.ts';
import { peoplePage } from './people-page.ts';
import { type Problem, problemBox, toProblem } from './problem.ts';
import { proofButton } from './proof.ts';
import { cameBackWith, signInCard } from './sign-in-card.ts';
import { topBar } from './top-bar.ts';
import { workloadList } from './workload-list.ts';
import { workloadView } from './workload-view.ts';

const REFRESH_MS = 5000;
/** The newest intents of a workload that are shown; a plan is shown where it was asked for. */
const HISTORY = 20;
const HISTORY_KINDS = INTENT_KINDS.filter((kind) => kind !== 'plan').join(',');

const language = isLanguage(document.documentElement.lang) ? document.documentElement.lang : 'en';
const t = DICTIONARIES[language];
const f = formatFor(language, t);
const app = required('app');
const account = required('account');
const notices = required('notices');
const announcer = required('announcer');

const model: Model = {
  t,
  f,
  session: { subject: '', scopes: [], projects: null, person: null },
  hosts: [],
  workloads: [],
  filter: '',
  selected: undefined,
  snapshots: [],
  intents: [],
  live: undefined,
};
let follower: Follower | undefined;
/** What is on the page, as text: the same is not drawn again. */
let drawn = '';
let timer: ReturnType<typeof setTimeout> | undefined;

function required(id: string): HTMLElement {
  const element = document.getElementById(id);
  if (element === null) throw new Error(`the page has no #${id}`);
  return element;
}

async function load(): Promise<void> {
  const [hosts, workloads] = await Promise.all([
    requestAll<HostAnswer>('/api/hosts', 'hosts'),
    requestAll<WorkloadAnswer>('/api/workloads', 'workloads'),
  ]);
  model.hosts = hosts;
  model.workloads = workloads;
  const wanted = wantedName();
  const selected = model.workloads.find((workload) => workload.name === wanted) ?? model.workloads[0];
  if (selected?.id !== model.selected?.id) forget();
  model.selected = selected;
  if (selected === undefined) return;
  const [snapshots, intents] = await Promise.all([
    requestAll<SnapshotAnswer>(`/api/workloads/${selected.id}/snapshots`, 'snapshots'),
    request<{ intents: IntentAnswer[] }>(
      'GET',
      `/api/intents?workloadId=${selected.id}&kind=${HISTORY_KINDS}&limit=${HISTORY}`,
    ),
  ]);
  // Meanwhile another one may have been chosen.
  if (model.selected?.id !== selected.id) return;
  model.snapshots = snapshots;
  model.intents = intents.intents;
  const newest = model.intents.find((intent) => !isOver(intent.state)) ?? model.intents[0];
  if (newest !== undefined && newest.id !== follower?.intentId) follow(newest);
}

/** The workload that the address names, if it can be read. */
function wantedName(): string {
  try {
    return decodeURIComponent(location.hash.slice(1));
  } catch {
    return '';
  }
}

function forget(): void {
  follower?.stop();
  follower = undefined;
  model.live = undefined;
  model.snapshots = [];
  model.intents = [];
}

function follow(intent: IntentAnswer): void {
  follower?.stop();
  let wasOver = isOver(intent.state);
  follower = followIntent(
    intent,
    (live) => {
      model.live = live;
      draw();
      const over = isOver(live.intent.state);
      // A finished capture has made a snapshot, and containers may have changed.
      if (over && !wasOver) void refresh();
      wasOver = over;
    },
    refused,
  );
}

function draw(): void {
  const { hosts, workloads, selected, snapshots, intents, live, filter } = model;
  const now = JSON.stringify([
    hosts,
    workloads,
    selected?.id,
    snapshots,
    intents,
    live,
    filter,
    Math.floor(Date.now() / 30_000),
  ]);
  if (now === drawn) return;
  drawn = now;
  document.title = selected === undefined ? t.title : `${selected.name} · ${t.title}`;
  if (workloads.length === 0) {
    show(app, noWorkloads(t));
    return;
  }
  const view =
    selected === undefined ? el('p', { class: 'empty' }, t.chooseWorkload) : workloadView(model, selected, actions);
  show(app, el('div', { class: 'columns' }, workloadList(model, filtered), el('div', { class: 'detail' }, view)));
  announce();
}

function filtered(text: string): void {
  model.filter = text;
  draw();
}

/** For those who do not see the page: what goes on, whenever that changes. */
function announce(): void {
  const { live } = model;
  if (live === undefined) return;
  const { kind, state } = live.intent;
  const step = live.steps.findLast((each) => each.status === 'started');
  const known = step !== undefined && !isOver(state) && Object.hasOwn(t.steps, step.name);
  const what = known ? t.steps[step.name as keyof typeof t.steps] : t.states[state];
  const text = `${t.kinds[kind]}: ${what}`;
  if (announcer.textContent !== text) announcer.textContent = text;
}

async function refresh(): Promise<void> {
  clearTimeout(timer);
  try {
    await load();
    show(notices);
    draw();
  } catch (thrown) {
    const problem = toProblem(thrown);
    if (problem.status === 401) return refused(problem);
    show(notices, problem.code === 'NETWORK' ? el('p', { class: 'notice' }, t.offline) : problemBox(t, problem));
  }
  if (document.visibilityState === 'visible') timer = setTimeout(() => void refresh(), REFRESH_MS);
}

/** The API says that this is over: signed out, or not allowed. */
function refused(problem: Problem): void {
  if (problem.status === 401) signInNeeded(t.who.signInExpired);
  else show(notices, problemBox(t, problem));
}

function signInNeeded(reason: string | undefined): void {
  clearTimeout(timer);
  forget();
  drawn = '';
  show(account);
  show(notices);
  for (const dialog of document.querySelectorAll('dialog')) dialog.close();
  show(app, signInCard(t, reason));
}

function notify(thrown: unknown): void {
  const problem = toProblem(thrown);
  if (problem.status === 401) {
    refused(problem);
    return;
  }
  const dismiss = el('button', { type: 'button', class: 'button small', click: () => show(notices) }, t.dismiss);
  show(notices, problemBox(t, problem, proofButton(t, problem.code) ?? dismiss));
  if (problem.intentId !== undefined) void refresh();
}

/** Asks once; further clicks while it is under way do nothing. */
let asking = false;
async function ask(path: string): Promise<void> {
  if (asking) return;
  asking = true;
  try {
    accepted(await request<IntentAnswer>('POST', path, { 'idempotency-key': crypto.randomUUID() }, {}));
  } catch (thrown) {
    notify(thrown);
  } finally {
    asking = false;
  }
}

function accepted(intent: IntentAnswer): void {
  show(notices);
  follow(intent);
  void refresh();
  const title = document.getElementById('activity-title');
  title?.scrollIntoView({ block: 'nearest', behavior: 'smooth' });
  focusKey('activity');
}

const actions: Actions = {
  capture: (workload) => void ask(`/api/workloads/${workload.id}/snapshots`),
  deploy: (workload) => void ask(`/api/workloads/${workload.id}/deploy`),
  cancel: (intent) => void ask(`/api/intents/${intent.id}/cancel`),
  restore: (workload, snapshot) =>
    openDanger(model, workload, restoreDanger(model, workload, snapshot), accepted, showIntent),
  undo: (workload, intent) => openDanger(model, workload, undoDanger(model, workload, intent), accepted, showIntent),
};

function showIntent(intentId: string): void {
  void request<IntentAnswer>('GET', `/api/intents/${intentId}`).then(accepted).catch(notify);
}

const isHome = (): boolean => location.pathname === '/';

async function signOut(): Promise<void> {
  await request('DELETE', '/api/session').catch(notify);
  location.reload();
}

async function start(): Promise<void> {
  try {
    model.session = await request<Session>('GET', '/api/session');
  } catch (thrown) {
    const problem = toProblem(thrown);
    if (problem.status === 401) return signInNeeded(undefined);
    const again = el('button', { type: 'button', class: 'button', click: () => void start() }, t.retry);
    show(app, el('div', { class: 'empty big' }, problemBox(t, problem, again)));
    return;
  }
  const page: PageContext = { t, f, session: model.session, app, notify };
  show(account, ...topBar(page, () => void signOut()));
  const cameBack = cameBackWith();
  const other =
    location.pathname === '/account' ? accountPage : location.pathname === '/people' ? peoplePage : undefined;
  if (other !== undefined) await other(page).catch(notify);
  else {
    void nudge(page).catch(notify);
    await refresh();
  }
  if (cameBack !== undefined) notify(cameBack);
}

window.addEventListener('hashchange', () => {
  if (isHome()) void refresh();
});
document.addEventListener('visibilitychange', () => {
  if (document.visibilityState === 'visible' && model.session.subject !== '' && isHome()) void refresh();
});
void start();
