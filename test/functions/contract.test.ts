import { startNodeControlPlane } from '../helpers/control-plane.ts';
import { testDatabase } from '../helpers/postgres.ts';
import { contractSuite } from './contract-suite.ts';

contractSuite('the API on Node', async () => startNodeControlPlane(await testDatabase()));
