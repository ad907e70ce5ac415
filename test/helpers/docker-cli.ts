/** What tests do to images behind Refloat's back; the product's own engine interface has no such verbs. */
import Docker from 'dockerode';

function client(dockerHost: string): Docker {
  return new Docker({ socketPath: dockerHost.replace(/^unix:\/\//, '') });
}

/** Points a tag at another image, as a pull of a newer version does. */
export async function tagImage(dockerHost: string, image: string, repo: string, tag: string): Promise<void> {
  await client(dockerHost).getImage(image).tag({ repo, tag });
}

export async function removeImage(dockerHost: string, image: string): Promise<void> {
  await client(dockerHost).getImage(image).remove({ force: true });
}
