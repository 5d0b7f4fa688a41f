import type { Client } from '@temporalio/client';
import type { EndingRun } from './outcome.js';
import { type RunReading, type RunRecord, readRun } from './read.js';
import { SharedRequests } from './shared-requests.js';

const readingsOf = new WeakMap<Client, SharedRequests<RunRecord>>();

/**
 * Reads a run for callers that are authorised to see it. Concurrent calls for the same run share one reading, which takes up to four calls to
 * Temporal and a query of a worker; a call during a reading waits for it and for the next one, some 20 s if Temporal does not answer. Throws as
 * `readRun` does.
 */
export function readTogether(deps: RunReading, { id, tenant }: EndingRun): Promise<RunRecord> {
  const readings = readingsOf.get(deps.temporal) ?? new SharedRequests();
  readingsOf.set(deps.temporal, readings);
  return readings.of(JSON.stringify([tenant, id]), () => readRun(deps, id, { tenant }));
}
