/**
 * A dialog with a few fields that does one thing.
 *
 * Guarantees: one submit, one request; a refusal is shown inside and what was typed in stays.
 */
import type { Dictionary } from '../i18n/en.ts';
import { el, focusKey, show } from './dom.ts';
import { problemBox, toProblem } from './problem.ts';
import { proofButton } from './proof.ts';

export interface FormField {
  readonly name: string;
  readonly label: string;
  readonly value: string;
  /** Values with their words; a line of text unless given. */
  readonly options?: Readonly<Record<string, string>>;
  readonly hint?: string;
  readonly optional?: boolean;
}

export interface Form {
  readonly title: string;
  readonly texts?: readonly string[];
  readonly fields?: readonly FormField[];
  readonly button: string;
  readonly danger?: boolean;
}

/** @param work gets the fields' values by name; the dialog closes when it has succeeded */
export function openForm(
  t: Dictionary,
  form: Form,
  work: (values: ReadonlyMap<string, string>) => Promise<void>,
): void {
  const opener = document.activeElement instanceof HTMLElement ? document.activeElement.dataset['key'] : undefined;
  const errors = el('div', { class: 'dialog-errors' });
  const inputs = new Map((form.fields ?? []).map((field) => [field.name, inputOf(field)]));
  const submit = el(
    'button',
    { type: 'submit', class: `button ${form.danger === true ? 'danger' : 'primary'}` },
    form.button,
  );
  const leave = el('button', { type: 'button', class: 'button', click: () => dialog.close() }, t.cancel);
  let busy = false;
  const setBusy = (now: boolean) => {
    busy = now;
    submit.disabled = now;
    leave.disabled = now;
    submit.setAttribute('aria-busy', String(now));
  };
  const send = async (event: Event) => {
    event.preventDefault();
    if (busy) return;
    setBusy(true);
    show(errors);
    try {
      await work(new Map([...inputs].map(([name, input]) => [name, input.value])));
      dialog.close();
    } catch (thrown) {
      setBusy(false);
      const problem = toProblem(thrown);
      show(errors, problemBox(t, problem, proofButton(t, problem.code)));
      submit.focus();
    }
  };
  const dialog = el(
    'dialog',
    { class: 'danger-dialog', tabindex: '-1', 'aria-labelledby': 'form-title' },
    el(
      'form',
      { method: 'dialog', submit: (event) => void send(event) },
      el('h2', { id: 'form-title' }, form.title),
      ...(form.texts ?? []).map((text) => el('p', {}, text)),
      ...(form.fields ?? []).map((field) => fieldOf(field, inputs.get(field.name) ?? el('input'))),
      errors,
      el('div', { class: 'dialog-actions' }, leave, submit),
    ),
  );
  dialog.addEventListener('cancel', (event) => {
    if (busy) event.preventDefault();
  });
  dialog.addEventListener('close', () => {
    dialog.remove();
    focusKey(opener);
  });
  document.body.append(dialog);
  dialog.showModal();
  const [first] = inputs.values();
  (first ?? leave).focus();
}

function inputOf(field: FormField): HTMLInputElement | HTMLSelectElement {
  const id = `form-${field.name}`;
  const note = field.hint === undefined ? undefined : `${id}-note`;
  if (field.options === undefined) {
    const required = field.optional !== true;
    const input = el('input', {
      id,
      type: 'text',
      autocomplete: 'off',
      maxlength: 1000,
      required,
      'aria-describedby': note,
    });
    input.value = field.value;
    return input;
  }
  const choices = Object.entries(field.options).map(([value, text]) =>
    el('option', { value, selected: value === field.value }, text),
  );
  return el('select', { id, 'aria-describedby': note }, ...choices);
}

function fieldOf(field: FormField, input: HTMLElement): HTMLElement {
  const hint = field.hint !== undefined && el('p', { id: `form-${field.name}-note`, class: 'muted' }, field.hint);
  return el('div', { class: 'field' }, el('label', { for: `form-${field.name}` }, field.label), input, hint);
}
