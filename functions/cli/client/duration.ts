import { RefloatError } from '../../../db/errors.ts';

const SECONDS = { s: 1, m: 60, h: 3600, d: 86_400 } as const;

/** Seconds of `90s`, `15m`, `12h` or `30d`. Throws `USAGE`. */
export function secondsOf(text: string): number {
  const match = /^(\d{1,9})([smhd])$/.exec(text);
  const seconds = match === null ? 0 : Number(match[1]) * SECONDS[match[2] as keyof typeof SECONDS];
  if (seconds > 0) return seconds;
  throw new RefloatError('USAGE', `"${text}" is not a duration`, {
    hint: 'Give a number and a unit: 90s, 15m, 12h or 30d.',
  });
}
