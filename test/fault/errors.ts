/**
 * errors: the n-th call of each system call fails, once (`#N`) or from then on (`#N+`), in every scenario; the run ends by itself and
 * tells the truth, and recovery without the fault leaves nothing undone.
 *
 * `agent`: in the agent's main thread, where all its file system calls are made. `any`: in every process and thread, the archive
 * child included, each of which counts for itself.
 */
import type { Field } from '../crash/field.ts';
import { sweepOnHosts } from '../crash/hosts.ts';
import { casesOfCalls, recoverAndJudge } from '../crash/injected.ts';
import { judge } from '../crash/oracle.ts';
import { type DriverEnd, runDriver } from '../crash/run-driver.ts';
import type { Scenario } from '../crash/scenarios.ts';
import { injection, wasInjected } from '../crash/system-calls.ts';

const ERRORS = ['EIO', 'ENOSPC', 'EDQUOT', 'EROFS', 'EMFILE', 'EACCES', 'EBUSY', 'EXDEV'] as const;

/** What a file system refuses of attributes is named in the result, and the restore goes on: ext4 says ENOSPC of one that has no room in its inode. */
const REFUSED_XATTR: ReadonlySet<string> = new Set(['ENOSPC', 'EACCES']);

export const errors = sweepOnHosts(
  (on) => ({
    cases: (count, random) =>
      casesOfCalls(on, count, random, (point, whose) =>
        ['', '+'].flatMap((lasting) =>
          ERRORS.filter((error) => !/ [fl]setxattr#/.test(point) || !REFUSED_XATTR.has(error)).map(
            (error) => `${point}${lasting} ${error} ${whose}`,
          ),
        ),
      ),

    async run(name) {
      const [scenario = '', point = '', error = '', whose] = name.split(' ');
      const { field } = await on.hosts.of('tmpfs', scenario as Scenario);
      field.reset();
      const ended = await runDriver(field, ['run', field.intentFile], {
        strace: injection(point, `error=${error}`, whose === 'any'),
        mayHang: /^write/.test(point),
      });
      if (!wasInjected(ended.trace)) return { count: 0, violations: [], ended: 'not reached' };
      const stuckThen = stuckViolations(field, ended);
      const { violations, ended: how } = await recoverAndJudge(on, scenario as Scenario, { said: ended.told });
      await ended.orphansGone();
      return {
        count: 1,
        violations: [...stuckThen, ...violations],
        ended: ended.signal === null ? how : `${how} (died)`,
      };
    },
  }),
  { startsDriver: true },
);

/** While the cause lasts it may be stuck; then nothing is deleted. */
function stuckViolations(field: Field, { told }: DriverEnd): readonly string[] {
  if (told?.intents[0]?.outcome.state !== 'stuck') return [];
  return judge(field, { told, isStuck: true }).violations;
}
