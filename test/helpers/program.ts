/** The two programs as processes: the run of all tests builds first and tests what it built; a single file tests the source. */
import { spawn } from 'node:child_process';
import { existsSync } from 'node:fs';
import path from 'node:path';
import { text } from 'node:stream/consumers';

const ROOT = path.join(import.meta.dirname, '../..');
const SOURCES = { refloat: 'functions/cli/main.ts', 'refloat-agent': 'agent/cli/main.ts' } as const;

/** What `node` is started with: the built file, or the source, which takes several times as long to start. */
export function programOf(name: keyof typeof SOURCES): readonly string[] {
  const built = path.join(ROOT, 'dist', `${name}.js`);
  if (process.env['REFLOAT_TEST_DATABASE_URL'] !== undefined && existsSync(built)) return [built];
  return ['--import', import.meta.resolve('tsx'), path.join(ROOT, SOURCES[name])];
}

/** What a program says on standard error when the shell does something with its standard output (`> FILE`, `| reader`), and its exit code. */
export function throughShell(
  name: keyof typeof SOURCES,
  args: string,
  end: string,
  env: Readonly<Record<string, string>> = {},
): Promise<string> {
  const command = [process.execPath, ...programOf(name)].map((part) => `'${part}'`).join(' ');
  const child = spawn('sh', ['-c', `{ ${command} ${args}; echo "rc=$?" >&2; } ${end}`], {
    env: { ...process.env, ...env },
    stdio: ['ignore', 'ignore', 'pipe'],
  });
  return text(child.stderr);
}
