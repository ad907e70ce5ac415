/**
 * `refloat-agent enroll`: exchanges a one-time token for this host's own database login, and keeps it in `agent.json`.
 * A file that is there keeps its other members; the token works once, so the file is proved writable before it is used.
 */
import { z } from 'zod';
import { RefloatError } from '../../db/errors.ts';
import { AGENT_JSON, agentJsonPath, readAgentJson, stateDirOf } from '../config.ts';
import { makeDirectoriesDurably, writeFileDurably } from '../fs/durable.ts';
import type { CommandContext, CommandResult } from './command.ts';

const ANSWER = z.object({
  hostId: z.uuid(),
  hostName: z.string().optional(),
  databaseUrl: z.string().regex(/^postgres(ql)?:\/\//),
});
const LIMIT_MS = 30_000;

/** @throws RefloatError `USAGE`, `ENROLLMENT_INVALID`, `API_UNREACHABLE`, `FILE_SYSTEM_FAILED`, `CONFIG_INVALID`, `ENGINE_UNAVAILABLE` */
export async function enroll(
  { env }: CommandContext,
  { api, token, installEngine = false }: { api: string; token: string; installEngine?: boolean },
): Promise<CommandResult> {
  // Before the token is used: here a person can still be asked, who is not there when the agent runs.
  if (installEngine) {
    const { prepareEngine } = await import('../docker/private-engine.ts');
    await prepareEngine({
      dockerHost: env['DOCKER_HOST'],
      install: true,
      say: (line) => void process.stderr.write(`${line}\n`),
    });
  }
  const stateDir = stateDirOf(env);
  const path = agentJsonPath(stateDir);
  const url = enrollUrl(api);
  const before = await readAgentJson(path);
  save(stateDir, path, before);
  const { hostId, hostName, databaseUrl } = await exchange(url, token);
  save(stateDir, path, AGENT_JSON.parse({ ...before, hostId, databaseUrl }));
  const name = hostName ?? hostId;
  return {
    json: { hostId, hostName: hostName ?? null, path },
    lines: [`This is host ${name} now; its credentials are in ${path}.`],
  };
}

function enrollUrl(api: string): URL {
  if (/^https?:\/\/[^/]/.test(api) && URL.canParse(api)) return new URL(`${api.replace(/\/+$/, '')}/api/enroll`);
  throw new RefloatError('USAGE', '--api must be the http(s) address of the control plane', {
    hint: 'For example --api https://refloat.example.org',
  });
}

/** Mode 0600 from its first byte on: it holds a password. */
function save(stateDir: string, path: string, content: z.output<typeof AGENT_JSON>): void {
  try {
    makeDirectoriesDurably(stateDir, 0o700);
    writeFileDurably(path, `${JSON.stringify(content, null, 2)}\n`);
  } catch (cause) {
    throw new RefloatError('FILE_SYSTEM_FAILED', `${path} cannot be written`, {
      hint: 'Run this as root, or let REFLOAT_STATE_DIR name a directory that may be written. The token was not used.',
      cause,
    });
  }
}

const LOOK = 'Look at the address and the network between. If the token was used, ask for another one.';

async function exchange(url: URL, token: string): Promise<z.output<typeof ANSWER>> {
  let response: Response;
  let body: unknown;
  try {
    response = await fetch(url, {
      method: 'POST',
      headers: { 'content-type': 'application/json', accept: 'application/json' },
      body: JSON.stringify({ token }),
      redirect: 'error',
      signal: AbortSignal.timeout(LIMIT_MS),
    });
    body = await response.json();
  } catch (cause) {
    throw new RefloatError('API_UNREACHABLE', `${url.origin} does not answer as a Refloat control plane`, {
      hint: LOOK,
      disposition: 'retry',
      cause,
    });
  }
  const parsed = ANSWER.safeParse(body);
  if (response.ok && parsed.success) return parsed.data;
  const { code, detail, hint } = (typeof body === 'object' ? body : {}) as {
    code?: string;
    detail?: string;
    hint?: string;
  };
  const details = { status: response.status };
  const message = detail ?? `the control plane answered with status ${response.status}`;
  if (code === 'ENROLLMENT_INVALID' || response.status === 401)
    throw new RefloatError('ENROLLMENT_INVALID', message, {
      hint: hint ?? 'Ask an admin for a new enrollment token.',
      details,
    });
  throw new RefloatError('API_UNREACHABLE', message, { hint: hint ?? LOOK, disposition: 'retry', details });
}
