/**
 * From a DOCKER_HOST to how dockerode connects. Says nothing about whether anybody answers there.
 */
import { readFileSync } from 'node:fs';
import { Agent } from 'node:http';
import { join } from 'node:path';
import { inspect } from 'node:util';
import type { DockerOptions } from 'dockerode';
import { RefloatError } from '../../db/errors.ts';

export const DEFAULT_DOCKER_HOST = 'unix:///var/run/docker.sock';

/** The environment variables of the Docker client that say how to speak TLS and SSH. */
export type DockerEnvironment = Readonly<
  Partial<Record<'DOCKER_TLS_VERIFY' | 'DOCKER_CERT_PATH' | 'SSH_AUTH_SOCK', string>>
>;

/**
 * Understands `unix:///path`, `tcp://host:port` (with TLS when DOCKER_TLS_VERIFY is set or the port is 2376),
 * `http://`, `https://` and `ssh://user@host`.
 * @throws RefloatError `CONFIG_INVALID`
 */
export function dockerOptions(dockerHost: string, environment: DockerEnvironment): DockerOptions & { agent?: Agent } {
  if (dockerHost.startsWith('unix://')) {
    const socketPath = dockerHost.slice('unix://'.length);
    if (!socketPath.startsWith('/')) throw invalid(dockerHost);
    // No kept-alive connections: one left over from before the engine's restart would fail the first call after it.
    return { socketPath, host: undefined, port: undefined, protocol: 'http', agent: plainAgent() };
  }
  let url: URL;
  try {
    url = new URL(dockerHost.includes('://') ? dockerHost : `tcp://${dockerHost}`);
  } catch {
    throw invalid(dockerHost);
  }
  const host = url.hostname.replace(/^\[(.*)\]$/, '$1');
  if (host === '') throw invalid(dockerHost);
  switch (url.protocol) {
    case 'ssh:': {
      const sshOptions = environment.SSH_AUTH_SOCK === undefined ? {} : { agent: environment.SSH_AUTH_SOCK };
      return {
        protocol: 'ssh',
        host,
        port: url.port === '' ? 22 : Number(url.port),
        username: url.username === '' ? 'root' : decodeURIComponent(url.username),
        sshOptions,
      };
    }
    case 'tcp:':
    case 'http:':
    case 'https:': {
      const tls = url.protocol === 'https:' || url.port === '2376' || environment.DOCKER_TLS_VERIFY === '1';
      if (!tls)
        return {
          protocol: 'http',
          host,
          port: url.port === '' ? 2375 : Number(url.port),
          agent: plainAgent(),
        };
      return {
        protocol: 'https',
        host,
        port: url.port === '' ? 2376 : Number(url.port),
        ...certificates(environment.DOCKER_CERT_PATH),
      };
    }
    default:
      throw invalid(dockerHost);
  }
}

function certificates(directory: string | undefined): Pick<DockerOptions, 'ca' | 'cert' | 'key'> {
  if (directory === undefined || directory === '') return {};
  try {
    const read = (name: string): Buffer => readFileSync(join(directory, name));
    return { ca: read('ca.pem'), cert: read('cert.pem'), key: read('key.pem') };
  } catch (cause) {
    throw new RefloatError('CONFIG_INVALID', `cannot read the TLS certificates in DOCKER_CERT_PATH (${directory})`, {
      hint: 'Put ca.pem, cert.pem and key.pem there, readable for the agent.',
      cause,
    });
  }
}

function invalid(dockerHost: string): RefloatError {
  return new RefloatError('CONFIG_INVALID', `DOCKER_HOST "${dockerHost}" is not an address of an engine`, {
    hint: 'Use unix:///path/to/docker.sock, tcp://host:port or ssh://user@host.',
  });
}

/**
 * A connection for each call. docker-modem describes every request for its log, whether that is on or not, down to the last property of every
 * open socket: 1 to 10 ms a call, while the workload is down.
 */
function plainAgent(): Agent {
  return Object.defineProperty(new Agent({ keepAlive: false }), inspect.custom, { value: () => 'Agent' });
}
