/** What the engine's refusals mean for a container or an image. */
import { RefloatError } from '../../db/errors.ts';

/** The status that the engine answered with, if that is what was thrown. */
export function statusOf(thrown: unknown): number | undefined {
  const status =
    thrown instanceof RefloatError && thrown.code === 'ENGINE_FAILED' ? thrown.details?.['status'] : undefined;
  return typeof status === 'number' ? status : undefined;
}

export function startFailure(thrown: unknown, id: string): unknown {
  const status = statusOf(thrown);
  // 404 is also said of a network that is not there; only of the container does it mean that this is gone.
  if (status === undefined || (status === 404 && /no such container/i.test((thrown as Error).message))) return thrown;
  const { message } = thrown as Error;
  return new RefloatError('CONTAINER_FAILED', message, {
    // A dockerd that was killed while it started a container has forgotten what its containerd still has.
    hint: /\btask \S+: already exists/.test(message)
      ? 'Docker was killed in the middle of a start, and does not know of it: restart it ("systemctl restart docker"), then run "refloat-agent recover".'
      : "The engine's message says why; correct the command, port, mount or network in the workload's configuration.",
    disposition: 'fail',
    details: { container: id, status },
    cause: thrown,
  });
}

export function imageGone(reference: string, cause: unknown): RefloatError {
  const why = cause instanceof Error ? cause.message : String(cause);
  return new RefloatError('IMAGE_GONE', `image ${reference} is not on this host and cannot be pulled: ${why}`, {
    hint: 'Check the reference, log in to the registry ("docker login"), or load the image with "docker load" or "docker import".',
    details: { image: reference },
    cause,
  });
}

/** The engine said two things that cannot both be true; disposition `retry`. */
export function contradiction(what: string, cause: unknown): RefloatError {
  return new RefloatError('ENGINE_FAILED', what, {
    hint: 'Look at the log of dockerd.',
    disposition: 'retry',
    cause,
  });
}
