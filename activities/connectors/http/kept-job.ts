import { isJsonObject, type Json } from '../../../pipelines/json.js';
import { jsonHash } from '../../../pipelines/plan/hash.js';
import type { Call } from '../connector.js';

/** A job in a checkpoint: at which server it is, and how it is found there. */
export interface KeptJob {
  readonly endpoint: string;
  readonly job: Json;
  /** `askedBy` of its call. Absent in checkpoints of earlier releases. */
  readonly asked?: string;
  /** By which its server calls. */
  readonly callback?: string;
}

/** The job that a checkpoint names; undefined if it names none. Of a call of several batches it is that of one. */
export function keptJob(checkpoint: Json | undefined): KeptJob | undefined {
  if (!isJsonObject(checkpoint)) return undefined;
  const { of, endpoint, job = null, asked, callback } = checkpoint;
  if (isJsonObject(of)) return keptJob(of);
  if (typeof endpoint !== 'string' || job === null) return undefined;
  return {
    ...{ endpoint, job },
    ...(typeof asked === 'string' && { asked }),
    ...(typeof callback === 'string' && { callback }),
  };
}

/** Tells calls apart: an attempt may make several, one for each sentence that it speaks, and a job is that of one. */
export const askedBy = ({ kind, with: options, input }: Call): string => jsonHash([kind, options, input]).slice(0, 16);
