/** Entry of the archive child when running from source; the bundled program enters through runArchiveChild itself. */
import { runArchiveChild } from './run-child.ts';

runArchiveChild(process.argv);
