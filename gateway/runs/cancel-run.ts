import type { GatewayDeps } from '../deps.js';
import { fromTemporal, TEMPORAL_DEADLINE_MS } from './orchestrator.js';

/** Asks for the end of a run; its stages hear of it within a second. Throws `RUN_NOT_FOUND` and `ORCHESTRATOR_UNAVAILABLE`. */
export async function cancelRun({ temporal }: GatewayDeps, id: string): Promise<void> {
  try {
    await temporal.withDeadline(Date.now() + TEMPORAL_DEADLINE_MS, () => temporal.workflow.getHandle(id).cancel());
  } catch (error) {
    throw fromTemporal(error, id);
  }
}
