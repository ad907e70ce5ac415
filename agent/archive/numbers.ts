/**
 * Numbers in tar headers: octal, and base-256 as GNU writes it.
 *
 * Guarantees: a field that two readers could take for two numbers is null, never a guess.
 */

/** Octal digits with blanks around; base-256 when the first bit is set. Null when malformed or beyond 2^53. */
export function parseNumber(block: Buffer, offset: number, length: number): number | null {
  const first = block[offset] ?? 0;
  if ((first & 0x80) !== 0) return parseBase256(block, offset, length);
  let position = offset;
  const end = offset + length;
  while (position < end && block[position] === 0x20) position += 1;
  let value = 0;
  for (; position < end; position += 1) {
    const byte = block[position] ?? 0;
    if (byte < 0x30 || byte > 0x37) break;
    value = value * 8 + (byte - 0x30);
  }
  for (; position < end; position += 1) {
    const byte = block[position];
    if (byte !== 0x20 && byte !== 0) return null;
  }
  return Number.isSafeInteger(value) ? value : null;
}

function parseBase256(block: Buffer, offset: number, length: number): number | null {
  const first = block[offset] ?? 0;
  // 0x80 starts a positive number, 0xff a negative one in two's complement; anything between is an overlong one.
  if (first !== 0x80 && first !== 0xff) return null;
  let value = first === 0xff ? -1n : 0n;
  for (let index = offset + 1; index < offset + length; index += 1) value = value * 256n + BigInt(block[index] ?? 0);
  const number = Number(value);
  return Number.isSafeInteger(number) ? number : null;
}

/** A decimal of digits alone, no sign, no leading blank, at most 2^53-1; null otherwise. */
export function parseDecimal(text: string): number | null {
  if (!/^[0-9]{1,20}$/.test(text)) return null;
  const value = Number(text);
  return Number.isSafeInteger(value) ? value : null;
}

export interface Time {
  /** Whole seconds since 1970, rounded down. */
  readonly seconds: number;
  /** 0 to 999,999,999, upwards from `seconds`. */
  readonly nanoseconds: number;
}

/** `-12.25` and the like. Digits beyond nanoseconds are cut towards the past. Null when malformed. */
export function parseTime(text: string): Time | null {
  const match = /^(-?)([0-9]{1,16})(?:\.([0-9]{0,64}))?$/.exec(text);
  if (match === null) return null;
  const whole = Number(match[2]);
  if (!Number.isSafeInteger(whole)) return null;
  const digits = match[3] ?? '';
  const fraction = Number(digits.slice(0, 9).padEnd(9, '0'));
  if (match[1] !== '-') return { seconds: whole, nanoseconds: fraction };
  const rest = /[1-9]/.test(digits.slice(9)) ? 1 : 0;
  const below = fraction + rest;
  return below === 0
    ? { seconds: 0 - whole, nanoseconds: 0 }
    : { seconds: -whole - 1, nanoseconds: 1_000_000_000 - below };
}
