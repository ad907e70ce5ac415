import { contractSuite } from '../functions/contract-suite.ts';
import { testDatabase } from '../helpers/postgres.ts';
import { startWorkerd } from '../helpers/workerd.ts';

contractSuite('the API on workerd', async () => startWorkerd(await testDatabase()));
