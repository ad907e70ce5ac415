/** Collects what was not captured or not put back: named one by one up to a bound, counted beyond it. */
import type { Skipped } from '../../db/results.ts';
import { escapeName } from './refusal.ts';

const MAX_NAMED = 990;
/** Of a list: what is named, and a row for each of the few dozen reasons. */
export const MAX_ROWS = MAX_NAMED + 100;

export class Skips {
  readonly #named: Skipped[] = [];
  readonly #more = new Map<string, number>();

  /** @param path raw bytes; @param reason stable, kebab case */
  add(path: Buffer | string, reason: string, detail?: string): void {
    if (this.#named.length >= MAX_NAMED) {
      this.#more.set(reason, (this.#more.get(reason) ?? 0) + 1);
      return;
    }
    const shown = escapeName(typeof path === 'string' ? Buffer.from(path, 'latin1') : path);
    this.#named.push({ path: shown === '' ? '.' : shown, reason, ...(detail === undefined ? {} : { detail }) });
  }

  merge(list: readonly Skipped[]): void {
    for (const skipped of list) {
      if (this.#named.length < MAX_NAMED) this.#named.push(skipped);
      else this.#more.set(skipped.reason, (this.#more.get(skipped.reason) ?? 0) + (skipped.count ?? 1));
    }
  }

  list(): Skipped[] {
    return [
      ...this.#named,
      ...[...this.#more].map(([reason, count]) => ({ path: '…', reason, detail: `${count} more`, count })),
    ];
  }
}
