/**
 * The Docker engine over dockerode. Works with engine 20.10 (API 1.41) and newer.
 *
 * Guarantees: those of `engine.ts`. Containers are created with mounts whose source must exist. A stop's time-out is the
 * container's own plus a margin, so that a container that ignores SIGTERM is killed by Docker, not given up by us.
 * Does not guarantee: that a call which timed out had no effect.
 */
import { setTimeout as delay } from 'node:timers/promises';
import Docker from 'dockerode';
import { RefloatError } from '../../db/errors.ts';
import { isImageReference } from '../../db/workload.ts';
import { type CallOptions, call, callAndRead, timedOut } from './call.ts';
import { type ContainerConfiguration, containerConfiguration } from './configuration.ts';
import { activeContainers, containerInfo } from './container-info.ts';
import { createBody, dockerPolicy } from './create-body.ts';
import { DEFAULT_DOCKER_HOST, type DockerEnvironment, dockerOptions } from './docker-host.ts';
import type { ActiveContainer, ContainerInfo, ContainerSpec, Engine, RestartPolicy } from './engine.ts';
import { contradiction, imageGone, startFailure, statusOf } from './failures.ts';
import { demultiplex } from './multiplex.ts';
import { part, taggedReference } from './references.ts';
import { registryAuth } from './registry-auth.ts';

export interface EngineOptions {
  /** Aborted when everything must end now: calls that are under way reject with its reason. */
  readonly signal?: AbortSignal;
  /** For calls that answer at once, such as inspect. Default 30 s. */
  readonly quickMs?: number;
  /** For calls that work, such as create, start and remove. Default 120 s. */
  readonly slowMs?: number;
  /** Above a container's own stop time-out: killing and unmounting on a loaded host. Default 60 s. */
  readonly stopMarginMs?: number;
  readonly environment?: DockerEnvironment;
}

const EXEC_POLL_MS = 50;
const START_ATTEMPTS = 2;
const UPDATE_ATTEMPTS = 20;
const UPDATE_PAUSE_MS = 25;
const PULL_MS = 3_600_000;
/** Bytes. */
const KEPT_OF_EXEC = 64 * 1024;
const KEPT_OF_LOG = 16 * 1024;
const INSPECTS_AT_ONCE = 16;

/**
 * @param dockerHost as in DOCKER_HOST; default the local socket
 * @throws RefloatError `CONFIG_INVALID` for an address that cannot be one; nothing is connected yet
 */
export function createEngine(dockerHost: string = DEFAULT_DOCKER_HOST, options: EngineOptions = {}): Engine {
  return new DockerodeEngine(dockerHost === '' ? DEFAULT_DOCKER_HOST : dockerHost, options);
}

type Ask = Omit<CallOptions, 'timeoutMs'> & { readonly timeoutMs?: number };

class DockerodeEngine implements Engine {
  readonly #docker: Docker;
  readonly #address: string;
  readonly #signal: AbortSignal | undefined;
  readonly #quickMs: number;
  readonly #slowMs: number;
  readonly #stopMarginMs: number;

  constructor(address: string, options: EngineOptions) {
    this.#docker = new Docker(dockerOptions(address, options.environment ?? process.env));
    this.#address = address;
    this.#signal = options.signal;
    this.#quickMs = options.quickMs ?? 30_000;
    this.#slowMs = options.slowMs ?? 120_000;
    this.#stopMarginMs = options.stopMarginMs ?? 60_000;
  }

  async #ask(request: Ask): Promise<unknown> {
    return call(this.#docker, this.#address, { timeoutMs: this.#quickMs, signal: this.#signal, ...request });
  }

  async #act(id: string, verb: string, more: Partial<CallOptions> = {}): Promise<void> {
    const path = `/containers/${part(id)}/${verb}`;
    await this.#ask({ method: 'POST', path, timeoutMs: this.#slowMs, doing: `${verb} container ${id}`, ...more });
  }

  /** Reads an answer to its end, and keeps its last `limit` bytes. */
  async #read(request: CallOptions, limit: number, framed: boolean): Promise<string> {
    const options = { signal: this.#signal, ...request };
    return callAndRead(this.#docker, this.#address, options, (answer) => demultiplex(answer, limit, framed));
  }

  async ping(): Promise<{ version: string }> {
    const answer = (await this.#ask({ method: 'GET', path: '/version', doing: 'say its version' })) as {
      Version?: unknown;
    } | null;
    return { version: String(answer?.Version ?? 'unknown') };
  }

  async list(filter: { label?: string } = {}): Promise<ContainerInfo[]> {
    const filters = filter.label === undefined ? {} : { label: [filter.label] };
    const query = { all: 'true', filters: JSON.stringify(filters) };
    const answer = await this.#ask({ method: 'GET', path: '/containers/json', query, doing: 'list containers' });
    const ids = (answer as { Id: string }[]).map((container) => container.Id);
    const found: ContainerInfo[] = [];
    for (let from = 0; from < ids.length; from += INSPECTS_AT_ONCE) {
      const some = await Promise.all(ids.slice(from, from + INSPECTS_AT_ONCE).map((id) => this.inspect(id)));
      found.push(...some.filter((info) => info !== null));
    }
    return found;
  }

  async activeMounts(): Promise<ActiveContainer[]> {
    const filters = JSON.stringify({ status: ['running', 'paused', 'restarting'] });
    const answer = await this.#ask({
      method: 'GET',
      path: '/containers/json',
      query: { filters },
      doing: 'list containers',
    });
    return activeContainers(answer);
  }

  async inspect(id: string): Promise<ContainerInfo | null> {
    const answer = await this.#ask({
      method: 'GET',
      path: `/containers/${part(id)}/json`,
      alsoFine: [404],
      doing: `inspect container ${id}`,
    });
    return answer === null ? null : containerInfo(answer);
  }

  async configuration(id: string): Promise<ContainerConfiguration | null> {
    const doing = `inspect container ${id}`;
    const container = await this.#ask({ method: 'GET', path: `/containers/${part(id)}/json`, alsoFine: [404], doing });
    if (container === null) return null;
    const { Image } = container as { Image: string };
    const path = `/images/${part(Image)}/json`;
    const image = await this.#ask({ method: 'GET', path, alsoFine: [404], doing: `inspect image ${Image}` });
    return image === null ? null : containerConfiguration(container, image);
  }

  async create(spec: ContainerSpec): Promise<string> {
    const request = {
      method: 'POST',
      path: '/containers/create',
      query: { name: spec.name },
      body: createBody(spec),
      timeoutMs: this.#slowMs,
    } as const;
    const answer = await this.#ask({ ...request, doing: `create container ${spec.name}` });
    return (answer as { Id: string }).Id;
  }

  async start(id: string): Promise<boolean> {
    for (let attempt = 1; ; attempt += 1) {
      try {
        await this.#act(id, 'start');
        return true;
      } catch (thrown) {
        if (statusOf(thrown) !== 304) throw startFailure(thrown, id);
        // It runs already, says Docker.
        if ((await this.inspect(id))?.active === true) return false;
        // One that ended between the two answers is to be started after all.
        if (attempt === START_ATTEMPTS)
          throw contradiction(`container ${id} does not run, and the engine said that it does`, thrown);
      }
    }
  }

  async stop(id: string, timeoutSeconds: number): Promise<void> {
    const seconds = Math.max(0, Math.ceil(timeoutSeconds));
    await this.#act(id, 'stop', {
      query: { t: String(seconds) },
      alsoFine: [304, 404],
      timeoutMs: seconds * 1000 + this.#stopMarginMs,
    });
  }

  async pause(id: string): Promise<void> {
    await this.#act(id, 'pause').catch((thrown: unknown) => this.#unlessState(thrown, id, 'paused'));
  }

  async unpause(id: string): Promise<void> {
    await this.#act(id, 'unpause').catch((thrown: unknown) => this.#unlessState(thrown, id, 'running'));
  }

  async #unlessState(thrown: unknown, id: string, state: ContainerInfo['state']): Promise<void> {
    if (statusOf(thrown) !== undefined && (await this.inspect(id))?.state === state) return;
    throw thrown;
  }

  async remove(id: string): Promise<void> {
    // Without force: what still runs is not removed by mistake.
    const request = {
      method: 'DELETE',
      path: `/containers/${part(id)}`,
      query: { force: 'false', v: 'false' },
      timeoutMs: this.#slowMs,
    } as const;
    try {
      await this.#ask({ ...request, doing: `remove container ${id}` });
    } catch (thrown) {
      if (statusOf(thrown) === 404) {
        if ((await this.inspect(id)) === null) return;
        throw contradiction(`container ${id} is there, and the engine said that it is not`, thrown);
      }
      // 409: it runs, or somebody removes it already. Of the latter, wait for the end; it then answers 404.
      if (statusOf(thrown) !== 409 || (await this.inspect(id))?.active === true) throw thrown;
      const wait = {
        method: 'POST',
        path: `/containers/${part(id)}/wait`,
        query: { condition: 'removed' },
        timeoutMs: this.#slowMs,
      } as const;
      await this.#ask({ ...wait, alsoFine: [404], doing: `remove container ${id}` });
    }
  }

  async rename(id: string, name: string): Promise<void> {
    await this.#act(id, 'rename', { query: { name } }).catch(async (thrown: unknown) => {
      // Docker refuses to give a container the name that it has.
      if (statusOf(thrown) !== undefined && (await this.inspect(id))?.name === name) return;
      throw thrown;
    });
  }

  async setRestartPolicy(id: string, policy: RestartPolicy): Promise<void> {
    const body = { RestartPolicy: dockerPolicy(policy) };
    for (let attempt = 1; ; attempt += 1) {
      try {
        await this.#act(id, 'update', { body, doing: `set the restart policy of container ${id}` });
        return;
      } catch (thrown) {
        // Docker updates the limits of the running process as well, and takes everything back when that ends meanwhile.
        if ((statusOf(thrown) ?? 0) < 500 || attempt === UPDATE_ATTEMPTS) throw thrown;
        await delay(UPDATE_PAUSE_MS);
      }
    }
  }

  async imageId(reference: string): Promise<string | null> {
    if (!isImageReference(reference)) return null;
    const answer = await this.#ask({
      method: 'GET',
      path: `/images/${reference}/json`,
      alsoFine: [404],
      doing: `inspect image ${reference}`,
    });
    return answer === null ? null : String((answer as { Id: unknown }).Id);
  }

  async pull(reference: string, signal?: AbortSignal): Promise<void> {
    const signals = [this.#signal, signal].filter((one) => one !== undefined);
    const query = { fromImage: taggedReference(reference) };
    const headers = registryAuth(reference, process.env);
    const request = {
      method: 'POST',
      path: '/images/create',
      query,
      headers,
      timeoutMs: PULL_MS,
      doing: `pull image ${reference}`,
    } as const;
    try {
      const text = await this.#read({ ...request, signal: AbortSignal.any(signals) }, KEPT_OF_LOG, false);
      // The status says 200 before Docker has asked the registry; a failure is a line of the answer.
      const failed = /"error"\s*:\s*"((?:[^"\\]|\\.)*)"/.exec(text);
      if (failed !== null) throw new Error(String(JSON.parse(`"${failed[1]}"`)));
    } catch (thrown) {
      if (thrown instanceof RefloatError && thrown.code !== 'ENGINE_FAILED') throw thrown;
      throw imageGone(reference, thrown);
    }
  }

  async logs(id: string, tail: number): Promise<string> {
    const query = { stdout: 'true', stderr: 'true', tail: String(tail) };
    const request = {
      method: 'GET',
      path: `/containers/${part(id)}/logs`,
      query,
      timeoutMs: this.#quickMs,
      doing: `read the log of container ${id}`,
    } as const;
    return this.#read(request, KEPT_OF_LOG, true).catch((thrown: unknown) => {
      if (statusOf(thrown) !== undefined) return '';
      throw thrown;
    });
  }

  async volume(name: string): ReturnType<Engine['volume']> {
    const answer = await this.#ask({
      method: 'GET',
      path: `/volumes/${part(name)}`,
      alsoFine: [404],
      doing: `inspect volume ${name}`,
    });
    if (answer === null) return null;
    const found = answer as { Driver: string; Mountpoint: string; Options?: Record<string, string> | null };
    return { driver: found.Driver, mountPoint: found.Mountpoint, options: found.Options ?? {} };
  }

  async createVolume(name: string, labels: Readonly<Record<string, string>>): Promise<void> {
    const body = { Name: name, Driver: 'local', Labels: labels };
    await this.#ask({
      method: 'POST',
      path: '/volumes/create',
      body,
      timeoutMs: this.#slowMs,
      doing: `create volume ${name}`,
    });
  }

  async exec(id: string, command: readonly string[], timeoutMs: number): Promise<{ exitCode: number; output: string }> {
    const doing = `run ${command[0] ?? 'a command'} in container ${id}`;
    const body = { AttachStdout: true, AttachStderr: true, Cmd: command };
    const created = (await this.#ask({ method: 'POST', path: `/containers/${part(id)}/exec`, body, doing })) as {
      Id: string;
    };
    const start = {
      method: 'POST',
      path: `/exec/${created.Id}/start`,
      body: { Detach: false, Tty: false },
      timeoutMs,
      doing,
    } as const;
    const until = performance.now() + timeoutMs;
    const output = await this.#read(start, KEPT_OF_EXEC, true);
    // A command may close its outputs and go on; Docker then has no exit code yet.
    for (;;) {
      const ended = (await this.#ask({ method: 'GET', path: `/exec/${created.Id}/json`, doing })) as {
        ExitCode: number | null;
      };
      if (ended.ExitCode !== null) return { exitCode: ended.ExitCode, output };
      if (performance.now() > until) throw timedOut(doing, timeoutMs);
      await delay(EXEC_POLL_MS, undefined, { signal: this.#signal });
    }
  }
}
