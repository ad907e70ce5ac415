/** What a trusted issuer's tokens may do, by their claims. Stored as JSON with the issuer. */

/** `glob`: `*` is any text without a slash, `**` any text, `?` one character other than a slash. Else exact, type included. */
export type ClaimCondition = string | number | boolean | { readonly glob: string };

export interface IssuerRule {
  /** By the claim's name; all of them must hold. Never empty: it would let in everybody whom the issuer knows. */
  readonly claims: Readonly<Record<string, ClaimCondition>>;
  readonly scopes: readonly string[];
  /** Limits, as of a token: ids of workloads, names of projects; absent: none. */
  readonly workloads?: readonly string[];
  readonly projects?: readonly string[];
}
