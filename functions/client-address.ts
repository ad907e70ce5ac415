/** Whose address a request comes from, for limits. IPv6 by /64, which is one customer. */

/**
 * @param peer address of the connection's other end
 * @param forwarded X-Forwarded-For
 * @param trustedProxies how many proxies of our own add to that header; 0: nobody's word is taken
 */
export function clientAddress(peer: string | undefined, forwarded: string | undefined, trustedProxies: number): string {
  const hops = trustedProxies === 0 ? [] : (forwarded ?? '').split(',').map((hop) => hop.trim());
  return network(hops.at(-trustedProxies) || peer || 'unknown');
}

function network(address: string): string {
  const plain = address.replace(/^::ffff:(?=\d+\.)/i, '').replace(/%.*$/, '');
  if (!plain.includes(':')) return plain.slice(0, 64);
  const [head = '', tail] = plain.toLowerCase().split('::');
  const groups = head === '' ? [] : head.split(':');
  const after = tail === undefined || tail === '' ? [] : tail.split(':');
  const zeros =
    tail === undefined ? [] : Array.from({ length: Math.max(0, 8 - groups.length - after.length) }, () => '0');
  return `${[...groups, ...zeros, ...after]
    .slice(0, 4)
    .map((group) => group.replace(/^0+(?=.)/, ''))
    .join(':')}::/64`.slice(0, 64);
}
