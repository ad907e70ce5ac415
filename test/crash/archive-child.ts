/** The driver's archive child: the product's, but for its last moment. koffi syncs standard output there, and hangs when that fails. */
import koffi from 'koffi';
import { serveArchiveChild } from '../../agent/archive/child.ts';

const exit = koffi.load(null).func('void _exit(int)');
process.on('exit', (code) => void exit(code));
serveArchiveChild();
