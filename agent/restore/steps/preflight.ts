/** Preflight: every check, before anything is touched. Input: the intent. Refuses with the first refusal, naming all of them. */
import { RefloatError } from '../../../db/errors.ts';
import type { RestoreFacts } from '../facts.ts';
import { checkRestore } from '../plan.ts';
import type { Step } from '../saga.ts';

export const preflight: Step<RestoreFacts, 'preflight'> = {
  name: 'preflight',

  async act({ deps, intent, warn }) {
    const checks = await checkRestore(deps, intent);
    refuse(checks.refusals);
    for (const warning of checks.warnings) warn(warning);
    if (checks.image === null) throw new Error('checks without a refusal have an image');
    return {
      targets: checks.targets,
      adoptedFrom: checks.adoptedFrom,
      hostPaths: checks.hostPaths,
      adoptedIds: checks.adoptedIds,
      imageId: checks.image.id,
      image: checks.image.reference,
    };
  },
};

/** Throws the first of some refusals; the others are in its details. */
export function refuse(refusals: readonly RefloatError[]): void {
  const [first, ...others] = refusals;
  if (first === undefined) return;
  if (others.length === 0) throw first;
  throw new RefloatError(first.code, first.message, {
    hint: first.hint,
    disposition: first.disposition,
    details: { ...first.details, others: others.map((other) => other.toJSON()) },
    cause: first,
  });
}
