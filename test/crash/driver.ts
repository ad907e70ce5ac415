/**
 * The program that the sweeps kill, starve and cut: one intent, or recovery, with the product's own code from the claim down.
 * Only Postgres is not there; what would go to it is spooled, as while Postgres is away.
 *
 * `driver run INTENT.json` · `driver recover` · `driver nothing`; the environment is the agent's. Prints one JSON object when it ends.
 * Bundled by `bundle.ts`.
 */
import { accessSync, readFileSync, writeSync } from 'node:fs';
import koffi from 'koffi';
import { compose } from '../../agent/compose.ts';
import { loadConfig } from '../../agent/config.ts';
import type { ClaimedIntent } from '../../agent/intents/claimed-intent.ts';
import { BEGIN_MARK } from './begin-mark.ts';
import { recoverAll, work } from './work.ts';

async function driverMain(argv: readonly string[]): Promise<void> {
  const deps = compose(await loadConfig(process.env));
  const intent = argv[2] === 'run' ? (JSON.parse(readFileSync(argv[3] ?? '', 'utf8')) as ClaimedIntent) : null;
  try {
    accessSync(BEGIN_MARK);
  } catch {
    // As it should be.
  }
  if (argv[2] === 'nothing') return;
  const told = intent === null ? await recoverAll(deps) : await work(deps, intent);
  writeSync(1, `${JSON.stringify(told)}\n`);
}

/** Under a fault without the usual tidying up: koffi syncs standard output at its end, and does not come back from an error there. */
function leave(code: number): never {
  if (process.env['REFLOAT_TORTURE_FAULT'] === undefined) process.exit(code);
  koffi.load(null).func('void _exit(int)')(code);
  throw new Error('_exit came back');
}

driverMain(process.argv).then(
  () => leave(0),
  (error: unknown) => {
    writeSync(2, error instanceof Error ? (error.stack ?? error.message) : String(error));
    leave(1);
  },
);
