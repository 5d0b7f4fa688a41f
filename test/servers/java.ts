import { spawnSync } from 'node:child_process';

/** Whether a server that runs on Java can be tried; says so where it cannot. */
export function hasJava(server: string): boolean {
  const has = spawnSync('java', ['-version']).status === 0;
  if (!has) process.stderr.write(`${server} is not tried: it needs Java\n`);
  return has;
}
