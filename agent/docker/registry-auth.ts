/**
 * The credentials that "docker login" left on this host, for pulling. Only those in the file itself: a credential helper is a
 * program of the person who logged in, and is not run by a service.
 */
import { readFileSync } from 'node:fs';
import { join } from 'node:path';

const DOCKER_HUB = 'https://index.docker.io/v1/';

/**
 * The header `X-Registry-Auth` for a reference's registry; none when nobody logged in there.
 * @param environment DOCKER_CONFIG, or HOME
 */
export function registryAuth(
  reference: string,
  environment: Readonly<Record<string, string | undefined>>,
): Record<string, string> {
  const directory = environment['DOCKER_CONFIG'] ?? join(environment['HOME'] ?? '/root', '.docker');
  try {
    const { auths = {} } = JSON.parse(readFileSync(join(directory, 'config.json'), 'utf8')) as {
      auths?: Record<string, { auth?: string }>;
    };
    const registry = registryOf(reference);
    const auth = (auths[registry] ?? auths[`https://${registry}`] ?? auths[`https://${registry}/`])?.auth;
    const [, username, password] = /^([^:]*):(.*)$/s.exec(Buffer.from(auth ?? '', 'base64').toString()) ?? [];
    if (username === undefined || password === undefined) return {};
    const json = JSON.stringify({ username, password: password.replace(/\0+$/, ''), serveraddress: registry });
    return { 'X-Registry-Auth': Buffer.from(json).toString('base64url') };
  } catch {
    // No file, or none that can be read: a public image needs none, and for any other the registry says what is missing.
    return {};
  }
}

/** As Docker decides it: the first component is a registry only if it looks like a host. */
export function registryOf(reference: string): string {
  const [first = ''] = reference.split('/', 1);
  const isHost = reference.includes('/') && (first.includes('.') || first.includes(':') || first === 'localhost');
  return !isHost || first === 'docker.io' || first === 'index.docker.io' ? DOCKER_HUB : first;
}
