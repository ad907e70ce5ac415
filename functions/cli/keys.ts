/** `refloat keys generate` */
import { Command } from 'commander';
import { generateKeySet } from '../auth/key-set.ts';
import { runServerCommand } from './server-command.ts';
import { requireSigningKeys } from './signing-keys.ts';

/** The key set itself is JSON, so `--json` changes nothing about a success. */
export function keysCommand(): Command {
  return new Command('keys').description('keys that sign tokens').addCommand(
    new Command('generate')
      .description('prints a new key set for REFLOAT_SIGNING_KEYS')
      .option('--rotate', 'puts a new key before those of REFLOAT_SIGNING_KEYS, whose tokens stay valid')
      .option('--json', 'errors as JSON')
      .action(async (options: { rotate?: boolean; json?: boolean }) =>
        runServerCommand(options.json === true, async () => {
          process.stdout.write(`${await generateKeySet(options.rotate === true ? requireSigningKeys() : undefined)}\n`);
        }),
      ),
  );
}
