import pino, { type Logger } from 'pino';

/** JSON lines on standard error, so that standard output holds results only. Level by REFLOAT_LOG. */
export function makeLog(): Logger {
  const level = process.env['REFLOAT_LOG'] ?? 'info';
  return pino(
    { name: 'refloat', level: level in pino.levels.values || level === 'silent' ? level : 'info' },
    pino.destination({ fd: 2, sync: true }),
  );
}
