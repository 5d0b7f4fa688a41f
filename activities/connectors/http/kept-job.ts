import { isJsonObject, type Json } from '../../../pipelines/json.js';

/** A job in a checkpoint: at which server it is, and how it is found there. */
export interface KeptJob {
  readonly endpoint: string;
  readonly job: Json;
}

/** The job that a checkpoint names; undefined if it names none. Of a call of several batches it is that of one. */
export function keptJob(checkpoint: Json | undefined): KeptJob | undefined {
  if (!isJsonObject(checkpoint)) return undefined;
  const { of, endpoint, job = null } = checkpoint;
  if (isJsonObject(of)) return keptJob(of);
  return typeof endpoint === 'string' && job !== null ? { endpoint, job } : undefined;
}
