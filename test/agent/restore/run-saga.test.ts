/** The runner's own rules, on a table of two steps: what is durable when, and what a recovery runs again. */

import assert from 'node:assert/strict';
import { copyFileSync, mkdtempSync, readFileSync, rmSync, truncateSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, test } from 'node:test';
import { pino } from 'pino';
import type { CaptureFacts } from '../../../agent/capture/facts.ts';
import { clone } from '../../../agent/capture/steps/clone.ts';
import { resume } from '../../../agent/capture/steps/resume.ts';
import { WorkloadLocks } from '../../../agent/deploy/workload-lock.ts';
import type { AgentDeps } from '../../../agent/deps.ts';
import { Journal } from '../../../agent/restore/journal.ts';
import { ensureJournalDirectory, journalPath } from '../../../agent/restore/journal-dir.ts';
import { reduceJournal } from '../../../agent/restore/journal-state.ts';
import { recoverSaga } from '../../../agent/restore/recover-saga.ts';
import { letRun, rollForward, type SagaRun, unwind } from '../../../agent/restore/run-saga.ts';
import type { AnyStep, Saga } from '../../../agent/restore/saga.ts';
import { RefloatError } from '../../../db/errors.ts';
import { newId } from '../../../db/ids.ts';
import { claimedIntent } from '../../helpers/intent.ts';
import { SILENT_CONTROL } from '../../helpers/silent-control.ts';

interface Facts {
  exchange: { readonly inodes: string };
  start: Record<string, never>;
  plan: { readonly inodes: string };
}

const directory = mkdtempSync(join(tmpdir(), 'refloat-saga-'));
after(() => rmSync(directory, { recursive: true, force: true }));

let count = 0;
async function underJournal<T>(
  saga: Saga<T>,
  work: (run: SagaRun<T>) => Promise<void>,
  now = () => new Date(),
): Promise<void> {
  const intent = claimedIntent();
  count += 1;
  const path = join(directory, `${count}.jsonl`);
  const deps = { now, log: pino({ level: 'silent' }) } as unknown as AgentDeps;
  await new WorkloadLocks().withWorkloadLock(intent.workload.id, async (lock) => {
    const journal = Journal.create(path, intent, deps.now);
    try {
      await work({ saga, journal, deps, lock, control: SILENT_CONTROL });
    } finally {
      journal.close();
    }
  });
}

/** Runs `work` with a saga under a journal of its own; `acts` and `undos` are told by name. */
async function withSaga(
  failing: string | null,
  work: (run: SagaRun<Facts>, did: string[]) => Promise<void>,
): Promise<void> {
  const did: string[] = [];
  const saga: Saga<Facts> = {
    steps: [
      {
        name: 'exchange',
        beginsWithCommit: true,
        settledBy: 'start',
        async act(context) {
          did.push('exchange');
          if (!context.committed()) context.commit({ notes: { plan: { inodes: '1 2' } }, begins: 'start' });
          return { inodes: context.fact('plan').inodes };
        },
        async undo() {
          did.push('undo exchange');
        },
      },
      {
        name: 'start',
        async act() {
          did.push('start');
          if (failing === 'start') throw new RefloatError('CONTAINER_FAILED', 'no', { hint: 'h', disposition: 'fail' });
          return {};
        },
        async undo() {
          did.push('undo start');
        },
      },
    ],
    retake: async () => undefined,
    result: () => ({}),
  };
  await underJournal(saga, async (run) => work(run, did));
}

/** Bytes of the first records of a journal. */
function lengthOf(journal: Journal, records: number): number {
  const lines = readFileSync(journal.path, 'utf8').split('\n').slice(0, records);
  return Buffer.byteLength(lines.map((line) => `${line}\n`).join(''));
}

const types = (journal: Journal): string[] =>
  journal.records.map((record) => ('step' in record ? `${record.type} ${record.step}` : record.type));

test('what is given with the commit stands before it, and the next step counts as begun', async () => {
  await withSaga(null, async (run) => {
    const outcome = await rollForward(run);
    assert.equal(outcome.state, 'succeeded');
    const commit = types(run.journal).indexOf('commit');
    assert.deepEqual(types(run.journal).slice(0, commit), ['begin', 'started exchange', 'note', 'started start']);
    assert.equal(types(run.journal).filter((type) => type === 'started start').length, 1);
  });
});

test('a step that a later one settles is run again by a recovery until that one has ended', async () => {
  await withSaga(null, async (run, did) => {
    await rollForward(run);
    const { path, intentId, records } = run.journal;
    const cutBehind = (type: string): Journal => {
      const kept = records.slice(0, types(run.journal).indexOf(type) + 1);
      // Every record is one line, and its length is known from what was written.
      truncateSync(path, lengthOf(run.journal, kept.length));
      return Journal.open(path, intentId, run.deps.now);
    };
    for (const [type, again] of [
      ['done start', []],
      ['done exchange', ['exchange', 'start']],
    ] as const) {
      const journal = cutBehind(type);
      did.length = 0;
      assert.equal((await rollForward({ ...run, journal })).state, 'succeeded');
      assert.deepEqual(did, again, `behind "${type}"`);
      const timings = reduceJournal(journal.records)?.timings.map(({ name }) => name);
      assert.deepEqual(timings, ['exchange', 'start'], 'each step is told once');
      journal.close();
    }
  });
});

test('a failure behind the commit takes back what began with it, newest first', async () => {
  await withSaga('start', async (run, did) => {
    assert.equal((await rollForward(run)).state, 'rolled_back');
    assert.deepEqual(did, ['exchange', 'start', 'undo start', 'undo exchange']);
  });
});

test('an undo that fails in passing is tried again; one that fails for good is stuck', async () => {
  for (const [times, state] of [
    [2, 'failed'],
    [99, 'stuck'],
  ] as const) {
    await withSaga(null, async (run) => {
      let failures = 0;
      const steps = run.saga.steps.map((step) => ({
        ...step,
        async undo() {
          failures += 1;
          if (failures <= times) throw new RefloatError('ENGINE_FAILED', 'a 500', { hint: 'h', disposition: 'fail' });
        },
      }));
      const saga = { ...run.saga, steps: steps.slice(0, 1) };
      run.journal.append({ type: 'started', step: 'exchange' });
      const reason = new RefloatError('INTERRUPTED', 'i', { hint: 'h', disposition: 'fail' });
      const outcome = await unwind({ ...run, saga }, reason);
      assert.equal(outcome.state === 'stuck', state === 'stuck', `${times} failures: ${outcome.state}`);
    });
  }
});

test('what lets the workload run comes first, also without a record, until a step that commits was begun', async () => {
  for (const [begun, order, unrecorded] of [
    [['start', 'plan'], ['start', 'plan'], ['start']],
    [['start', 'plan', 'exchange'], ['exchange', 'plan', 'start'], []],
  ] as const) {
    await withSaga(null, async (run) => {
      const undone: string[] = [];
      const step = (name: keyof Facts, more: Partial<AnyStep<Facts>> = {}): AnyStep<Facts> => ({
        name,
        act: async () => ({}),
        undo: async () => void undone.push(name),
        ...more,
      });
      const steps = [
        step('start', { undoResumes: 'workload' }),
        step('plan'),
        step('exchange', { beginsWithCommit: true }),
      ];
      const saga: Saga<Facts> = { ...run.saga, steps };
      run.journal.append(...begun.map((name) => ({ type: 'started', step: name }) as const));
      const state = reduceJournal(run.journal.records);
      assert.ok(state !== null);
      const before = run.journal.records.length;
      await letRun({ ...run, saga }, state);
      assert.deepEqual(undone.splice(0), unrecorded);
      assert.equal(run.journal.records.length, before);
      const reason = new RefloatError('INTERRUPTED', 'i', { hint: 'h', disposition: 'fail' });
      assert.equal((await unwind({ ...run, saga }, reason)).state, 'rolled_back');
      assert.deepEqual(undone, order);
    });
  }
});

test('a clock that is set while the containers stand still does not change the downtime that is told', async () => {
  for (const hours of [-1, 1]) {
    let offMs = 0;
    const saga: Saga<CaptureFacts> = {
      steps: [
        {
          name: 'freeze',
          async act({ deps, note }) {
            note('containers', []);
            note('freezing', deps.now().toISOString());
            offMs = hours * 3_600_000;
            return { mode: 'stop', frozen: ['one'] };
          },
        },
        resume,
      ],
      retake: async () => undefined,
      result: ({ fact }) => ({ downtimeMs: fact('resume').downtimeMs }),
    };
    const clock = () => new Date(Date.now() + offMs);
    await underJournal(
      saga,
      async (run) => {
        const { state, result } = await rollForward(run);
        assert.equal(state, 'succeeded');
        const { downtimeMs = Number.NaN } = result ?? {};
        assert.ok(downtimeMs >= 0 && downtimeMs < 60_000, `${downtimeMs} ms`);
      },
      clock,
    );
  }
});

test('what could pass while archives are written is waited for only where no container stands still meanwhile', async () => {
  for (const [frozen, tries] of [
    [['one'], 1],
    [[], 2],
  ] as const) {
    const saga: Saga<CaptureFacts> = { steps: [clone], retake: async () => undefined, result: () => ({}) };
    await underJournal(saga, async (run) => {
      const facts: Partial<CaptureFacts> = {
        preflight: {
          ...{ snapshotId: newId(), image: 'i', imageId: 'sha256:i', adopted: [] },
          volumes: [{ name: 'data', scope: 'absolute', source: '/data', target: '/data', path: '/data' }],
        },
        check_disk: { fileSystems: [], contentBytes: 0, copies: [] },
        catch_up: { caughtUp: false, taken: 0 },
        freezing: new Date().toISOString(),
        freeze: { mode: 'stop', frozen },
      };
      for (const [name, fact] of Object.entries(facts)) run.journal.append({ type: 'note', name, fact });
      let packed = 0;
      const pack = async () => {
        packed += 1;
        const disposition = packed < 2 ? 'retry' : 'fail';
        throw new RefloatError('INTERNAL', 'EMFILE', { hint: 'h', disposition });
      };
      const config = { stateDir: mkdtempSync(join(directory, 'state-')) };
      const deps = { ...run.deps, config, archiver: { pack } } as unknown as AgentDeps;
      const { state, error } = await rollForward({ ...run, deps });
      assert.deepEqual([state, error?.code, packed], ['rolled_back', 'INTERNAL', tries]);
    });
  }
});

test('what an undo has to say is in the result', async () => {
  await withSaga('start', async (run) => {
    const [exchange, ...others] = run.saga.steps;
    assert.ok(exchange !== undefined);
    const told: typeof exchange = { ...exchange, undo: async ({ warn }) => warn('a container is gone') };
    const outcome = await rollForward({ ...run, saga: { ...run.saga, steps: [told, ...others] } });
    assert.equal(outcome.state, 'rolled_back');
    assert.deepEqual(outcome.result?.warnings, ['a container is gone']);
  });
});

test('recovery does not look at what a later step has settled, unless it is to be taken back', async () => {
  for (const [type, outcome] of [
    ['done start', 'succeeded'],
    ['done exchange', 'stuck'],
    ['unwind', 'stuck'],
  ] as const) {
    await withSaga(null, async (run) => {
      await rollForward(run);
      const stateDir = mkdtempSync(join(directory, 'state-'));
      ensureJournalDirectory(stateDir);
      const path = journalPath(stateDir, run.journal.intentId);
      copyFileSync(run.journal.path, path);
      const last = type === 'unwind' ? 'done start' : type;
      truncateSync(path, lengthOf(run.journal, types(run.journal).indexOf(last) + 1));
      const deps = { ...run.deps, config: { stateDir } } as AgentDeps;
      if (type === 'unwind') {
        const journal = Journal.open(path, run.journal.intentId, deps.now);
        const error = { code: 'UNHEALTHY', message: 'm', hint: 'h', disposition: 'fail' } as const;
        journal.append({ type: 'unwind', state: 'rolled_back', error });
        journal.close();
      }
      // What it would find is what an application made of it meanwhile.
      const probe = async () => ({ found: 'undecidable', what: 'another inode' }) as const;
      const steps = run.saga.steps.map((step) => (step.name === 'exchange' ? { ...step, probe } : step));
      const { lock, control } = run;
      const recovered = await recoverSaga({ ...run.saga, steps }, { deps, lock, control }, run.journal.intentId);
      assert.equal(recovered.state, outcome, `behind "${type}"`);
    });
  }
});
