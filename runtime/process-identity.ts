import { readdirSync, readFileSync, readlinkSync } from 'node:fs';

/**
 * Distinguishes a process from a later one with the same pid: its start time and its program. Written to disk, so that
 * a later `up` can end the processes that a killed supervisor left behind, and no others.
 */
export interface ProcessIdentity {
  readonly pid: number;
  /** Field 22 of /proc/<pid>/stat: clock ticks between the machine's boot and the process's start. */
  readonly startTicks: number;
  /** The executable. Not the command line: a server may rewrite it (Redis does, and its environment with it). */
  readonly program: string;
  /** Arguments joined by spaces, for people. */
  readonly command: string;
}

/** The process with this pid, or undefined if there is none (a zombie counts as none). */
export function identify(pid: number): ProcessIdentity | undefined {
  try {
    const stat = readFileSync(`/proc/${pid}/stat`, 'utf8');
    // The name (field 2) is in parentheses and may contain spaces and parentheses.
    const fields = stat.slice(stat.lastIndexOf(')') + 2).split(' ');
    const [state, ...rest] = fields;
    if (state === 'Z' || state === 'X') return undefined;
    const startTicks = Number(rest[18]);
    if (!Number.isInteger(startTicks)) return undefined;
    const command = readFileSync(`/proc/${pid}/cmdline`, 'utf8').split('\0').join(' ').trim();
    const program = readlinkSync(`/proc/${pid}/exe`).replace(/ \(deleted\)$/, '');
    return { pid, startTicks, program, command };
  } catch {
    return undefined;
  }
}

/** Whether the process that was identified earlier is still running. */
export function isAlive(identity: ProcessIdentity): boolean {
  const now = identify(identity.pid);
  return now !== undefined && now.startTicks === identity.startTicks && now.program === identity.program;
}

/** Sends a signal to a process group; false if the group has no member left. */
export function signalGroup(pid: number, signal: NodeJS.Signals): boolean {
  try {
    process.kill(-pid, signal);
    return true;
  } catch {
    return false;
  }
}

/** Sends a signal to one process; false if it has exited. */
export function signalProcess(pid: number, signal: NodeJS.Signals): boolean {
  try {
    process.kill(pid, signal);
    return true;
  } catch {
    return false;
  }
}

/** The environment that a process of this user was started with; undefined if it has ended, or is another user’s. */
export function environmentOf(pid: number): ReadonlyMap<string, string> | undefined {
  try {
    const entries = readFileSync(`/proc/${pid}/environ`, 'utf8').split('\0');
    return new Map(entries.map((entry) => [entry.split('=', 1)[0] ?? '', entry.slice(entry.indexOf('=') + 1)]));
  } catch {
    return undefined;
  }
}

/**
 * Processes whose environment contains this variable with this value. They may outlive their parent and its process
 * group.
 */
export function markedProcesses(mark: string, value: string): ProcessIdentity[] {
  const wanted = `${mark}=${value}`;
  const found: ProcessIdentity[] = [];
  for (const entry of readdirSync('/proc')) {
    const pid = Number(entry);
    if (!Number.isInteger(pid) || pid === process.pid) continue;
    try {
      if (!readFileSync(`/proc/${pid}/environ`, 'utf8').split('\0').includes(wanted)) continue;
    } catch {
      continue; // gone, or another user's
    }
    const identity = identify(pid);
    if (identity) found.push(identity);
  }
  return found;
}
