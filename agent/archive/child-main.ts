/** Entry of the archive's child process: it loads no engine and no database. */
import { serveArchiveChild } from './child.ts';

serveArchiveChild();
