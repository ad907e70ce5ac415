/** Errors of the engine, with the name of the container that they are about. */
import { RefloatError, toRefloatError } from '../../db/errors.ts';

/** True when the engine answered that the container is not there. */
function isGone(thrown: unknown): boolean {
  return thrown instanceof RefloatError && thrown.code === 'ENGINE_FAILED' && thrown.details?.['status'] === 404;
}

/** True when the engine answered that a name or state is in the way. */
export function isConflict(thrown: unknown): boolean {
  return thrown instanceof RefloatError && thrown.code === 'ENGINE_FAILED' && thrown.details?.['status'] === 409;
}

/** Runs one call about a container; a failure names it. */
export async function about<T>(
  container: { readonly id: string; readonly name: string },
  work: Promise<T>,
): Promise<T> {
  try {
    return await work;
  } catch (thrown) {
    const error = toRefloatError(thrown);
    throw new RefloatError(error.code, `container ${container.name}: ${error.message}`, {
      hint: error.hint,
      disposition: error.disposition,
      details: { ...error.details, container: container.name, containerId: container.id },
      cause: thrown,
    });
  }
}

/** As `about`; undefined instead of a failure when the container is not there. */
export async function aboutUnlessGone<T>(
  container: { readonly id: string; readonly name: string },
  work: Promise<T>,
): Promise<T | undefined> {
  return about(container, work).catch((thrown: unknown) => {
    if (isGone(thrown)) return undefined;
    throw thrown;
  });
}

/** Does all at once and to the end, then throws the first failure: one container's trouble must not leave another one down. */
export async function allToTheEnd<T>(works: readonly Promise<T>[]): Promise<T[]> {
  const settled = await Promise.allSettled(works);
  const failed = settled.filter((result) => result.status === 'rejected');
  const [first] = failed;
  if (first === undefined) return settled.map((result) => (result as PromiseFulfilledResult<T>).value);
  const error = toRefloatError(first.reason);
  if (failed.length === 1) throw error;
  throw new RefloatError(error.code, `${error.message} (and ${failed.length - 1} more)`, {
    hint: error.hint,
    disposition: error.disposition,
    details: { ...error.details, all: failed.map((result) => toRefloatError(result.reason).message) },
    cause: error,
  });
}
