import { actorOf } from '../../runs/caller.js';
import { decideOn, notWaiting } from '../../runs/decide.js';
import { findRun, isDelayed } from '../../runs/read.js';
import { type Caller, requirePermission } from '../access/caller.js';
import type { GatewayDeps } from '../deps.js';

/** A decision on a wait of a run. */
export interface GivenAnswer {
  readonly run: string;
  readonly nonce: string;
  readonly approved: boolean;
}

/**
 * Decides a wait as the caller, for the doors of protocols whose clients ask a person. Throws `FORBIDDEN` without the
 * permission `approve`, `RUN_NOT_FOUND`, `RUN_ENDED`, `NOT_WAITING` and `ALREADY_DECIDED`.
 */
export async function decideAs(
  deps: GatewayDeps,
  caller: Caller,
  { run, nonce, approved }: GivenAnswer,
): Promise<void> {
  requirePermission(caller, 'approve');
  const { description, accepted } = await findRun(deps, run, caller);
  // Before its first workflow task a run has no waits.
  if (accepted || isDelayed(description)) throw notWaiting(nonce, []);
  const actor = actorOf(caller);
  await decideOn(deps, run, { nonce, approved, ...(actor !== undefined && { actor }) });
}
