/**
 * Tokens whose signature was verified lately: verifying one costs as much as everything else that a read does.
 *
 * Guarantees: finds only what was signed, letter for letter, and with which key. Whether the key, the claims and the token's row in
 * the database still count is asked for each request; nothing of that is remembered here.
 */
import type { CompactJwt } from './compact-jwt.ts';

/** Oldest go first. Only what we signed gets in, so nobody can drive the others out with texts of their own. */
const MAX_TOKENS = 1000;

interface Verified {
  readonly token: CompactJwt;
  readonly key: CryptoKey;
}

export class VerifiedTokens {
  readonly #byText = new Map<string, Verified>();

  /** What was read from this text; undefined if it has not been verified. */
  read(text: string): CompactJwt | undefined {
    return this.#byText.get(text)?.token;
  }

  isSignedWith(text: string, key: CryptoKey): boolean {
    return this.#byText.get(text)?.key === key;
  }

  remember(token: CompactJwt, key: CryptoKey): void {
    this.#byText.set(token.text, { token, key });
    const oldest = this.#byText.size > MAX_TOKENS ? this.#byText.keys().next().value : undefined;
    if (oldest !== undefined) this.#byText.delete(oldest);
  }
}
