/** From the claims of a trusted issuer's token to what it may do. Pure. */
import { z } from 'zod';
import type { ClaimCondition, IssuerRule } from '../../db/issuer-rule.ts';
import { PROJECTS } from './limits.ts';
import { SCOPES_OF_TOKENS, type TokenScope } from './scopes.ts';

const TEXT = z.string().min(1).max(256);

/** What would outlive the job, or let in others: not for a credential that nobody keeps. */
const NOT_BY_RULE: ReadonlySet<TokenScope> = new Set(['tokens:write', 'people:write', 'hosts:write']);

export const ISSUER_RULE = z.strictObject({
  claims: z
    .record(TEXT, z.union([TEXT, z.number(), z.boolean(), z.strictObject({ glob: TEXT })]))
    .refine(
      (claims) => Object.keys(claims).length > 0,
      'needs a condition: else it lets in everybody whom the issuer knows',
    )
    .refine((claims) => Object.keys(claims).length <= 16, 'has too many conditions'),
  scopes: z
    .array(z.enum(SCOPES_OF_TOKENS).refine((scope) => !NOT_BY_RULE.has(scope), 'is not for tokens of an issuer'))
    .min(1)
    .max(64),
  workloads: z.array(z.uuid()).min(1).max(1000).optional(),
  projects: PROJECTS.optional(),
});

/** The first rule of which every condition holds; undefined: none. */
export function matchingRule(
  rules: readonly IssuerRule[],
  claims: Readonly<Record<string, unknown>>,
): IssuerRule | undefined {
  return rules.find((rule) => {
    const conditions = Object.entries(rule.claims);
    return (
      conditions.length > 0 &&
      conditions.every(([name, condition]) => Object.hasOwn(claims, name) && holds(condition, claims[name]))
    );
  });
}

function holds(condition: ClaimCondition, value: unknown): boolean {
  if (typeof condition !== 'object') return value === condition;
  return typeof value === 'string' && value.length <= 1024 && matchesGlob(condition.glob, value);
}

/** `*`: any text without a slash; `**`: any text; `?`: one character but a slash. Takes time of pattern × text, never more. */
export function matchesGlob(glob: string, text: string): boolean {
  const tokens = glob.match(/\*\*|[\s\S]/gu) ?? [];
  const characters = [...text];
  // reach[i]: the tokens so far can stand for the first i characters.
  let reach = characters.map(() => false);
  reach = [true, ...reach];
  for (const token of tokens) {
    const next = reach.map(() => false);
    for (let at = 0; at <= characters.length; at++) {
      const character = characters[at - 1];
      if (token === '*' || token === '**') {
        const goesOn = at > 0 && next[at - 1] === true && (token === '**' || character !== '/');
        next[at] = reach[at] === true || goesOn;
      } else if (at > 0 && reach[at - 1] === true) {
        next[at] = token === '?' ? character !== '/' : character === token;
      }
    }
    reach = next;
  }
  return reach[characters.length] === true;
}
