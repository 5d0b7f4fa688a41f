import { readJson } from '../../../runtime/json-file.js';
import { isAlive } from '../../../runtime/process-identity.js';
import { type Endpoints, endpointsOf } from '../../../workers/endpoints.js';
import type { Settings } from '../../../workers/settings.js';
import { addressOf } from './addresses.js';
import { exitText } from './await-ready.js';
import { codeHash } from './part-code.js';
import { isExternal } from './part-settings.js';
import { type PartName, type PartSpec, type PartState, SERVER_PARTS } from './part-spec.js';
import { readState, type StackState, specsPath } from './stack-state.js';

export interface PartStatus {
  readonly name: PartName;
  readonly state: PartState;
  /** Pid of the process, if running; it leads a process group with the same number. */
  readonly pid?: number;
  /** Restarts since the stack was started. */
  readonly restarts: number;
  /** Milliseconds from its last start to ready. */
  readonly readyMs?: number;
  readonly address: string;
  readonly log?: string;
  /** The program if it may vary: server and version of a Redis; the ffmpeg of worker and gateway, and why it was chosen. */
  readonly program?: string;
  /** How it ended the last time, as text. */
  readonly lastExit?: string;
}

export interface StackStatus {
  /** Whether a supervisor is running. */
  readonly up: boolean;
  /** Whether the supervisor and all its parts are running and ready. */
  readonly ready: boolean;
  readonly supervisorPid?: number;
  /** ISO time. */
  readonly startedAt?: string;
  readonly parts: readonly PartStatus[];
  readonly endpoints: Endpoints;
}

/**
 * The current state of the stack, from the supervisor's record. The user's own servers are listed as `external` without
 * a check.
 */
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

/** What to do about an outdated part. */
export const OUTDATED =
  'the build, the pipelines or the models file have changed since it was started; to use them: millrace up';

/** The running parts whose build, pipelines or models file have changed since they were started. */
export async function outdatedParts({ MILLRACE_HOME: home }: Settings): Promise<readonly PartName[]> {
  const state = readState(home);
  if (!state || !isAlive(state.supervisor)) return [];
  const specs = (readJson(specsPath(home)) ?? []) as readonly PartSpec[];
  const found = state.parts.map(async ({ name, code, process }) => {
    const spec = specs.find((each) => each.name === name);
    if (process === undefined || code === undefined || spec?.code === undefined) return [];
    const now = await codeHash(spec.code);
    return now === undefined || now === code ? [] : [name];
  });
  return (await Promise.all(found)).flat();
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
