import { RefloatError } from '../../db/errors.ts';

/** A credential that does not count: 401 `UNAUTHENTICATED`, whatever the reason. */
export function refused(why: string): RefloatError {
  return new RefloatError('UNAUTHENTICATED', why, {
    hint: 'Send a token of this server, or of an issuer that it trusts, as "Authorization: Bearer …", or sign in at the console.',
  });
}
