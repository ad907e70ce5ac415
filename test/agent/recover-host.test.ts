/** What cannot be tidied up at the agent's start keeps it from nothing else. */
import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { existsSync, mkdirSync, mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'node:test';
import { compose } from '../../agent/compose.ts';
import { parseConfig } from '../../agent/config.ts';
import { setAsideName } from '../../agent/deploy/set-aside.ts';
import type { AgentDeps } from '../../agent/deps.ts';
import { recoverHost } from '../../agent/recover-host.ts';
import { Journal } from '../../agent/restore/journal.ts';
import { ensureJournalDirectory, journalPath } from '../../agent/restore/journal-dir.ts';
import { RefloatError } from '../../db/errors.ts';
import { newId } from '../../db/ids.ts';
import { testEngine } from '../helpers/engine.ts';
import { claimedIntent } from '../helpers/intent.ts';

const real = await testEngine();
const { engine } = real;
real.removeAllAtEnd();

/** A host without an agent, whose engine cannot remove one of its containers. */
function host(stateDir: string, unremovable: string, mark: string): { deps: AgentDeps; said: string[] } {
  const composed = compose(
    parseConfig({ REFLOAT_STATE_DIR: stateDir, DOCKER_HOST: real.dockerHost, REFLOAT_LOG: 'silent' }, {}),
  );
  const said: string[] = [];
  const failing = new Proxy(engine, {
    get(target, property) {
      const member = Reflect.get(target, property, target) as (...args: unknown[]) => unknown;
      // Tests of deploys leave containers aside at the same time, and repair them themselves.
      if (property === 'list') return async () => (await target.list()).filter(({ name }) => name.includes(mark));
      if (property !== 'remove') return member.bind(target);
      return async (id: string) => {
        if (id !== unremovable) return target.remove(id);
        throw new RefloatError('ENGINE_FAILED', 'device or resource busy', { hint: 'h', disposition: 'fail' });
      };
    },
  });
  const log = Object.assign(Object.create(composed.log) as AgentDeps['log'], {
    error: (_facts: unknown, message: string) => said.push(message),
  });
  return { deps: { ...composed, engine: failing, log }, said };
}

test('a replaced container and a half-made snapshot that cannot be removed are told, and everything else is done', async () => {
  const stateDir = mkdtempSync(join(tmpdir(), 'rf-recover-'));
  const [stays, goes] = [newId(), newId()].map((id) => join(stateDir, 'snapshots', `.partial-${id}`)) as [
    string,
    string,
  ];
  for (const path of [join(stays, 'busy'), goes]) mkdirSync(path, { recursive: true });
  execFileSync('mount', ['-t', 'tmpfs', 'tmpfs', join(stays, 'busy')]);
  try {
    const intent = claimedIntent();
    real.ownWorkload(intent.workload.id);
    ensureJournalDirectory(stateDir);
    const journal = Journal.create(journalPath(stateDir, intent.id), intent, () => new Date());
    journal.append({ type: 'outcome', outcome: { state: 'succeeded', result: null, error: null } });
    journal.close();
    const aside = async (name: string): Promise<string> => {
      const state = { state: 'exited', active: false, restartPolicy: { name: 'no', maximumRetryCount: 0 } } as const;
      const record = { name, ...state } as Parameters<typeof setAsideName>[3];
      return real.create({ name: setAsideName('restore', intent.workload.id, intent.id, record) });
    };
    const mark = intent.id.slice(-8);
    const [busy, other] = [await aside(`a-${mark}`), await aside(`b-${mark}`)];
    const { deps, said } = host(stateDir, busy, mark);
    await recoverHost(deps);
    assert.deepEqual(said, ['a replaced container could not be removed', 'a half-made snapshot could not be removed']);
    assert.notEqual(await engine.inspect(busy), null);
    assert.equal(await engine.inspect(other), null);
    assert.deepEqual([existsSync(stays), existsSync(goes)], [true, false]);
  } finally {
    execFileSync('umount', [join(stays, 'busy')]);
    rmSync(stateDir, { recursive: true });
  }
});
