import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { test } from 'node:test';
import { JOURNAL_VERSION, type JournalRecord, type Stamped } from '../../../agent/restore/journal.ts';
import { reduceJournal } from '../../../agent/restore/journal-state.ts';
import { planRecovery, RECOVERY_TABLE } from '../../../agent/restore/recovery-plan.ts';
import { RESTORE } from '../../../agent/restore/restore.ts';
import type { ProbeResult } from '../../../agent/restore/saga.ts';
import type { ErrorJson } from '../../../db/errors.ts';
import { claimedIntent } from '../../helpers/intent.ts';

const ERROR: ErrorJson = { code: 'UNHEALTHY', message: 'm', hint: 'h', disposition: 'fail' };
const STEPS = RESTORE.steps.map((step) => step.name);
const COMMIT_STEP = STEPS.indexOf('swap');

function stamp(records: JournalRecord[]): Stamped[] {
  const intent = claimedIntent();
  const all: JournalRecord[] = [{ type: 'begin', version: JOURNAL_VERSION, intent }, ...records];
  return all.map((record, index) => ({ seq: index + 1, id: intent.id, at: '2026-01-02T03:04:05.678Z', ...record }));
}

/** Every prefix of a restore that goes well: what the journal holds after a crash at that place. */
const FORWARD: JournalRecord[] = STEPS.flatMap((step): JournalRecord[] => [
  { type: 'started', step },
  ...(step === 'swap'
    ? ([{ type: 'note', name: 'exchanges', fact: [] }, { type: 'commit' }] satisfies JournalRecord[])
    : []),
  { type: 'done', step, ms: 1, fact: {} },
]);
const COMMIT_AT = FORWARD.findIndex((record) => record.type === 'commit');

const PROBES: ProbeResult[] = [{ found: 'not-done' }, { found: 'partly' }, { found: 'done' }];

function decide(records: JournalRecord[], probe?: ProbeResult) {
  const probes = new Map<string, ProbeResult>(probe === undefined ? [] : [['swap', probe]]);
  return planRecovery(reduceJournal(stamp(records)), probes);
}

test('a journal whose first record never became durable asks for nothing', () => {
  assert.deepEqual(planRecovery(reduceJournal([]), new Map()), { action: 'nothing' });
});

test('before the durable commit record every state unwinds, from it on every state rolls forward', () => {
  for (let length = 0; length <= FORWARD.length; length++) {
    for (const probe of [undefined, ...PROBES]) {
      const decision = decide(FORWARD.slice(0, length), probe);
      assert.equal(
        decision.action,
        length > COMMIT_AT ? 'roll-forward' : 'unwind',
        `${length} records, probe ${probe?.found}`,
      );
    }
  }
  assert.ok(COMMIT_STEP > 0 && COMMIT_AT > 0);
});

test('an unwinding that was begun goes on, committed or not, at every point of it', () => {
  for (let length = 0; length <= FORWARD.length; length++) {
    const begun = [
      ...FORWARD.slice(0, length),
      { type: 'unwind', state: 'rolled_back', error: ERROR } satisfies JournalRecord,
    ];
    for (let undone = 0; undone <= STEPS.length; undone++) {
      const records = [...begun, ...STEPS.slice(0, undone).map((step): JournalRecord => ({ type: 'undone', step }))];
      for (const probe of PROBES) assert.equal(decide(records, probe).action, 'unwind');
    }
  }
});

test('what cannot be told apart is stuck, whatever the journal says, and so nothing is deleted', () => {
  for (let length = 0; length <= FORWARD.length; length++) {
    assert.deepEqual(decide(FORWARD.slice(0, length), { found: 'undecidable', what: 'strange inode' }), {
      action: 'stuck',
      step: 'swap',
      what: 'strange inode',
    });
  }
});

test('a final outcome is final; stuck is tried again', () => {
  for (const state of ['succeeded', 'failed', 'rolled_back', 'cancelled'] as const) {
    assert.equal(
      decide([...FORWARD, { type: 'outcome', outcome: { state, result: null, error: null } }]).action,
      'nothing',
    );
  }
  const stuck: JournalRecord = { type: 'outcome', outcome: { state: 'stuck', result: null, error: ERROR } };
  assert.equal(decide([...FORWARD.slice(0, COMMIT_AT + 1), stuck], { found: 'partly' }).action, 'roll-forward');
  assert.equal(decide([...FORWARD.slice(0, COMMIT_AT), stuck], { found: 'not-done' }).action, 'unwind');
});

test('the README has the table that decides, row by row, and every row of it is needed', () => {
  const readme = readFileSync(new URL('../../../agent/restore/README.md', import.meta.url), 'utf8');
  const [, section = ''] = readme.split('\n## Recovery\n');
  const rows = section
    .split('\n## ')[0]
    ?.split('\n')
    .filter((line) => line.startsWith('|'))
    .map((line) =>
      line
        .split('|')
        .slice(1, -1)
        .map((cell) => cell.trim()),
    );
  assert.deepEqual(
    rows?.slice(2),
    RECOVERY_TABLE.map(({ journal, disk, recovery }) => [journal, disk, recovery]),
  );
  const outcome = (state: 'stuck' | 'failed'): JournalRecord => ({
    type: 'outcome',
    outcome: { state, result: null, error: ERROR },
  });
  const unwinding: JournalRecord = { type: 'unwind', state: 'failed', error: ERROR };
  const lost: ProbeResult = { found: 'undecidable', what: 'strange' };
  const cases = [
    { records: null, probe: undefined, row: 0 },
    { records: [outcome('failed')], probe: lost, row: 1 },
    { records: [outcome('stuck')], probe: lost, row: 2 },
    { records: [...FORWARD.slice(0, COMMIT_AT + 1), unwinding], probe: undefined, row: 3 },
    { records: FORWARD.slice(0, COMMIT_AT), probe: undefined, row: 4 },
    { records: FORWARD.slice(0, COMMIT_AT + 1), probe: undefined, row: 5 },
  ];
  assert.equal(cases.length, RECOVERY_TABLE.length);
  for (const { records, probe, row } of cases) {
    const state = records === null ? null : reduceJournal(stamp(records));
    const applying = RECOVERY_TABLE.findIndex((candidate) =>
      candidate.applies(state, probe?.found === 'undecidable' ? { step: 'swap', what: probe.what } : null),
    );
    assert.equal(applying, row);
  }
});
