/**
 * Finds a Docker engine, or makes one.
 *
 * Guarantees: an engine that answers at DOCKER_HOST, or at the default socket, is used and never touched. A private one has its
 * own data directory, socket and containerd, no network bridge, and changes neither firewall rules nor forwarding of the host.
 * Does not guarantee: that a private engine ends when this process is killed; the next start with the same directory finds it and
 * goes on with it.
 */
import { spawn, spawnSync } from 'node:child_process';
import { createHash } from 'node:crypto';
import { closeSync, existsSync, mkdirSync, openSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { RefloatError } from '../../db/errors.ts';
import { DEFAULT_DOCKER_HOST } from './docker-host.ts';
import { createEngine } from './dockerode-engine.ts';
import { findProgram, installDockerd } from './install-docker.ts';

export interface EngineHandle {
  readonly dockerHost: string;
  /** True when it was started here, and `stop` ends it. */
  readonly isPrivate: boolean;
  /** Ends a private engine, and its containers with it; nothing for any other. SIGKILL leaves the containers running. */
  stop(signal?: 'SIGTERM' | 'SIGKILL'): Promise<void>;
}

export interface EnsureEngineOptions {
  /** DOCKER_HOST; when it is given nothing else is tried. */
  readonly dockerHost: string | undefined;
  /** Install and start a private engine where none answers. */
  readonly install: boolean;
  /** Where the private engine keeps images, containers and its log. */
  readonly directory: string;
  /** Told to the person, one line each. */
  readonly say: (line: string) => void;
}

/**
 * @throws RefloatError `ENGINE_UNAVAILABLE` with the command to run (exit code 2)
 */
export async function ensureEngine(options: EnsureEngineOptions): Promise<EngineHandle> {
  // One that was made here before holds workloads; it is used again without anybody asking for it.
  const install = options.install || hasPrivateEngine(options.directory);
  return (await engineOrDaemon({ ...options, install })) ?? startPrivateEngine(options.directory, options.say);
}

/**
 * The part that may ask a person, or take minutes: afterwards `ensureEngine` finds an engine, or a daemon that it can start.
 * @throws RefloatError as `ensureEngine`
 */
export async function prepareEngine(options: Omit<EnsureEngineOptions, 'directory'>): Promise<void> {
  await engineOrDaemon(options);
}

/** True when a private engine was started in this directory before. */
export function hasPrivateEngine(directory: string): boolean {
  return existsSync(join(directory, DATA));
}

/** Null when no engine answers, and dockerd is there to be started. */
async function engineOrDaemon(options: Omit<EnsureEngineOptions, 'directory'>): Promise<EngineHandle | null> {
  if (options.dockerHost !== undefined && options.dockerHost !== '') return answering(options.dockerHost);
  const found = await answering(DEFAULT_DOCKER_HOST).catch((thrown: unknown) => thrown);
  if (!(found instanceof Error)) return found as EngineHandle;
  if (!options.install) throw found;
  // dockerd can only start containers as root.
  if (process.getuid?.() !== 0) {
    throw needsPerson(
      'no Docker engine answers, and this is not root',
      'Install Docker ("apt-get install docker.io") and start it, or run this as root.',
    );
  }
  if (findProgram('dockerd') !== null) return null;
  await installDockerd(options.say);
  // The package may have started its service.
  return answering(DEFAULT_DOCKER_HOST).catch(() => null);
}

async function answering(dockerHost: string): Promise<EngineHandle> {
  await createEngine(dockerHost, { quickMs: 10_000 }).ping();
  return { dockerHost, isPrivate: false, stop: async () => undefined };
}

const DATA = 'data';
/** How long dockerd may take to answer; the first start on a slow disk makes its stores. */
const START_MS = 60_000;
const STOP_MS = 30_000;
const POLL_MS = 50;

interface Places {
  readonly directory: string;
  /** Where sockets are; short. */
  readonly sockets: string;
  readonly socket: string;
  readonly execRoot: string;
  readonly dataRoot: string;
  readonly pidFile: string;
  readonly logFile: string;
}

/**
 * Starts dockerd in a directory of its own, or goes on with one that was started there before.
 * @throws RefloatError `ENGINE_UNAVAILABLE` with the end of its log
 */
export async function startPrivateEngine(
  directory: string,
  say: (line: string) => void = () => undefined,
): Promise<EngineHandle> {
  const places = placesFor(directory);
  const handle: EngineHandle = {
    dockerHost: `unix://${places.socket}`,
    isPrivate: true,
    stop: async (signal = 'SIGTERM') => stopPrivateEngine(places, signal),
  };
  const failed = new AbortController();
  if (runningDockerd(places) === null) {
    rmSync(places.pidFile, { force: true });
    rmSync(places.socket, { force: true });
    await endOrphan(places);
    say(`starting a private Docker engine in ${directory}`);
    const log = openSync(places.logFile, 'a', 0o600);
    // Detached, so that Ctrl-C in a terminal ends us first, and us it.
    const child = spawn(findProgram('dockerd') ?? 'dockerd', daemonArguments(places), {
      detached: true,
      stdio: ['ignore', log, log],
    });
    closeSync(log);
    child.unref();
    child.once('error', (error) => failed.abort(error));
    child.once('exit', (code, signal) => failed.abort(new Error(`dockerd ended with ${signal ?? `code ${code}`}`)));
  }
  await untilItAnswers(handle.dockerHost, places.logFile, failed.signal);
  return handle;
}

function daemonArguments(places: Places): string[] {
  // An empty configuration, so that the host's own /etc/docker/daemon.json cannot contradict the arguments.
  const configuration = join(places.directory, 'daemon.json');
  writeFileSync(configuration, '{}');
  // If a containerd of the host runs, dockerd uses it; there, only a namespace of our own keeps our containers apart.
  const name = `refloat-${hashOf(places.directory)}`;
  return [
    ...['--bridge=none', '--iptables=false', '--ip6tables=false', '--ip-forward=false', '--ip-masq=false'],
    ...['--config-file', configuration, '--data-root', places.dataRoot, '--exec-root', places.execRoot],
    ...['--pidfile', places.pidFile, '--host', `unix://${places.socket}`],
    ...['--containerd-namespace', name, '--containerd-plugins-namespace', `${name}-plugins`],
  ];
}

/**
 * Where sockets go: a path of a socket has at most 107 bytes, and containerd puts some of its own deep below exec-root.
 * Within the directory if that is short; else below /run, by a name made from the directory's.
 */
function placesFor(directory: string): Places {
  const sockets = directory.length <= 40 ? directory : join('/run', `refloat-${hashOf(directory)}`);
  for (const place of new Set([directory, sockets])) mkdirSync(place, { recursive: true, mode: 0o711 });
  return {
    directory,
    sockets,
    socket: join(sockets, 'docker.sock'),
    execRoot: join(sockets, 'x'),
    dataRoot: join(directory, DATA),
    pidFile: join(directory, 'dockerd.pid'),
    logFile: join(directory, 'dockerd.log'),
  };
}

function hashOf(text: string): string {
  return createHash('sha256').update(text).digest('hex').slice(0, 12);
}

function runningDockerd(places: Places): number | null {
  return processIn(places.pidFile, 'dockerd', places.dataRoot);
}

/** The process in a pid file, if it lives and is what was started here: the number may be another process's by now. */
function processIn(pidFile: string, program: string, argument: string): number | null {
  try {
    const pid = Number(readFileSync(pidFile, 'utf8').trim());
    const commandLine = readFileSync(`/proc/${pid}/cmdline`, 'utf8').split('\0');
    return commandLine[0]?.endsWith(program) === true && commandLine.includes(argument) ? pid : null;
  } catch {
    return null;
  }
}

async function untilItAnswers(dockerHost: string, logFile: string, failed: AbortSignal): Promise<void> {
  const engine = createEngine(dockerHost, { quickMs: 5000 });
  const until = performance.now() + START_MS;
  let last: unknown;
  while (performance.now() < until && !failed.aborted) {
    try {
      await engine.ping();
      return;
    } catch (thrown) {
      last = thrown;
    }
    await delay(POLL_MS, undefined, { signal: failed }).catch(() => undefined);
  }
  const why = failed.aborted ? String((failed.reason as Error).message) : 'it did not answer in time';
  throw new RefloatError(
    'ENGINE_UNAVAILABLE',
    `the private Docker engine did not start: ${why}; its log ends with: ${endOf(logFile)}`,
    {
      hint: `Look at ${logFile}, or install and start Docker yourself and set DOCKER_HOST.`,
      disposition: 'retry',
      cause: failed.aborted ? failed.reason : last,
    },
  );
}

async function stopPrivateEngine(places: Places, signal: 'SIGTERM' | 'SIGKILL'): Promise<void> {
  const dockerd = runningDockerd(places);
  if (dockerd !== null) await end(dockerd, signal);
  if (signal === 'SIGKILL') return;
  await endOrphan(places);
  unmountBelow([places.directory, places.sockets]);
  if (places.sockets !== places.directory) rmSync(places.sockets, { recursive: true, force: true });
}

/**
 * dockerd takes its containerd with it, unless dockerd itself was killed. The next dockerd would wait for the old one in vain
 * if its pid file names a process that has ended but that nobody has waited for yet.
 */
async function endOrphan(places: Places): Promise<void> {
  const directory = join(places.execRoot, 'containerd');
  const pidFile = join(directory, 'containerd.pid');
  const orphan = processIn(pidFile, 'containerd', join(directory, 'containerd.toml'));
  if (orphan !== null) await end(orphan, 'SIGTERM');
  rmSync(pidFile, { force: true });
}

/** A dockerd that was killed leaves mounts behind, of its data directory on itself and of containers' file systems. */
function unmountBelow(directories: readonly string[]): void {
  const mounted = readFileSync('/proc/self/mountinfo', 'utf8')
    .split('\n')
    .flatMap((line) => line.split(' ')[4] ?? [])
    .filter((point) => directories.some((directory) => point.startsWith(`${directory}/`)));
  // The one mounted last first.
  for (const point of mounted.reverse()) spawnSync('umount', ['-l', point], { stdio: 'ignore' });
}

async function end(pid: number, signal: 'SIGTERM' | 'SIGKILL'): Promise<void> {
  process.kill(pid, signal);
  const until = performance.now() + STOP_MS;
  while (performance.now() < until) {
    if (!isThere(pid)) return;
    await delay(POLL_MS);
  }
  process.kill(pid, 'SIGKILL');
  while (isThere(pid)) await delay(POLL_MS);
}

/** A process that ended but was not waited for is gone too. */
function isThere(pid: number): boolean {
  try {
    return !/^State:\s+Z/m.test(readFileSync(`/proc/${pid}/status`, 'utf8'));
  } catch {
    return false;
  }
}

function endOf(logFile: string): string {
  try {
    return readFileSync(logFile, 'utf8').trim().split('\n').slice(-5).join(' | ');
  } catch {
    return '(no log)';
  }
}

function needsPerson(message: string, hint: string): RefloatError {
  return new RefloatError('ENGINE_UNAVAILABLE', message, { hint, disposition: 'refuse' });
}
