/** How a command confirms that live data is to be replaced. */
import { RefloatError } from '../../../db/errors.ts';

/**
 * The header that names the workload.
 * @throws RefloatError CONFIRMATION_MISMATCH, as the server would, for what no header can carry and no workload is called
 */
export function confirmedBy(name: string): Record<string, string> {
  if (/^[\x20-\x7e]*$/.test(name)) return { 'x-confirm-restore': name };
  throw new RefloatError('CONFIRMATION_MISMATCH', 'the confirmation is not the name of a workload', {
    hint: 'Names of workloads are of letters from a to z, digits, dots, dashes and underscores; check that it is the one you mean.',
  });
}
