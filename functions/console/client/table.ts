/** Parts of the tables of people and passkeys. */
import { el } from './dom.ts';

/** @param actions what the last column is for, for those who do not see its buttons */
export function headRow(columns: readonly string[], actions: string): HTMLElement {
  return el(
    'thead',
    {},
    el(
      'tr',
      {},
      ...columns.map((column) => el('th', { scope: 'col' }, column)),
      el('th', { scope: 'col' }, el('span', { class: 'visually-hidden' }, actions)),
    ),
  );
}

export function action(text: string, key: string, click: () => void): HTMLElement {
  return el('button', { type: 'button', class: 'button small', 'data-key': key, click }, text);
}
