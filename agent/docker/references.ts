/** How ids, names and image references go into addresses of the engine's interface. */

/** An id or name as one component of a path. */
export function part(text: string): string {
  return encodeURIComponent(text);
}

/** Without a tag Docker would fetch every tag of the repository. */
export function taggedReference(reference: string): string {
  const last = reference.slice(reference.lastIndexOf('/') + 1);
  return last.includes(':') || reference.includes('@') ? reference : `${reference}:latest`;
}
