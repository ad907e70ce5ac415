/** How ids, names and image references go into addresses of the engine's interface. */

/** An id or name as one component of a path. */
export function part(text: string): string {
  return encodeURIComponent(text);
}

/** Image references go into a path unescaped, since they have slashes; so they must not be able to lead elsewhere. */
export function isReference(text: string): boolean {
  return (
    /^[a-zA-Z0-9][a-zA-Z0-9._:/@-]*$/.test(text) &&
    !text.split('/').some((component) => component === '' || component === '.' || component === '..')
  );
}

/** Without a tag Docker would fetch every tag of the repository. */
export function taggedReference(reference: string): string {
  const last = reference.slice(reference.lastIndexOf('/') + 1);
  return last.includes(':') || reference.includes('@') ? reference : `${reference}:latest`;
}
