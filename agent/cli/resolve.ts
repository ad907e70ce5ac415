/** `refloat-agent resolve INTENT --keep`: ends what is stuck, once a person has put the data right. Without the control plane. */
import { randomUUID } from 'node:crypto';
import { RefloatError } from '../../db/errors.ts';
import { isUuid } from '../../db/ids.ts';
import { takeHostLock } from '../claim/host-lock.ts';
import { Spool } from '../claim/spool.ts';
import { SpooledControl } from '../claim/spooled-control.ts';
import { compose } from '../compose.ts';
import { loadConfig } from '../config.ts';
import { keepWhatIsThere, type Resolved } from '../restore/resolve.ts';
import { type CommandContext, type CommandResult, EXIT } from './command.ts';
import { dockerHostOf } from './recover.ts';

/** @throws RefloatError `USAGE`, `AGENT_RUNNING`, `INTENT_NOT_FOUND`, `ALREADY_FINISHED`, and the engine's codes */
export async function resolveCommand(
  { env }: CommandContext,
  intent: string,
  options: { readonly keep?: boolean },
): Promise<CommandResult> {
  const intentId = intent.toLowerCase();
  if (!isUuid(intentId) || options.keep !== true) {
    throw new RefloatError('USAGE', 'say which intent, and --keep: that what is there is what you want', {
      hint: 'Look at "refloat-agent status" and put the data right first; then: refloat-agent resolve INTENT --keep',
    });
  }
  const config = await loadConfig(env);
  const lock = takeHostLock(config.stateDir, randomUUID());
  try {
    const deps = compose({ ...config, dockerHost: await dockerHostOf(config) });
    const spool = Spool.open(config.stateDir, intentId);
    try {
      const resolved = await keepWhatIsThere(deps, intentId, new SpooledControl(spool, deps.now));
      spool.append({ type: 'finish', outcome: resolved.outcome });
      return answer(intentId, resolved);
    } finally {
      spool.close();
    }
  } finally {
    lock.release();
  }
}

function answer(intentId: string, { outcome, left, journal }: Resolved): CommandResult {
  const isStuck = outcome.state === 'stuck';
  return {
    json: { intentId, state: outcome.state, left, journal, result: outcome.result },
    lines: [
      isStuck
        ? `${intentId} is still stuck: ${outcome.error?.message}`
        : `${intentId} has ended; the workload takes new intents.`,
      ...left.map(({ volume, previous }) => `volume "${volume}": ${previous} is left for you to look at and remove`),
      ...(journal === null
        ? []
        : [
            `Its journal could not be read, and lies at ${journal} now.`,
            'What it had stopped is not known: start the containers yourself, and look at their restart policies.',
          ]),
    ],
    exitCode: isStuck ? EXIT.stuck : EXIT.done,
    ...(isStuck && outcome.error !== null ? { error: RefloatError.fromJSON(outcome.error) } : {}),
  };
}
