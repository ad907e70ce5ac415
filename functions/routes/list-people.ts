import { z } from 'zod';
import { listPeople as query } from '../../db/queries/list-people.ts';
import { endpoint } from '../endpoint.ts';
import { PERSON, personAnswer } from '../wire-people.ts';

export const listPeople = endpoint(
  {
    method: 'get',
    path: '/api/people',
    name: 'listPeople',
    summary: 'Everybody who may sign in, or could, by name',
    access: 'people:write',
    answers: { 200: { description: 'The people', schema: z.object({ people: z.array(PERSON) }) } },
  },
  async ({ c }) => c.json({ people: (await query(c.get('db'))).map(personAnswer) }),
);
