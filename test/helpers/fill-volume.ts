/** What a volume holds in each version: owners, modes, times, links, xattrs, odd names. */
import { execFileSync } from 'node:child_process';

const FILL = `set -e; cd "$1"; find . -mindepth 1 -delete
  v=$2; n=$3; mkdir -p "dir $v/deep" empty-$v; i=0
  while [ $i -lt $n ]; do echo "$v $i" > "dir $v/file-$i"; i=$((i+1)); done
  printf '%s' "$v" > which; ln -s "/absolute/$v" link; ln -s ../../.. up; ln which hard-$v; mkfifo=; printf x > "$(printf 'raw\\377 %s' "$v")"
  chown 1001:1002 which; chown -h 7:8 link; chmod 4750 "dir $v/file-0"; chmod 1777 empty-$v; setfattr -n user.version -v "$v" which
  truncate -s 1M sparse; printf end >> sparse
  touch -h -d @1234567890.123456789 link; touch -d "@15$n.987654321" "dir $v/file-1"; touch -d @1400000000.5 "dir $v"
  chown 70:70 .; chmod 0700 .; touch -d "@16$n.000000001" .`;

/** Empties a directory and fills it. @param files two digits, other ones for another version */
export function fillVolume(directory: string, version: string, files: number): void {
  // Without it bash takes a socket as its input for a remote login, and reads a person's ~/.bashrc.
  execFileSync('bash', ['--norc', '-c', FILL, 'bash', directory, version, String(files)]);
}
