import { readServerConfig } from '../config.ts';

/** REFLOAT_SIGNING_KEYS. Throws `CONFIG_INVALID`. */
export function requireSigningKeys(): string {
  return readServerConfig(process.env).signingKeys;
}
