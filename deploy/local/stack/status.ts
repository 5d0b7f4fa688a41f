import { isAlive } from '../../../runtime/process-identity.js';
import { type Endpoints, endpointsOf } from '../../../workers/endpoints.js';
import type { Settings } from '../../../workers/settings.js';
import { addressOf } from './addresses.js';
import { exitText } from './await-ready.js';
import { isExternal } from './part-settings.js';
import { type PartName, type PartState, SERVER_PARTS } from './part-spec.js';
import { readState, type StackState } from './stack-state.js';

export interface PartStatus {
  readonly name: PartName;
  readonly state: PartState;
  /** The process, while there is one; it leads a process group of the same number. */
  readonly pid?: number;
  /** Starts beyond the first since the stack was started. */
  readonly restarts: number;
  /** Milliseconds from its last start to ready. */
  readonly readyMs?: number;
  readonly address: string;
  readonly log?: string;
  /** Where several could be meant, for people: the server and version of a Redis; the ffmpeg of worker and gateway, and why this one. */
  readonly program?: string;
  /** How it ended the last time, in words. */
  readonly lastExit?: string;
}

export interface StackStatus {
  /** Whether a supervisor runs. */
  readonly up: boolean;
  /** Whether it runs and every part it runs is ready. */
  readonly ready: boolean;
  readonly supervisorPid?: number;
  /** ISO time. */
  readonly startedAt?: string;
  readonly parts: readonly PartStatus[];
  readonly endpoints: Endpoints;
}

/** The stack as it is now, read from the supervisor's record. Servers of the user's own are listed as `external`, unasked. */
export function status(settings: Settings): StackStatus {
  const recorded = readState(settings.MILLRACE_HOME);
  const state = recorded && isAlive(recorded.supervisor) ? recorded : undefined;
  const external = SERVER_PARTS.filter((part) => isExternal(part, settings)).map((name) => ({
    name,
    state: 'external' as const,
    restarts: 0,
    address: addressOf(name, settings),
  }));
  return {
    up: state !== undefined,
    ready: state?.ready ?? false,
    ...(state && { supervisorPid: state.supervisor.pid, startedAt: state.startedAt }),
    parts: [...external, ...(state?.parts ?? []).map(partStatus)],
    endpoints: endpointsOf(settings),
  };
}

function partStatus(part: StackState['parts'][number]): PartStatus {
  return {
    name: part.name,
    state: part.state,
    ...(part.process && { pid: part.process.pid }),
    restarts: Math.max(0, part.starts - 1),
    ...(part.readyMs !== undefined && { readyMs: part.readyMs }),
    address: part.address,
    log: part.log,
    ...(part.program !== undefined && { program: part.program }),
    ...(part.lastExit && { lastExit: exitText(part) }),
  };
}
