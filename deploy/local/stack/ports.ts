import { readdirSync, readFileSync, readlinkSync } from 'node:fs';
import { createServer } from 'node:net';
import { MillraceError } from '../../../pipelines/errors.js';
import { identify, type ProcessIdentity } from '../../../runtime/process-identity.js';
import { LOOPBACK } from '../../../workers/endpoints.js';
import type { PartSpec } from './part-spec.js';

/** Throws `STACK_PORT_IN_USE` naming every port in use, its owner and the setting that changes it. */
export async function requireFreePorts(specs: readonly Pick<PartSpec, 'name' | 'ports'>[]): Promise<void> {
  const problems: { field: string; message: string }[] = [];
  const seen = new Map<number, string>();
  for (const { name, ports } of specs) {
    for (const { port, setting } of ports) {
      const twin = seen.get(port);
      if (twin) problems.push({ field: setting, message: `port ${port} is also used by ${twin}` });
      else if (!(await isFree(port))) problems.push({ field: setting, message: takenMessage(name, port) });
      seen.set(port, setting);
    }
  }
  if (problems.length === 0) return;
  const text = problems.map(({ field, message }) => `${message} (change ${field})`).join('; ');
  throw new MillraceError('STACK_PORT_IN_USE', `${text}. MILLRACE_PORT_BASE changes all ports at once.`, {
    fields: problems,
  });
}

function takenMessage(part: string, port: number): string {
  const owner = listenerOf(port);
  const who = owner ? `pid ${owner.pid}, ${owner.command.slice(0, 80)}` : 'another process';
  return `port ${port} of ${part} is in use by ${who}`;
}

export function isFree(port: number): Promise<boolean> {
  return new Promise((resolve) => {
    const server = createServer();
    server.once('error', () => resolve(false));
    server.listen({ port, host: LOOPBACK, exclusive: true }, () => server.close(() => resolve(true)));
  });
}

/** The process that listens on a TCP port, if visible to this user. */
export function listenerOf(port: number): ProcessIdentity | undefined {
  const inodes = listeningInodes(port);
  if (inodes.size === 0) return undefined;
  for (const entry of readdirSync('/proc')) {
    const pid = Number(entry);
    if (Number.isInteger(pid) && holdsSocket(pid, inodes)) return identify(pid);
  }
  return undefined;
}

const LISTEN = '0A';

function listeningInodes(port: number): Set<string> {
  const suffix = `:${port.toString(16).toUpperCase().padStart(4, '0')}`;
  const inodes = new Set<string>();
  for (const table of ['/proc/net/tcp', '/proc/net/tcp6']) {
    let text: string;
    try {
      text = readFileSync(table, 'utf8');
    } catch {
      continue; // no IPv6 here
    }
    for (const line of text.split('\n').slice(1)) {
      const [, local, , state, , , , , , inode] = line.trim().split(/\s+/);
      if (state === LISTEN && local?.endsWith(suffix) && inode) inodes.add(`socket:[${inode}]`);
    }
  }
  return inodes;
}

function holdsSocket(pid: number, inodes: ReadonlySet<string>): boolean {
  try {
    return readdirSync(`/proc/${pid}/fd`).some((fd) => inodes.has(linkOf(`/proc/${pid}/fd/${fd}`)));
  } catch {
    return false;
  }
}

function linkOf(file: string): string {
  try {
    return readlinkSync(file);
  } catch {
    return '';
  }
}
