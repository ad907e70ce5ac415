import { z } from 'zod';
import { listPeople as query } from '../../db/queries/list-people.ts';
import { endpoint } from '../endpoint.ts';
import { NEXT, PAGE_QUERY, pageOf, seekOf } from '../page.ts';
import { PERSON, personAnswer } from '../wire-people.ts';

export const listPeople = endpoint(
  {
    method: 'get',
    path: '/api/people',
    name: 'listPeople',
    summary: 'Everybody who may sign in, or could, by name',
    access: 'people:write',
    query: PAGE_QUERY,
    answers: { 200: { description: 'The people', schema: z.object({ people: z.array(PERSON), next: NEXT }) } },
  },
  async ({ c, query: { cursor, limit } }) => {
    const rows = await query(c.get('db'), undefined, seekOf({ cursor, limit }, { key: 'text', id: 'uuid' }));
    const { page, next } = pageOf(rows, limit, (row) => [row.key, row.id]);
    return c.json({ people: page.map(personAnswer), next });
  },
);
