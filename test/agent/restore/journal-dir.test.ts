/** Whom an intent that was not finished keeps from new work. */
import assert from 'node:assert/strict';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, test } from 'node:test';
import { WORKLOAD_LABEL } from '../../../agent/deploy/labels.ts';
import { Journal, type JournalRecord } from '../../../agent/restore/journal.ts';
import {
  assertNothingStuck,
  assertNothingUnfinished,
  ensureJournalDirectory,
  journalPath,
} from '../../../agent/restore/journal-dir.ts';
import { toRefloatError } from '../../../db/errors.ts';
import { newId } from '../../../db/ids.ts';
import { claimedIntent } from '../../helpers/intent.ts';

const scratch = mkdtempSync(join(tmpdir(), 'refloat-journals-'));
after(() => rmSync(scratch, { recursive: true }));

const [OTHER, UNLABELLED] = [newId(), 'c0ffee'];
const others = { type: 'note', name: 'others', fact: [{ id: 'x', labels: { [WORKLOAD_LABEL]: OTHER } }] } as const;
const containers = { type: 'note', name: 'containers', fact: [{ id: UNLABELLED, labels: {} }] } as const;
const done = (step: string): JournalRecord => ({ type: 'done', step, ms: 1, fact: {} });
const STUCK: JournalRecord = { type: 'outcome', outcome: { state: 'stuck', result: null, error: null } };

const CASES: readonly [kind: 'restore' | 'capture', records: readonly JournalRecord[], kept: readonly string[]][] = [
  ['restore', [], ['own']],
  ['restore', [others, containers], ['own', 'other', 'unlabelled']],
  ['restore', [others, containers, done('health')], ['own']],
  ['restore', [others, containers, { type: 'undone', step: 'quiesce' }], ['own']],
  ['capture', [containers], ['own', 'unlabelled']],
  ['capture', [containers, done('resume')], ['own']],
  ['capture', [containers, { type: 'undone', step: 'freeze' }], ['own']],
];

for (const [index, [kind, records, kept]] of CASES.entries()) {
  test(`a ${kind} with ${records.length} records keeps ${kept.join(', ')} from new work; before its end only if it is stuck`, () => {
    const stateDir = join(scratch, String(index));
    ensureJournalDirectory(stateDir);
    const intent = claimedIntent(kind);
    const journal = Journal.create(journalPath(stateDir, intent.id), intent, () => new Date());
    for (const record of records) journal.append(record);
    const ids = { own: intent.workload.id, other: OTHER, unlabelled: UNLABELLED };
    const refused = (ask: typeof assertNothingStuck, by = newId()) =>
      Object.entries(ids).flatMap(([name, id]) => {
        try {
          ask(stateDir, id, by);
          return [];
        } catch (error) {
          const { code, details } = toRefloatError(error);
          assert.deepEqual([code, details], ['WORKLOAD_STUCK', { intentId: intent.id }]);
          return [name];
        }
      });
    assert.deepEqual(refused(assertNothingUnfinished), kept);
    assert.deepEqual(refused(assertNothingStuck), []);
    journal.append(STUCK);
    journal.close();
    assert.deepEqual([refused(assertNothingUnfinished), refused(assertNothingStuck)], [kept, kept]);
    assert.deepEqual(refused(assertNothingUnfinished, intent.id), []);
  });
}
