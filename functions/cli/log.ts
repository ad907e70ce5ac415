import pino, { type Logger } from 'pino';
import { SECRET_MEMBERS, scrub } from '../../db/scrub.ts';

/** JSON lines on standard error, so that standard output holds results only; without secrets. Level by REFLOAT_LOG. */
export function makeLog(): Logger {
  const level = process.env['REFLOAT_LOG'] ?? 'info';
  return pino(
    {
      name: 'refloat',
      level: level in pino.levels.values || level === 'silent' ? level : 'info',
      redact: { paths: [...SECRET_MEMBERS], censor: '[secret]' },
      hooks: { streamWrite: scrub },
    },
    pino.destination({ fd: 2, sync: true }),
  );
}
