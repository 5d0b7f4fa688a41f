import { z } from 'zod';
import { placementSchema } from '../document/index.js';
import { evidenceSchema } from './evidence.js';
import type { Policy } from './schema.js';

/** What an automatic replan remembers between steps, in a file beside the placement: a process may end at any of them. */

const version = z.string().regex(/^[0-9a-f]{12}$/);
const moment = z.iso.datetime();

/**
 * How far a change is. `switch`: the placement is about to be replaced. `verify`: new runs use the new one, and it is measured. `back`:
 * the old one is about to be restored.
 */
const STEPS = ['switch', 'verify', 'back'] as const;

const change = z.strictObject({
  /** As a whole: to go back must need nothing but this file. */
  from: placementSchema,
  to: placementSchema,
  step: z.enum(STEPS),
  /** When it began. */
  at: moment,
  /** When new runs began to use the new placement. */
  switchedAt: moment.optional(),
  /** Measured of the old placement, before. */
  before: evidenceSchema,
  /** Why it is taken back. */
  why: z.string().optional(),
});
export type Change = z.output<typeof change>;

/**
 * `unverified`: it stays, and nobody knows whether it is good. `abandoned`: before the switch. `interrupted`: by somebody else.
 */
const outcome = z.enum(['kept', 'unverified', 'rolled-back', 'abandoned', 'interrupted']);
export type Outcome = z.output<typeof outcome>;

export const journalSchema = z.strictObject({
  format: z.literal(1),
  /** Those that have ended, the latest last. */
  changes: z.array(z.strictObject({ at: moment, from: version, to: version, outcome, why: z.string().optional() })),
  /** Placements that are not tried again before a time. */
  refused: z.array(z.strictObject({ version, until: moment })),
  /** The one that has not ended. */
  open: change.optional(),
});
export type Journal = z.output<typeof journalSchema>;

export const EMPTY: Journal = { format: 1, changes: [], refused: [] };

/** More are not kept: far more than a policy can count. */
const MOST_KEPT = 1_000;

export const iso = (ms: number): string => new Date(ms).toISOString();

/** The journal after the open change has ended. A placement that was taken back is refused for a while. */
export function ended(
  { open, ...journal }: Journal,
  outcome: Outcome,
  why: string | undefined,
  policy: Pick<Policy, 'changes'>,
  nowMs: number,
): Journal {
  if (open === undefined) return journal;
  const [from, to] = [open.from.version, open.to.version];
  const { per, coolDown, again } = policy.changes;
  const since = iso(nowMs - Math.max(per, coolDown));
  const last = { at: iso(nowMs), from, to, outcome, ...(why !== undefined && { why }) };
  return {
    ...journal,
    changes: [...journal.changes.filter(({ at }) => at >= since), last].slice(-MOST_KEPT),
    refused: [
      ...journal.refused.filter(({ version: of, until }) => of !== to && until > iso(nowMs)),
      ...(outcome === 'rolled-back' ? [{ version: to, until: iso(nowMs + again) }] : []),
    ].slice(-MOST_KEPT),
  };
}

/**
 * When a person applied the placement in force or went back to it; undefined if an automatic change has left it there.
 *
 * @param appliedAtMs when its file was written; a file system knows parts of a millisecond, the journal does not
 */
export function byHandSince({ changes }: Journal, inForce: string, appliedAtMs: number): number | undefined {
  const last = changes.at(-1);
  if (last === undefined) return appliedAtMs;
  const endedMs = Date.parse(last.at);
  if (last.outcome !== 'interrupted' && inForce === leftBy(last))
    return Math.floor(appliedAtMs) > endedMs ? appliedAtMs : undefined;
  return Math.max(appliedAtMs, endedMs);
}

const leftBy = ({ outcome, from, to }: Journal['changes'][number]): string =>
  outcome === 'kept' || outcome === 'unverified' ? to : from;
