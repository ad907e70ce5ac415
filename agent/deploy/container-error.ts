/** Errors of the engine, with the name of the container that they are about. */
import { RefloatError, toRefloatError } from '../../db/errors.ts';
import type { Engine } from '../docker/engine.ts';
import { contradiction } from '../docker/failures.ts';

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

/**
 * As `about`; undefined instead of a failure when the container is not there. One answer of an engine is not believed: what is
 * taken for gone is neither kept from starting by itself nor brought back.
 */
export async function aboutUnlessGone<T>(
  engine: Pick<Engine, 'inspect'>,
  container: { readonly id: string; readonly name: string },
  work: Promise<T>,
): Promise<T | undefined> {
  try {
    return await about(container, work);
  } catch (thrown) {
    if (!isGone(thrown)) throw thrown;
    if ((await about(container, engine.inspect(container.id))) === null) return undefined;
    throw contradiction(`container ${container.name} is there, and the engine said that it is not`, thrown);
  }
}

/** Does all at once and to the end, then throws the first failure: one container's trouble must not leave another one down. */
export async function allToTheEnd<T extends readonly unknown[]>(
  works: { readonly [Index in keyof T]: Promise<T[Index]> },
): Promise<T> {
  const settled = await Promise.allSettled(works);
  const failed = settled.filter((result) => result.status === 'rejected');
  const [first] = failed;
  if (first === undefined)
    return settled.map((result) => (result as PromiseFulfilledResult<unknown>).value) as unknown as T;
  const error = toRefloatError(first.reason);
  if (failed.length === 1) throw error;
  throw new RefloatError(error.code, `${error.message} (and ${failed.length - 1} more)`, {
    hint: error.hint,
    disposition: error.disposition,
    details: { ...error.details, all: failed.map((result) => toRefloatError(result.reason).message) },
    cause: error,
  });
}
