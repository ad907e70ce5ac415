/** What every request for an intent may say in its body, and what it answers. */
import { z } from 'zod';
import { INTENT } from './wire.ts';

/** What PostgreSQL, JavaScript and people write in the same way. */
const YEARS = { from: 1970, to: 9999 } as const;

export const NOT_AFTER = z.iso
  .datetime({ offset: true })
  .transform((text) => new Date(text))
  .refine((moment) => {
    const year = moment.getUTCFullYear();
    return year >= YEARS.from && year <= YEARS.to;
  }, `must lie in the years ${YEARS.from} to ${YEARS.to} (UTC)`)
  .optional()
  .describe('After this moment the host neither starts it nor passes its commit point');

export const INTENT_BODY = z.strictObject({ notAfter: NOT_AFTER });

export const IDEMPOTENCY_HEADER = {
  'Idempotency-Key': 'Repeating a request with the same key repeats its first answer, for a day',
};
export const CONFIRM_HEADER = { 'X-Confirm-Restore': 'The name of the workload whose data is to be replaced' };

export const INTENT_ANSWERS = {
  202: { description: 'Asked of the host; Location is the intent', schema: INTENT },
  401: { description: 'No credential, or a bad one' },
  403: { description: 'No right to it' },
  404: { description: 'No such workload or snapshot' },
  409: { description: 'Another intent of the workload is under way (intentId)' },
  422: { description: 'The workload cannot be handled so' },
} as const;

export const CONFIRM_ANSWERS = {
  412: { description: 'The confirmation is not the name of the workload' },
  428: { description: 'No confirmation' },
} as const;
