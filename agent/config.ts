/**
 * The agent's configuration: environment over `agent.json`. Only this decides where on the host anything may be written.
 *
 * Guarantees: every path is absolute and clean, every number in its range; what is wrong is `CONFIG_INVALID` and names the
 * variable, never its value when that may hold a secret.
 * Does not guarantee: that the directories exist, or that the database answers.
 */
import { readFile } from 'node:fs/promises';
import { join, normalize } from 'node:path';
import { z } from 'zod';
import { RefloatError } from '../db/errors.ts';
import { isUuid } from '../db/ids.ts';
import { INTENT_KINDS, type IntentKind } from '../db/intent-state.ts';

export interface AgentConfig {
  readonly stateDir: string;
  /** Scope `absolute` must lie inside one of these; empty: no absolute source is allowed. */
  readonly allowedRoots: readonly string[];
  /** Root of the sources of scope `project` and `stage`. */
  readonly volumeBase: string;
  /** Import intents may read archives below it; undefined: they are refused. */
  readonly importDirectory?: string | undefined;
  /** Kinds of intent that this host does at all. */
  readonly allowedIntents: ReadonlySet<IntentKind>;
  /** Docker volumes that scope `named` may use, `*` for any text; null: all. */
  readonly allowedVolumes: readonly string[] | null;
  /** Content of all volumes of one restore; null: no limit but the disk. */
  readonly maxRestoreBytes: number | null;
  readonly undoWindowSeconds: number;
  /** What the control plane hears of containers that are no workload's: nothing, all but the values of their environment, or all. */
  readonly inventory: (typeof INVENTORIES)[number];
  readonly dockerHost: string | undefined;
  /** Undefined until enrolled; `recover`, `pack`, `unpack`, `verify` and `status` do without. */
  readonly databaseUrl: string | undefined;
  readonly hostId: string | undefined;
  readonly logLevel: string;
}

const INVENTORIES = ['own', 'all', 'env'] as const;
const LOG_LEVELS = ['trace', 'debug', 'info', 'warn', 'error', 'fatal', 'silent'];
const DEFAULT_STATE_DIR = '/var/lib/refloat';
const DEFAULT_VOLUME_BASE = '/srv/refloat';
const DEFAULT_UNDO_WINDOW_SECONDS = 86_400;
const MAX_UNDO_WINDOW_SECONDS = 366 * 86_400;

/** What `enroll` writes; the other members are for people who prefer a file to an environment. */
export const AGENT_JSON = z.strictObject({
  hostId: z.string().optional(),
  databaseUrl: z.string().optional(),
  allowedRoots: z.array(z.string()).optional(),
  volumeBase: z.string().optional(),
  importDirectory: z.string().optional(),
  allowedIntents: z.array(z.string()).optional(),
  allowedVolumes: z.array(z.string()).optional(),
  maxRestoreBytes: z.number().optional(),
  undoWindowSeconds: z.number().optional(),
  inventory: z.string().optional(),
  dockerHost: z.string().optional(),
  logLevel: z.string().optional(),
});
export type AgentJson = z.output<typeof AGENT_JSON>;

export type Environment = Readonly<Record<string, string | undefined>>;

/** Where the state of this environment's agent lies. @throws RefloatError `CONFIG_INVALID` */
export function stateDirOf(env: Environment): string {
  return absolute('REFLOAT_STATE_DIR', text(env, 'REFLOAT_STATE_DIR') ?? DEFAULT_STATE_DIR);
}

export function agentJsonPath(stateDir: string): string {
  return join(stateDir, 'agent.json');
}

/** Reads `agent.json` of the state directory, if there is one. @throws RefloatError `CONFIG_INVALID` */
export async function loadConfig(env: Environment): Promise<AgentConfig> {
  const stateDir = stateDirOf(env);
  return parseConfig(env, await readAgentJson(agentJsonPath(stateDir)));
}

/** The pure part: environment over file over defaults. @throws RefloatError `CONFIG_INVALID` naming the variable */
export function parseConfig(env: Environment, file: AgentJson): AgentConfig {
  const roots =
    text(env, 'REFLOAT_ALLOWED_ROOTS')
      ?.split(':')
      .filter((root) => root !== '') ??
    file.allowedRoots ??
    [];
  return {
    stateDir: stateDirOf(env),
    allowedRoots: roots.map((root) => absolute('REFLOAT_ALLOWED_ROOTS', root)),
    volumeBase: absolute(
      'REFLOAT_VOLUME_BASE',
      text(env, 'REFLOAT_VOLUME_BASE') ?? file.volumeBase ?? DEFAULT_VOLUME_BASE,
    ),
    importDirectory: importDirectory(text(env, 'REFLOAT_IMPORT_DIR') ?? file.importDirectory),
    allowedIntents: allowedIntents(listed(env, 'REFLOAT_ALLOWED_INTENTS') ?? file.allowedIntents),
    allowedVolumes: listed(env, 'REFLOAT_ALLOWED_VOLUMES') ?? file.allowedVolumes ?? null,
    maxRestoreBytes: maxRestoreBytes(text(env, 'REFLOAT_MAX_RESTORE_BYTES') ?? file.maxRestoreBytes),
    undoWindowSeconds: undoWindow(text(env, 'REFLOAT_UNDO_WINDOW_SECONDS'), file.undoWindowSeconds),
    inventory: inventory(text(env, 'REFLOAT_INVENTORY') ?? file.inventory ?? 'all'),
    dockerHost: dockerHost(text(env, 'DOCKER_HOST') ?? file.dockerHost),
    databaseUrl: databaseUrl(text(env, 'REFLOAT_AGENT_DATABASE_URL') ?? file.databaseUrl),
    hostId: hostId(file.hostId),
    logLevel: logLevel(text(env, 'REFLOAT_LOG') ?? file.logLevel ?? 'info'),
  };
}

export async function readAgentJson(path: string): Promise<AgentJson> {
  let content: string;
  try {
    content = await readFile(path, 'utf8');
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return {};
    throw invalid('agent.json', `${path} cannot be read`, error);
  }
  let json: unknown;
  try {
    json = JSON.parse(content);
  } catch {
    // The parser's message quotes the text, which may hold the password: it is left out.
    throw invalid('agent.json', `${path} is not JSON`);
  }
  const parsed = AGENT_JSON.safeParse(json);
  if (parsed.success) return parsed.data;
  const where = parsed.error.issues
    .map((issue) => (issue.code === 'unrecognized_keys' ? issue.keys.join(', ') : issue.path.join('.')))
    .join('; ');
  throw invalid('agent.json', `${path} is not valid: ${where}`);
}

/** An empty variable counts as one that is not there. */
function text(env: Environment, name: string): string | undefined {
  const value = env[name];
  return value === undefined || value === '' ? undefined : value;
}

function absolute(name: string, path: string): string {
  const clean = normalize(path);
  const bare = clean.length > 1 && clean.endsWith('/') ? clean.slice(0, -1) : clean;
  if (!path.startsWith('/') || path.includes('\0') || path.split('/').includes('..')) {
    throw invalid(name, `${name} must be an absolute path without "..", and is ${JSON.stringify(path)}`);
  }
  return bare;
}

function importDirectory(path: string | undefined): string | undefined {
  return path === undefined ? undefined : absolute('REFLOAT_IMPORT_DIR', path);
}

function listed(env: Environment, name: string): string[] | undefined {
  return text(env, name)
    ?.split(/[\s,]+/)
    .filter((part) => part !== '');
}

function allowedIntents(names: readonly string[] | undefined): ReadonlySet<IntentKind> {
  const kinds = new Set<IntentKind>();
  for (const name of names ?? INTENT_KINDS) {
    const kind = INTENT_KINDS.find((known) => known === name);
    if (kind === undefined) {
      throw invalid(
        'REFLOAT_ALLOWED_INTENTS',
        `REFLOAT_ALLOWED_INTENTS must be of ${INTENT_KINDS.join(', ')}, and has ${JSON.stringify(name)}`,
      );
    }
    kinds.add(kind);
  }
  return kinds;
}

function maxRestoreBytes(value: string | number | undefined): number | null {
  if (value === undefined) return null;
  const bytes = typeof value === 'number' ? value : /^\d{1,16}$/.test(value) ? Number(value) : Number.NaN;
  if (Number.isSafeInteger(bytes) && bytes >= 0) return bytes;
  throw invalid('REFLOAT_MAX_RESTORE_BYTES', 'REFLOAT_MAX_RESTORE_BYTES must be a whole number of bytes');
}

function undoWindow(variable: string | undefined, member: number | undefined): number {
  const seconds =
    variable === undefined
      ? (member ?? DEFAULT_UNDO_WINDOW_SECONDS)
      : /^\d{1,9}$/.test(variable)
        ? Number(variable)
        : Number.NaN;
  if (!Number.isSafeInteger(seconds) || seconds < 0 || seconds > MAX_UNDO_WINDOW_SECONDS) {
    throw invalid(
      'REFLOAT_UNDO_WINDOW_SECONDS',
      `REFLOAT_UNDO_WINDOW_SECONDS must be a whole number of seconds from 0 to ${MAX_UNDO_WINDOW_SECONDS}`,
    );
  }
  return seconds;
}

function inventory(value: string): AgentConfig['inventory'] {
  const known = INVENTORIES.find((each) => each === value);
  if (known !== undefined) return known;
  throw invalid(
    'REFLOAT_INVENTORY',
    `REFLOAT_INVENTORY must be one of ${INVENTORIES.join(', ')}, and is ${JSON.stringify(value)}`,
  );
}

function dockerHost(value: string | undefined): string | undefined {
  if (value === undefined || /^(unix|tcp|http|https|ssh):\/\/./.test(value)) return value;
  throw invalid('DOCKER_HOST', `DOCKER_HOST must begin with unix:// or tcp://, and is ${JSON.stringify(value)}`);
}

function databaseUrl(value: string | undefined): string | undefined {
  if (value === undefined) return undefined;
  const protocol = URL.canParse(value) ? new URL(value).protocol : '';
  if (protocol === 'postgres:' || protocol === 'postgresql:') return value;
  throw invalid('REFLOAT_AGENT_DATABASE_URL', 'REFLOAT_AGENT_DATABASE_URL must be a postgres:// address');
}

function hostId(value: string | undefined): string | undefined {
  if (value === undefined || isUuid(value)) return value?.toLowerCase();
  throw invalid('agent.json', 'hostId in agent.json must be a UUID');
}

function logLevel(value: string): string {
  if (LOG_LEVELS.includes(value)) return value;
  throw invalid('REFLOAT_LOG', `REFLOAT_LOG must be one of ${LOG_LEVELS.join(', ')}, and is ${JSON.stringify(value)}`);
}

function invalid(setting: string, message: string, cause?: unknown): RefloatError {
  return new RefloatError('CONFIG_INVALID', message, {
    hint:
      setting === 'agent.json'
        ? 'Correct the file, or enrol this host again.'
        : `Correct ${setting} in the environment or in agent.json.`,
    details: { setting },
    ...(cause === undefined ? {} : { cause }),
  });
}
