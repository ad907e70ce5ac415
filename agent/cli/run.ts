/** `refloat-agent run`: recovery, then the claim loop, until SIGTERM or SIGINT. */
import { join } from 'node:path';
import { onStopSignals } from '../../db/stop-signals.ts';
import { loadConfig } from '../config.ts';
import { runAgent } from '../main.ts';
import { type CommandContext, type CommandResult, EXIT } from './command.ts';

/** @throws RefloatError `CONFIG_INVALID`, `NOT_ENROLLED`, `AGENT_RUNNING`, `ENGINE_UNAVAILABLE` */
export async function run({ env, say }: CommandContext, installEngine: boolean): Promise<CommandResult> {
  const config = await loadConfig(env);
  const { ensureEngine } = await import('../docker/private-engine.ts');
  const engine = await ensureEngine({
    dockerHost: config.dockerHost,
    install: installEngine,
    directory: join(config.stateDir, 'engine'),
    say: (line) => process.stderr.write(`${line}\n`),
  });
  // Once the agent has let go of its signals, the engine is still to be stopped.
  const letGo = onStopSignals(['SIGINT', 'SIGTERM'], () => undefined);
  try {
    const ended = await runAgent({
      config: { ...config, dockerHost: engine.dockerHost },
      onReady: (facts) =>
        say(
          { ready: true, ...facts, dockerHost: engine.dockerHost },
          `Working on the intents of host ${facts.hostId} (process ${facts.pid}).`,
        ),
    });
    return { json: { ended }, lines: [`Ended by ${ended}; nothing runs any more.`], exitCode: EXIT.done };
  } finally {
    await engine.stop();
    letGo();
  }
}
