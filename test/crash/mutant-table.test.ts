/** Mutants rot when the text changes that they take out: told here, and not first in a run of hours. */
import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { GUARD_MUTANTS } from './guard-mutant-table.ts';
import { MUTANTS } from './mutant-table.ts';

test('what each mutant takes out is there exactly once, and its name is its own', () => {
  const all = [...MUTANTS, ...GUARD_MUTANTS];
  for (const { name, file, from } of all) {
    const text = readFileSync(join(import.meta.dirname, '../..', file), 'utf8');
    assert.equal(text.split(from).length - 1, 1, `${name}: ${file} has ${JSON.stringify(from)}`);
  }
  assert.equal(new Set(all.map(({ name }) => name)).size, all.length);
});
