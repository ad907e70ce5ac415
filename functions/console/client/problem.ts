/** A refused or failed request, and how it is shown: what is wrong, what the server says, what to do. */
import type { Dictionary } from '../i18n/en.ts';
import { el, ICONS, icon } from './dom.ts';

export class Problem extends Error {
  override readonly name = 'Problem';
  readonly code: string;
  readonly status: number;
  readonly hint: string;
  readonly intentId: string | undefined;

  constructor(code: string, status: number, detail: string, hint: string, intentId?: string) {
    super(detail);
    this.code = code;
    this.status = status;
    this.hint = hint;
    this.intentId = intentId;
  }
}

export function toProblem(thrown: unknown): Problem {
  return thrown instanceof Problem ? thrown : new Problem('INTERNAL', 0, String(thrown), '');
}

type Known = keyof Dictionary['problems'];

/** Title and hint in the reader's language where it has them, else the server's own words. */
export function problemWords(t: Dictionary, problem: { code: string; hint: string }): { title: string; hint: string } {
  const known = Object.hasOwn(t.problems, problem.code) ? t.problems[problem.code as Known] : undefined;
  return known ?? { title: t.problemOther, hint: problem.hint };
}

/** @param action a button beside it, for example to try again */
export function problemBox(t: Dictionary, problem: Problem, action?: HTMLElement): HTMLElement {
  const { title, hint } = problemWords(t, problem);
  const detail = problem.code === 'NETWORK' ? '' : problem.message;
  return el(
    'div',
    { class: 'problem', role: 'alert' },
    icon(ICONS.alert),
    el(
      'div',
      {},
      el('p', { class: 'problem-title' }, title),
      detail !== '' && el('p', { class: 'problem-detail', lang: 'en' }, detail),
      hint !== '' && el('p', { class: 'problem-hint' }, el('strong', {}, `${t.hint}: `), hint),
      el('p', { class: 'problem-code' }, problem.code),
      action,
    ),
  );
}
