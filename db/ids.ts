import { v7 } from 'uuid';

/** A new identifier: UUIDv7 (RFC 9562), so that ids sort by creation time. */
export function newId(): string {
  return v7();
}

/** True for any UUID in its canonical lower- or upper-case text form. */
export function isUuid(text: string): boolean {
  return /^[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}$/i.test(text);
}
