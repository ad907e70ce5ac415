import assert from 'node:assert/strict';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, test } from 'node:test';
import { pino } from 'pino';
import type { AgentConfig } from '../../../agent/config.ts';
import type { AgentDeps } from '../../../agent/deps.ts';
import { finishAdoptions } from '../../../agent/restore/hold.ts';
import { Journal } from '../../../agent/restore/journal.ts';
import { ensureJournalDirectory, heldTrees, journalPath, readJournal } from '../../../agent/restore/journal-dir.ts';
import type { Outcome } from '../../../db/results.ts';
import { claimedIntent } from '../../helpers/intent.ts';

const stateDir = mkdtempSync(join(tmpdir(), 'refloat-hold-'));
after(() => rmSync(stateDir, { recursive: true }));
ensureJournalDirectory(stateDir);
const now = (): Date => new Date();
const deps = { config: { stateDir } as AgentConfig, now, log: pino({ level: 'silent' }) } as unknown as AgentDeps;

const HELD = [{ volume: 'data', live: '/srv/p/data', previous: '/srv/p/.refloat-x/data' }];

/** An intent that ended; with what it holds if it succeeded. */
function ended(state: Outcome['state'], adoptedFrom: string | null): string {
  const intent = claimedIntent(adoptedFrom === null ? 'restore' : 'undo');
  const journal = Journal.create(journalPath(stateDir, intent.id), intent, now);
  const error = { code: 'UNHEALTHY', message: 'no', hint: 'h', disposition: 'fail' } as const;
  journal.append({ type: 'done', step: 'preflight', ms: 1, fact: { targets: [], adoptedFrom } });
  journal.append({
    type: 'outcome',
    outcome: state === 'succeeded' ? { state, result: { held: HELD }, error: null } : { state, result: null, error },
  });
  journal.close();
  return intent.id;
}

function holds(intentId: string): boolean {
  const { state } = readJournal(stateDir, intentId);
  assert.ok(state !== null);
  return heldTrees(state).length > 0;
}

test('trees that an undo took over are the undo’s alone, also when the disk kept that from being said', () => {
  const undone = ended('succeeded', null);
  const undo = ended('succeeded', undone);
  assert.deepEqual([holds(undone), holds(undo)], [true, true]);
  finishAdoptions(deps);
  finishAdoptions(deps);
  assert.deepEqual([holds(undone), holds(undo)], [false, true]);
});

test('an undo that took itself back took nothing over', () => {
  const undone = ended('succeeded', null);
  ended('rolled_back', undone);
  finishAdoptions(deps);
  assert.equal(holds(undone), true);
});
