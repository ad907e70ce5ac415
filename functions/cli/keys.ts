/** `refloat keys generate` and `refloat keys rotate` */
import { Command } from 'commander';
import { generateKeySet, rotateKeySet } from '../auth/key-set.ts';
import { secondsOf } from './client/duration.ts';
import { runServerCommand } from './server-command.ts';
import { requireSigningKeys } from './signing-keys.ts';

interface RotateOptions {
  readonly overlap: string;
  readonly drop?: boolean;
  readonly json?: boolean;
}

/** The key set itself is JSON, so `--json` changes nothing about a success. */
export function keysCommand(): Command {
  return new Command('keys')
    .description('keys that sign tokens')
    .addCommand(
      new Command('generate')
        .description('prints a new key set for REFLOAT_SIGNING_KEYS')
        .option('--json', 'errors as JSON')
        .action(async (options: { json?: boolean }) =>
          runServerCommand(options.json === true, async () => {
            process.stdout.write(`${await generateKeySet()}\n`);
          }),
        ),
    )
    .addCommand(
      new Command('rotate')
        .description('prints REFLOAT_SIGNING_KEYS with a new key; tokens of the old ones stay valid until they expire')
        .option(
          '--overlap <duration>',
          'the old key still signs for so long: put the new set everywhere meanwhile',
          '15m',
        )
        .option('--drop', 'the old keys were stolen: they and every token of theirs end at once')
        .option('--json', 'errors as JSON')
        .action(async (options: RotateOptions) =>
          runServerCommand(options.json === true, async () => {
            const overlapSeconds = options.overlap === '0' ? 0 : secondsOf(options.overlap);
            const rotated = await rotateKeySet(requireSigningKeys(), {
              now: new Date(),
              overlapSeconds,
              drop: options.drop === true,
            });
            process.stdout.write(`${rotated}\n`);
          }),
        ),
    );
}
