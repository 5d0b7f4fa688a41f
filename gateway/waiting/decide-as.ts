import type { GivenDecision } from '../../pipelines/run/index.js';
import { actorOf } from '../../runs/caller.js';
import { decideOn, notWaiting } from '../../runs/decide.js';
import { findRun, isDelayed } from '../../runs/read.js';
import { type Caller, requirePermission } from '../access/caller.js';
import type { GatewayDeps } from '../deps.js';

/** A decision on a wait of a run. */
export type GivenAnswer = Omit<GivenDecision, 'actor' | 'path'> & {
  readonly run: string;
  /** Path of the waiting stage, where the caller names it. */
  readonly stage?: string | undefined;
};

/** The same, of a run that is known. */
export type AnswerOfRun = Omit<GivenAnswer, 'run'>;

/**
 * Decides a wait as the caller, for the doors of protocols whose clients ask a person. Throws `FORBIDDEN` without the
 * permission `approve`, `RUN_NOT_FOUND`, `RUN_ENDED`, `NOT_WAITING` and `ALREADY_DECIDED`.
 */
export async function decideAs(
  deps: GatewayDeps,
  caller: Caller,
  { run, stage, ...given }: GivenAnswer,
): Promise<void> {
  requirePermission(caller, 'approve');
  const { description, accepted } = await findRun(deps, run, caller);
  // Before its first workflow task a run has no waits.
  if (accepted || isDelayed(description)) throw notWaiting(given.nonce, []);
  const actor = actorOf(caller);
  await decideOn(deps, { id: run, tenant: caller.tenant }, { ...given, ...(actor !== undefined && { actor }) }, stage);
}
