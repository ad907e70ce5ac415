import { peopleSuite } from '../functions/people-suite.ts';
import { testDatabase } from '../helpers/postgres.ts';
import { startWorkerd } from '../helpers/workerd.ts';

peopleSuite('people on workerd', async (env) => startWorkerd(await testDatabase(), env));
