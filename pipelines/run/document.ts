import type { ErrorCode, FieldError } from '../errors.js';
import type { JsonObject } from '../json.js';
import type { StageRecord, Wait } from './index.js';

export type RunStatus = 'running' | 'succeeded' | 'failed' | 'cancelled';

/** A run as its caller sees it. */
export interface RunDocument {
  readonly id: string;
  readonly pipeline: string;
  /** Version of the plan that the run carries. */
  readonly version: string;
  readonly tenant: string;
  readonly status: RunStatus;
  /** ISO 8601, UTC. */
  readonly createdAt: string;
  /** As Temporal has it; in the answer to a request that waited, when the gateway learnt of it, some milliseconds apart. */
  readonly endedAt?: string;
  /** What the run was given; media as artifacts, each with the `href` of its bytes. */
  readonly input?: JsonObject;
  /** What the pipeline returned, when it succeeded; media as in `input`. */
  readonly output?: JsonObject;
  /** Absent while no worker can be asked. */
  readonly stages?: readonly StageRecord[];
  /** What people are to decide, in the run and in its child runs. Of a run that goes on; absent while no worker can be asked. */
  readonly waiting?: readonly Wait[];
  readonly error?: RunError;
  /** The run where this one goes on: it has failed, was cancelled or has run out of time. */
  readonly resumedFrom?: string;
  /** The run that goes on where this one has ended. */
  readonly resumedAs?: string;
  readonly links: {
    readonly self: string;
    /** The run's page in the Temporal UI. */
    readonly ui: string;
  };
}

/** A run as lists have it: what is known of it without asking for its input, its stages or its result. */
export type RunSummary = Pick<
  RunDocument,
  'id' | 'pipeline' | 'version' | 'tenant' | 'status' | 'createdAt' | 'endedAt' | 'resumedFrom' | 'links'
>;

/** A part of the list of runs. */
export interface RunPage {
  readonly runs: readonly RunSummary[];
  /** Where the list goes on; absent at its end. A page may have fewer runs than were asked for, and more behind it. */
  readonly nextCursor?: string;
}

export interface RunError {
  /** A code of the error table. */
  readonly code: string;
  readonly message: string;
  readonly stage?: string;
  readonly fields?: readonly FieldError[];
}

/** Body of every answer that is no success: `application/problem+json` (RFC 9457). */
export interface Problem {
  /** `urn:millrace:error:<code>` */
  readonly type: string;
  /** One sentence, the same for every occurrence of the code. */
  readonly title: string;
  readonly status: number;
  /** What happened this time. */
  readonly detail: string;
  /** A code of the error table; clients decide on it. */
  readonly code: ErrorCode;
  /** Path of the request. */
  readonly instance: string;
  /** Finds the request in the gateway's log. */
  readonly requestId: string;
  /** The offending fields or headers. */
  readonly errors?: readonly FieldError[];
  /** The run that failed, when the caller waited for one. */
  readonly run?: RunDocument;
}

/** A pipeline as the gateway lists it. */
export interface PipelineDocument {
  readonly name: string;
  readonly version: string;
  readonly description: string;
  /** JSON Schemas (2020-12). */
  readonly input: JsonObject;
  readonly output: JsonObject;
}
