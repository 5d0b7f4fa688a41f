import { rmSync } from 'node:fs';
import path from 'node:path';
import { z } from 'zod';
import { readJson, writeJson } from '../../../runtime/json-file.js';
import { NODE_PARTS, SERVER_PARTS } from './part-spec.js';

const identity = z.object({
  pid: z.number().int().positive(),
  startTicks: z.number().int(),
  program: z.string(),
  command: z.string(),
});

const partRecord = z.object({
  name: z.enum([...SERVER_PARTS, ...NODE_PARTS]),
  state: z.enum(['waiting', 'starting', 'ready', 'backoff', 'stopping', 'stopped', 'external']),
  process: identity.optional(),
  /** Number of starts; restarts are one less. */
  starts: z.number().int(),
  /** Consecutive starts that ended before the part was ready, or soon after. */
  failures: z.number().int(),
  /** Milliseconds from the last start to ready. */
  readyMs: z.number().optional(),
  program: z.string().optional(),
  /** Hash of what it runs, taken at its last start. */
  code: z.string().optional(),
  address: z.string(),
  ports: z.array(z.number().int()),
  log: z.string(),
  lastExit: z
    .object({
      code: z.number().nullable(),
      signal: z.string().nullable(),
      reason: z.string().optional(),
      at: z.string(),
      uptimeMs: z.number(),
    })
    .optional(),
});

const stackState = z.object({
  format: z.literal(1),
  supervisor: identity,
  startedAt: z.string(),
  ready: z.boolean(),
  parts: z.array(partRecord),
});

/** A part's last state, as seen by the supervisor. */
export type PartRecord = z.output<typeof partRecord>;

/** `<home>/run/state.json`: written by the supervisor on each change, read by all other processes. */
export type StackState = z.output<typeof stackState>;

export const runFolder = (home: string): string => path.join(home, 'run');
export const statePath = (home: string): string => path.join(runFolder(home), 'state.json');
/** The parts that the supervisor runs: a list of part specs, written by `up`. */
export const specsPath = (home: string): string => path.join(runFolder(home), 'parts.json');
/** Hashes of the settings that the stack was started with, by name. */
export const settingsPath = (home: string): string => path.join(runFolder(home), 'settings.json');
export const logPath = (home: string, part: string): string => path.join(home, 'logs', `${part}.log`);

/** The state on disk; undefined if there is none or it is not valid (incomplete, or of another release). */
export function readState(home: string): StackState | undefined {
  const parsed = stackState.safeParse(readJson(statePath(home)));
  return parsed.success ? parsed.data : undefined;
}

export const writeState = (home: string, state: StackState): void => writeJson(statePath(home), state);

export const clearState = (home: string): void => {
  for (const file of [statePath(home), specsPath(home), settingsPath(home)]) rmSync(file, { force: true });
};
