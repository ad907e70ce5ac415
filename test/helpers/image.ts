/**
 * Images for tests, the demo and the bench, made of what is on this machine: programs with their libraries, packed as a tar and
 * given to the engine's import. Nothing is pulled.
 */
import { execFile } from 'node:child_process';
import { createHash } from 'node:crypto';
import { createReadStream, lstatSync, readdirSync, readlinkSync, realpathSync, statSync } from 'node:fs';
import { basename, delimiter, dirname, join } from 'node:path';
import { Readable } from 'node:stream';
import { pipeline } from 'node:stream/promises';
import { promisify } from 'node:util';
import Docker from 'dockerode';
import tar from 'tar-stream';
import { dockerOptions } from '../../agent/docker/docker-host.ts';

const run = promisify(execFile);

export interface ImageRecipe {
  /** Repository, without a tag; the tag is made from the contents. */
  readonly name: string;
  /** Names (looked up in PATH) or absolute paths of programs. They are put where they are on the host; libraries too. */
  readonly binaries: readonly string[];
  /** Further directories of the host, put in whole where they are. */
  readonly trees?: readonly string[];
  /** Text files by absolute path in the image; mode 0755. */
  readonly files?: Readonly<Record<string, string>>;
  /** Empty directories to make. */
  readonly directories?: readonly string[];
  readonly command: readonly string[];
  readonly env?: Readonly<Record<string, string>>;
  readonly user?: string;
  /** Further Dockerfile lines that an import accepts, for example `STOPSIGNAL SIGINT`. */
  readonly changes?: readonly string[];
}

/** Builds the image, unless one of the same contents is there already. @returns its reference, `name:<hash>` */
export async function buildImage(dockerHost: string, recipe: ImageRecipe): Promise<string> {
  const paths = await closure(recipe.binaries, recipe.trees ?? []);
  const changes = [
    `CMD ${JSON.stringify(recipe.command)}`,
    ...Object.entries({ PATH: '/usr/local/bin:/usr/bin:/bin:/usr/sbin:/sbin', ...recipe.env }).map(
      ([name, value]) => `ENV ${name}=${value}`,
    ),
    ...(recipe.user === undefined ? [] : [`USER ${recipe.user}`]),
    ...(recipe.changes ?? []),
  ];
  const hash = createHash('sha256').update(JSON.stringify([FORMAT, recipe, changes]));
  for (const path of paths) {
    const stat = statSync(path);
    hash.update(`${path}\0${stat.size}\0${stat.mtimeMs}\0`);
  }
  const tag = hash.digest('hex').slice(0, 16);
  const reference = `${recipe.name}:${tag}`;
  const docker = new Docker(dockerOptions(dockerHost, process.env));
  const there = await docker
    .getImage(reference)
    .inspect()
    .catch(() => null);
  if (there !== null) return reference;

  const pack = tar.pack();
  const answer = docker.importImage(Readable.from(pack), { repo: recipe.name, tag, changes: changes.join('\n') });
  await Promise.all([fill(pack, paths, recipe), finish(docker, answer)]);
  return reference;
}

/** Raised when what goes into an image changes, so that older ones are not taken for it. */
const FORMAT = 1;

async function finish(docker: Docker, answer: Promise<NodeJS.ReadableStream>): Promise<void> {
  const stream = await answer;
  await new Promise<void>((resolve, reject) => {
    docker.modem.followProgress(stream, (error: Error | null, lines: { error?: string }[]) => {
      const failed = lines.find((line) => line.error !== undefined);
      if (error === null && failed === undefined) resolve();
      else reject(error ?? new Error(failed?.error));
    });
  });
}

/** Real paths of the programs, their libraries and all files of the trees. */
async function closure(binaries: readonly string[], trees: readonly string[]): Promise<string[]> {
  const found = new Set<string>();
  for (const binary of binaries) found.add(which(binary));
  for (const tree of trees) for (const path of walk(tree)) found.add(path);
  const withCode = [...found].filter(
    (path) => binaries.some((binary) => which(binary) === path) || /\.so(\.|$)/.test(path),
  );
  const listed = await Promise.all(withCode.map((path) => libraries(path)));
  for (const path of listed.flat()) found.add(path);
  return [...found].sort();
}

/** What the loader would map, asked of the loader itself. A static program has none. */
async function libraries(path: string): Promise<string[]> {
  const { stdout } = await run('ldd', [realpathSync(path)]).catch((error: { stdout?: string }) => ({
    stdout: error.stdout ?? '',
  }));
  return [...stdout.matchAll(/(?:=>\s*|^\s+)(\/\S+)\s+\(0x/gm)].flatMap((match) =>
    match[1] === undefined ? [] : [match[1]],
  );
}

/** The file of a program, by its name or path. @throws Error when it is not there */
function which(program: string): string {
  const places = program.startsWith('/')
    ? [program]
    : (process.env['PATH'] ?? '')
        .split(delimiter)
        .concat('/usr/sbin', '/sbin')
        .map((directory) => join(directory, program));
  const found = places.find((path) => statSync(path, { throwIfNoEntry: false })?.isFile() === true);
  if (found === undefined) throw new Error(`${program} is not on this machine`);
  return found;
}

function* walk(directory: string): Generator<string> {
  for (const entry of readdirSync(directory, { withFileTypes: true })) {
    const path = join(directory, entry.name);
    if (entry.isDirectory()) yield* walk(path);
    else if (entry.isFile() || entry.isSymbolicLink()) yield path;
  }
}

async function fill(pack: tar.Pack, paths: readonly string[], recipe: ImageRecipe): Promise<void> {
  const made = new Set<string>();
  const directory = (path: string, mode = 0o755): void => {
    if (path === '/' || made.has(path)) return;
    directory(dirname(path));
    made.add(path);
    pack.entry({ name: path.slice(1), type: 'directory', mode });
  };
  // Both spellings of merged directories are in use: the loader's path is /lib64/…, that of its file /usr/lib/….
  for (const merged of ['/bin', '/sbin', '/lib', '/lib64', '/lib32', '/libx32']) {
    const stat = lstatSync(merged, { throwIfNoEntry: false });
    if (stat?.isSymbolicLink() !== true) continue;
    made.add(merged);
    pack.entry({ name: merged.slice(1), type: 'symlink', linkname: readlinkSync(merged) });
    directory(realpathSync(merged));
  }
  directory('/tmp', 0o1777);
  for (const path of ['/proc', '/sys', '/dev', '/etc', '/root', ...(recipe.directories ?? [])]) directory(path);
  for (const path of paths) {
    const place = join(placeOf(dirname(path)), basename(path));
    if (made.has(place)) continue;
    made.add(place);
    directory(dirname(place));
    const stat = statSync(path);
    const entry = pack.entry({ name: place.slice(1), size: stat.size, mode: stat.mode & 0o7777, mtime: stat.mtime });
    await pipeline(createReadStream(realpathSync(path)), entry);
  }
  for (const [path, text] of Object.entries(recipe.files ?? {})) {
    directory(dirname(path));
    pack.entry({ name: path.slice(1), mode: 0o755 }, text);
  }
  pack.finalize();
}

/** Where a directory really is when its first component is one of the merged ones. */
function placeOf(directory: string): string {
  const [, first = ''] = directory.split('/');
  const stat = lstatSync(`/${first}`, { throwIfNoEntry: false });
  return stat?.isSymbolicLink() === true
    ? join(realpathSync(`/${first}`), directory.slice(first.length + 1))
    : directory;
}

/** Programs that small test applications need. */
const TOOLS = [
  'sh',
  'cat',
  'ls',
  'sleep',
  'mkdir',
  'mv',
  'rm',
  'cp',
  'sync',
  'find',
  'sort',
  'sha256sum',
  'stat',
  'date',
  'touch',
  'chmod',
  'chown',
  'ln',
  'head',
  'tail',
  'wc',
];

/**
 * The image of most tests: a shell with its usual tools. Its application looks at every directory below `/volumes` (or those
 * in `$VOLUMES`) when it starts, and writes what it saw to `/dev/stdout` before it waits for SIGTERM: `saw <volume> <sha256>`, over
 * names and contents; then `ready`. With `$FAIL_IF` set to a path it exits with code 7 when that exists.
 */
export async function buildTestImage(dockerHost: string): Promise<string> {
  return buildImage(dockerHost, {
    name: 'refloat-test',
    binaries: TOOLS,
    directories: ['/volumes'],
    files: {
      '/app': APPLICATION,
      '/etc/passwd': 'root:x:0:0:root:/root:/bin/sh\nnobody:x:65534:65534:nobody:/:/bin/sh\n',
      '/etc/group': 'root:x:0:\nnogroup:x:65534:\n',
    },
    command: ['/app'],
  });
}

const APPLICATION = `#!/bin/sh
trap 'exit 0' TERM INT
for volume in \${VOLUMES:-/volumes/*}; do
  [ -d "$volume" ] || continue
  sum=$(cd "$volume" && find . -type f -exec sha256sum {} + | sort | sha256sum)
  echo "saw \${volume##*/} \${sum%% *}"
done
if [ -n "$FAIL_IF" ] && [ -e "$FAIL_IF" ]; then echo "refusing: $FAIL_IF exists"; exit 7; fi
echo ready
while :; do sleep 3600 & wait $!; done
`;

/** A TCP server that answers every connection with one line, within milliseconds of its start: Perl, which every Debian has. */
export async function listenerImage(dockerHost: string): Promise<string> {
  return buildImage(dockerHost, {
    name: 'refloat-test-listener',
    binaries: ['/usr/bin/perl', ...TOOLS],
    trees: perlTrees(),
    directories: ['/volumes'],
    files: { '/listen': LISTENER },
    command: ['/usr/bin/perl', '/listen'],
  });
}

/** Perl's own modules of the base system. */
function perlTrees(): string[] {
  return readdirSync('/usr/lib')
    .map((name) => join('/usr/lib', name, 'perl-base'))
    .filter((path) => statSync(path, { throwIfNoEntry: false })?.isDirectory() === true);
}

const LISTENER = `#!/usr/bin/perl
use strict;
use Socket;
$SIG{TERM} = $SIG{INT} = sub { exit 0 };
socket(my $server, PF_INET, SOCK_STREAM, getprotobyname('tcp') || 6) or die "socket: $!";
setsockopt($server, SOL_SOCKET, SO_REUSEADDR, pack('l', 1));
bind($server, sockaddr_in($ENV{PORT}, inet_aton('127.0.0.1'))) or die "bind: $!";
listen($server, 128) or die "listen: $!";
while (1) {
  accept(my $client, $server) or next;
  syswrite($client, "ready\\n");
  close($client);
}
`;
