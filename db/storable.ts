/** Texts that PostgreSQL can hold: neither NUL (text, jsonb) nor half a surrogate pair (jsonb). */

export function isStorable(text: string): boolean {
  return text.isWellFormed() && !text.includes('\0');
}

/** The same text where it is storable; else with what is not in another way. */
export function storable(text: string): string {
  return text.toWellFormed().replaceAll('\0', '\\0');
}
