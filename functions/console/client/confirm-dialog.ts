/**
 * The danger dialog of restore and undo: says what will happen, shows what the host's own checks say, and lets go only of
 * a name that was typed in exactly. Where the server wants a fresh proof, it asks for the passkey and goes on.
 *
 * Guarantees: one click, one request, however fast the clicks; while it is under way the dialog cannot be left.
 */
import type { IntentAnswer, WorkloadAnswer } from '../../cli/client/wire.ts';
import type { Dictionary } from '../i18n/en.ts';
import { request } from './api.ts';
import { el, focusKey, ICONS, icon, show } from './dom.ts';
import type { Model } from './model.ts';
import { planPanel } from './plan-panel.ts';
import { type Problem, problemBox, toProblem } from './problem.ts';
import { proofButton, withProof } from './proof.ts';

export interface Danger {
  readonly title: string;
  /** Sentences: what is replaced, what is stopped, what is kept. */
  readonly facts: readonly string[];
  readonly button: string;
  /** POST here with the confirmation. */
  readonly path: string;
  /** POST here for the host's checks; undefined where there are none to ask for. */
  readonly planPath: string | undefined;
}

/** @param started what was accepted; @param showOther leave for the intent that is in the way */
export function openDanger(
  model: Model,
  workload: WorkloadAnswer,
  danger: Danger,
  started: (intent: IntentAnswer) => void,
  showOther: (intentId: string) => void,
): void {
  const { t } = model;
  let busy = false;
  const errors = el('div', { class: 'dialog-errors' });
  const field = nameField(t, workload.name, () => setBusy(busy));
  const confirm = el('button', { type: 'submit', class: 'button danger', disabled: true }, danger.button);
  const leave = el('button', { type: 'button', class: 'button', click: () => dialog.close() }, t.cancel);
  const plan = danger.planPath === undefined ? undefined : planPanel(model, danger.planPath);
  const ask = asker(danger.path, workload.name);

  const setBusy = (now: boolean) => {
    busy = now;
    field.input.readOnly = now;
    dialog.setAttribute('closedby', now ? 'none' : 'closerequest');
    leave.disabled = now;
    confirm.disabled = now || !field.matches();
    confirm.setAttribute('aria-busy', String(now));
    confirm.textContent = now ? t.dialog.busy : danger.button;
    // A disabled button cannot keep the focus, and the keyboard must stay within.
    if (now) dialog.focus();
  };
  const submit = async (event: Event) => {
    event.preventDefault();
    if (busy || !field.matches()) return;
    setBusy(true);
    show(errors);
    try {
      const intent = await withProof(model.session, ask, () => {
        confirm.textContent = t.who.proofTitle;
      });
      opener = undefined;
      dialog.close();
      started(intent);
    } catch (thrown) {
      setBusy(false);
      const problem = toProblem(thrown);
      show(errors, problemBox(t, problem, otherButton(problem) ?? proofButton(t, problem.code)));
      confirm.focus();
    }
  };
  const otherButton = ({ intentId }: Problem) => {
    if (intentId === undefined) return undefined;
    const leaveForOther = () => {
      opener = undefined;
      dialog.close();
      showOther(intentId);
    };
    return el('button', { type: 'button', class: 'button small', click: leaveForOther }, t.dialog.showOther);
  };

  const dialog = el(
    'dialog',
    { class: 'danger-dialog', tabindex: '-1', 'aria-labelledby': 'danger-title', 'aria-describedby': 'danger-facts' },
    el(
      'form',
      { method: 'dialog', submit: (event) => void submit(event) },
      el('h2', { id: 'danger-title' }, icon(ICONS.alert, 'danger-icon'), danger.title),
      el('ul', { id: 'danger-facts', class: 'facts' }, ...danger.facts.map((fact) => el('li', {}, fact))),
      plan?.element,
      field.element,
      errors,
      el('div', { class: 'dialog-actions' }, leave, confirm),
    ),
  );
  let opener = document.activeElement instanceof HTMLElement ? document.activeElement.dataset['key'] : undefined;
  keepOpenWhile(dialog, () => busy);
  dialog.addEventListener('close', () => {
    plan?.stop();
    dialog.remove();
    focusKey(opener);
  });
  document.body.append(dialog);
  dialog.showModal();
  field.input.focus();
}

/** Sends the request. The same key again only if no answer came: then it may have been carried out. */
function asker(path: string, name: string): () => Promise<IntentAnswer> {
  let key = crypto.randomUUID();
  return async () => {
    try {
      return await request<IntentAnswer>('POST', path, { 'x-confirm-restore': name, 'idempotency-key': key }, {});
    } catch (thrown) {
      if (toProblem(thrown).code !== 'NETWORK') key = crypto.randomUUID();
      throw thrown;
    }
  };
}

/** Escape does nothing while it is busy. */
function keepOpenWhile(dialog: HTMLDialogElement, busy: () => boolean): void {
  // `cancel` can be prevented once in a row only; the key itself can be held back every time, wherever the focus is.
  const hold = (event: KeyboardEvent) => {
    if (busy() && event.key === 'Escape') event.preventDefault();
  };
  document.addEventListener('keydown', hold, true);
  dialog.addEventListener('close', () => document.removeEventListener('keydown', hold, true));
  dialog.addEventListener('cancel', (event) => {
    if (busy()) event.preventDefault();
  });
}

interface NameField {
  readonly element: HTMLElement;
  readonly input: HTMLInputElement;
  matches(): boolean;
}

function nameField(t: Dictionary, name: string, changed: () => void): NameField {
  const input = el('input', {
    id: 'confirm-name',
    type: 'text',
    autocomplete: 'off',
    autocapitalize: 'off',
    spellcheck: 'false',
    required: true,
    'aria-describedby': 'confirm-note',
  });
  const note = el('p', { id: 'confirm-note', class: 'field-note', 'aria-live': 'polite' });
  input.addEventListener('input', () => {
    note.textContent = name.startsWith(input.value) ? '' : t.dialog.confirmMismatch;
    changed();
  });
  const word = el('code', { class: 'confirm-word' }, name);
  const label = el('label', { for: 'confirm-name' }, t.dialog.confirmLabel, ' ', word);
  return { element: el('div', { class: 'field' }, label, input, note), input, matches: () => input.value === name };
}
