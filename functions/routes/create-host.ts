import { z } from 'zod';
import { RefloatError } from '../../db/errors.ts';
import { newId } from '../../db/ids.ts';
import { insertHost } from '../../db/queries/insert-host.ts';
import { endpoint } from '../endpoint.ts';
import { runOnce } from '../run-once.ts';
import { HOST, hostAnswer } from '../wire.ts';

export const createHost = endpoint(
  {
    method: 'post',
    path: '/api/hosts',
    name: 'createHost',
    summary: 'A host, before its agent is enrolled',
    access: 'hosts:write',
    body: z.strictObject({
      name: z
        .string()
        .regex(
          /^[a-zA-Z0-9][a-zA-Z0-9._-]{0,62}$/,
          'must be 1 to 63 of letters, digits, dot, dash and underscore, and begin with a letter or digit',
        ),
    }),
    answers: { 201: { description: 'Created', schema: HOST }, 409: { description: 'The name is taken' } },
  },
  async ({ c, body }) => {
    const { name } = await body();
    return runOnce(c, async (db) => {
      const row = await insertHost(db, newId(), name);
      if (row === null)
        return new RefloatError('NAME_TAKEN', `there is a host "${name}" already`, { hint: 'Choose another name.' });
      return {
        status: 201,
        headers: { location: `/api/hosts/${row.id}` },
        body: hostAnswer(row),
        target: `host:${row.id}`,
        details: { name },
      };
    });
  },
);
