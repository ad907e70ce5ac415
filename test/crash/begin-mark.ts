/** Looked for by the driver, and never there: in a trace of system calls it tells the work from the start of the program. */
export const BEGIN_MARK = '/refloat-torture-begins';
