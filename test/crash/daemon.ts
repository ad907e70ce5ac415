/**
 * A Docker daemon without containers: the calls that the agent makes, over a real unix socket, with Docker's answers. It
 * makes a case of a sweep cost milliseconds where the real engine takes half a second; `daemon.test.ts` holds it against that.
 *
 * "The application" of a container looks at its mounts in the moment in which it starts: `onStart` is told, and says whether
 * it goes on running or ends. Restart policies act as Docker's do, also when the daemon or the host starts again. With `stopMs` it
 * takes its time to end when it is told to, as most do; it ends then also when whoever asked for it is gone.
 */
import { randomBytes } from 'node:crypto';
import { rmSync } from 'node:fs';
import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http';
import {
  type Answer,
  conflict,
  type DaemonContainer,
  exists,
  inspected,
  mountsOf,
  NOTHING,
  refusal,
} from './daemon-answers.ts';

export type { DaemonContainer };

export interface DaemonOptions {
  readonly socket: string;
  /** References and ids of the images that are there, with their id. */
  readonly images: Readonly<Record<string, string>>;
  /** False when the application does not like what it finds, and ends at once. */
  readonly onStart: (container: DaemonContainer) => boolean;
}

type Handler = (
  container: DaemonContainer,
  query: URLSearchParams,
  body: Record<string, unknown>,
) => Answer | Promise<Answer>;

/** A container that was told to end, and has not yet. */
interface Ending {
  readonly ended: Promise<void>;
  /** At once, as when the host loses power. */
  readonly end: () => void;
}

const LIMIT_OF_BODY = 1_048_576;

export class Daemon {
  readonly dockerHost: string;
  containers: DaemonContainer[] = [];
  /** While true every call is answered by a closed connection, as by a host without power. */
  isDead = false;
  /** How long an application takes to end once it is told to; 0: it has ended before the stop is answered, and nobody sees it end. */
  stopMs = 0;
  readonly #options: DaemonOptions;
  readonly #endings = new Map<DaemonContainer, Ending>();
  #server: Server | null = null;

  constructor(options: DaemonOptions) {
    this.#options = options;
    this.dockerHost = `unix://${options.socket}`;
  }

  async listen(): Promise<void> {
    const server = createServer((request, response) => void this.#serve(request, response));
    rmSync(this.#options.socket, { force: true });
    await new Promise<void>((resolve) => server.listen(this.#options.socket, resolve));
    this.#server = server;
  }

  async close(): Promise<void> {
    const server = this.#server;
    if (server === null) return;
    this.#endAll();
    server.closeAllConnections();
    await new Promise((resolve) => server.close(resolve));
  }

  /** A copy of all containers, and putting it back: what a case begins with. */
  save(): DaemonContainer[] {
    return structuredClone(this.containers);
  }

  load(saved: readonly DaemonContainer[]): void {
    this.#endAll();
    this.containers = structuredClone([...saved]);
    this.isDead = false;
  }

  /** Names of the containers that were told to end, and have not yet. */
  get ending(): string[] {
    return [...this.#endings.keys()].map(({ name }) => name);
  }

  /** Resolves when none is left of those that were told to end. */
  async allEnded(): Promise<void> {
    await Promise.all([...this.#endings.values()].map(({ ended }) => ended));
  }

  #endAll(): void {
    for (const { end } of [...this.#endings.values()]) end();
  }

  /** The host loses power, and the daemon comes up before anything else: restart policies decide who runs. */
  restartHost(): void {
    this.#endAll();
    const ran = this.containers.filter(({ state }) => state === 'running' || state === 'paused');
    for (const container of ran) {
      container.state = 'exited';
      container.exitCode = 255;
    }
    for (const container of this.containers) {
      const { Name } = container.policy;
      const again =
        (Name === 'always' && container.state !== 'created') ||
        (Name === 'unless-stopped' && container.state !== 'created' && !container.stoppedByHand) ||
        (Name === 'on-failure' && ran.includes(container));
      if (again) this.#start(container);
    }
    this.isDead = false;
  }

  async #serve(request: IncomingMessage, response: ServerResponse): Promise<void> {
    const chunks: Buffer[] = [];
    let bytes = 0;
    try {
      for await (const chunk of request) {
        bytes += (chunk as Buffer).length;
        if (bytes <= LIMIT_OF_BODY) chunks.push(chunk as Buffer);
      }
    } catch {
      // The agent was killed in the middle of its request: as with Docker, that call never happened.
      return;
    }
    if (this.isDead) {
      request.socket.destroy();
      return;
    }
    const url = new URL(request.url ?? '/', 'http://docker');
    const text = Buffer.concat(chunks).toString();
    const body = (text === '' ? {} : JSON.parse(text)) as Record<string, unknown>;
    const { status, body: said } = await this.#answer(request.method ?? 'GET', url, body);
    if (said === undefined) {
      response.writeHead(status).end();
      return;
    }
    response.writeHead(status, { 'content-type': 'application/json' }).end(JSON.stringify(said));
  }

  #answer(method: string, url: URL, body: Record<string, unknown>): Answer | Promise<Answer> {
    const path = url.pathname.replace(/^\/v1\.\d+/, '');
    const query = url.searchParams;
    if (path === '/version') return { status: 200, body: { Version: '20.10.24' } };
    if (path === '/containers/json') return { status: 200, body: this.#list(query) };
    if (path === '/containers/create') return this.#create(query.get('name') ?? '', body);
    const image = /^\/images\/(.+)\/json$/.exec(path)?.[1];
    if (image !== undefined) return this.#image(decodeURIComponent(image));
    if (path.startsWith('/volumes/')) return refusal(404, 'no such volume');
    const [, id = '', verb = ''] = /^\/containers\/([^/]+)(?:\/([a-z]+))?$/.exec(path) ?? [];
    const container = this.#find(decodeURIComponent(id));
    if (container === undefined) return refusal(404, `No such container: ${id}`);
    const handler = method === 'DELETE' ? this.#remove : this.#verbs[verb];
    return handler === undefined ? refusal(404, 'page not found') : handler(container, query, body);
  }

  readonly #verbs: Readonly<Record<string, Handler>> = {
    json: (container) => ({ status: 200, body: inspected(container) }),
    logs: () => ({ status: 200 }),
    start: (container) => {
      if (container.state === 'paused') return refusal(409, 'cannot start a paused container, try unpause instead');
      if (container.state === 'running') return { status: 304 };
      const missing = container.mounts.find(({ Type, Source }) => Type === 'bind' && !exists(Source));
      if (missing !== undefined)
        return refusal(400, `invalid mount config for type "bind": bind source path does not exist: ${missing.Source}`);
      container.stoppedByHand = false;
      this.#start(container);
      return NOTHING;
    },
    stop: (container) => {
      container.stoppedByHand = true;
      if (container.state !== 'running' && container.state !== 'paused') return { status: 304 };
      // A second stop is told to the application again, and waits for the same end.
      const ending = this.#endings.get(container) ?? this.#end(container);
      return ending === null ? NOTHING : ending.ended.then(() => NOTHING);
    },
    pause: (container) => {
      if (container.state === 'paused') return refusal(409, `Container ${container.id} is already paused`);
      if (container.state !== 'running') return refusal(409, `Container ${container.id} is not running`);
      container.state = 'paused';
      return NOTHING;
    },
    unpause: (container) => {
      if (container.state !== 'paused') return refusal(500, `Container ${container.id} is not paused`);
      container.state = 'running';
      return NOTHING;
    },
    rename: (container, query) => {
      const name = query.get('name') ?? '';
      if (name === container.name) return refusal(400, 'Renaming a container with the same name as its current name');
      if (this.containers.some((one) => one.name === name)) return conflict(name);
      container.name = name;
      return NOTHING;
    },
    update: (container, _query, body) => {
      const policy = body['RestartPolicy'] as DaemonContainer['policy'] | undefined;
      if (policy !== undefined && policy.Name !== '') container.policy = { ...policy };
      return { status: 200, body: { Warnings: null } };
    },
    wait: () => ({ status: 200, body: { StatusCode: 0 } }),
  };

  readonly #remove: Handler = (container) => {
    if (container.state === 'running' || container.state === 'paused')
      return refusal(409, `You cannot remove a ${container.state} container ${container.id}.`);
    this.containers = this.containers.filter((one) => one !== container);
    return NOTHING;
  };

  /** Null when it has ended. The timer knows nothing of the request: Docker stops to the end what it has begun to stop. */
  #end(container: DaemonContainer): Ending | null {
    const exit = (): void => {
      container.state = 'exited';
      container.exitCode = 0;
    };
    if (this.stopMs === 0) {
      exit();
      return null;
    }
    const { promise, resolve } = Promise.withResolvers<void>();
    const end = (): void => {
      clearTimeout(timer);
      this.#endings.delete(container);
      exit();
      resolve();
    };
    const timer = setTimeout(end, this.stopMs);
    const ending = { ended: promise, end };
    this.#endings.set(container, ending);
    return ending;
  }

  #start(container: DaemonContainer): void {
    container.state = 'running';
    container.startedAt = new Date().toISOString();
    container.exitCode = 0;
    if (this.#options.onStart(container)) return;
    container.state = 'exited';
    container.exitCode = 1;
  }

  #create(name: string, body: Record<string, unknown>): Answer {
    if (this.containers.some((one) => one.name === name)) return conflict(name);
    const image = String(body['Image']);
    const imageId = this.#options.images[image];
    if (imageId === undefined) return refusal(404, `No such image: ${image}`);
    const host = body['HostConfig'] as {
      RestartPolicy?: DaemonContainer['policy'];
      Mounts?: DaemonContainer['mounts'];
    };
    const missing = host.Mounts?.find(({ Type, Source }) => Type === 'bind' && !exists(Source));
    if (missing !== undefined)
      return refusal(400, `invalid mount config for type "bind": bind source path does not exist: ${missing.Source}`);
    const container: DaemonContainer = {
      id: randomBytes(32).toString('hex'),
      name,
      imageId,
      image,
      state: 'created',
      exitCode: 0,
      restartCount: 0,
      startedAt: '0001-01-01T00:00:00Z',
      createdAt: new Date().toISOString(),
      policy: { ...(host.RestartPolicy ?? { Name: 'no', MaximumRetryCount: 0 }) },
      labels: { ...(body['Labels'] as Record<string, string> | undefined) },
      mounts: host.Mounts ?? [],
      stoppedByHand: false,
    };
    this.containers.push(container);
    return { status: 201, body: { Id: container.id, Warnings: [] } };
  }

  #image(reference: string): Answer {
    const id = this.#options.images[reference];
    return id === undefined ? refusal(404, `No such image: ${reference}`) : { status: 200, body: { Id: id } };
  }

  #list(query: URLSearchParams): unknown {
    const filters = JSON.parse(query.get('filters') ?? '{}') as { label?: string[]; status?: string[] };
    const all = query.get('all') === 'true' || filters.status !== undefined;
    return this.containers
      .filter((one) => all || one.state === 'running' || one.state === 'paused')
      .filter((one) => filters.status?.includes(one.state) ?? true)
      .filter((one) =>
        (filters.label ?? []).every((label) => {
          const [key = '', value] = label.split(/=(.*)/s);
          return value === undefined ? key in one.labels : one.labels[key] === value;
        }),
      )
      .map((one) => ({ Id: one.id, Names: [`/${one.name}`], Labels: one.labels, Mounts: mountsOf(one) }));
  }

  #find(id: string): DaemonContainer | undefined {
    return (
      this.containers.find((one) => one.id === id || one.name === id) ??
      this.containers.find((one) => id.length >= 4 && one.id.startsWith(id))
    );
  }
}
