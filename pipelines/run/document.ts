import type { ErrorCode, FieldError } from '../errors.js';
import type { JsonObject } from '../json.js';
import type { StageRecord, TokenUsage, Wait } from './index.js';

/** Status of a run; `failed` includes runs that timed out or were terminated in Temporal. */
export type RunStatus = 'running' | 'succeeded' | 'failed' | 'cancelled';

/** A run as shown to its caller. */
export interface RunDocument {
  readonly id: string;
  readonly pipeline: string;
  /** Version of the plan that the run carries. */
  readonly version: string;
  readonly tenant: string;
  readonly status: RunStatus;
  /** ISO 8601, UTC. */
  readonly createdAt: string;
  /**
   * Temporal's time; in the response to a waiting request the gateway's time, which may differ by some milliseconds.
   */
  readonly endedAt?: string;
  /** The run's input; media as artifacts, each with the `href` of its bytes. */
  readonly input?: JsonObject;
  /** The run's output, when it succeeded; media as in `input`. */
  readonly output?: JsonObject;
  /** Absent while no worker can be queried. */
  readonly stages?: readonly StageRecord[];
  /** Tokens and cost so far, of its child runs too; absent while no server has reported any. */
  readonly usage?: TokenUsage;
  /** Pending decisions of the run and its child runs, while it runs; absent while no worker can be queried. */
  readonly waiting?: readonly Wait[];
  readonly error?: RunError;
  /** The run that this one resumes, which failed, was cancelled or timed out. */
  readonly resumedFrom?: string;
  /** The run that resumes this one. */
  readonly resumedAs?: string;
  readonly links: {
    readonly self: string;
    /** The run's page in the Temporal UI. */
    readonly ui: string;
  };
}

/** A run as listed: what is known of it without fetching its input, stages or result. */
export type RunSummary = Pick<
  RunDocument,
  'id' | 'pipeline' | 'version' | 'tenant' | 'status' | 'createdAt' | 'endedAt' | 'resumedFrom' | 'links'
> &
  Partial<Pick<RunDocument, 'waiting'>>;

/** An open wait of a run or of one of its child runs. */
export interface Approval extends Wait {
  /** The run's id, under which it is decided. */
  readonly run: string;
  /** The run's pipeline. */
  readonly pipeline: string;
  readonly links: { readonly run: string; readonly approve: string; readonly reject: string };
}

/** A page of open waits. */
export interface ApprovalPage {
  readonly approvals: readonly Approval[];
  /** Ids of runs that no worker could be asked about. */
  readonly unknown: readonly string[];
  readonly nextCursor?: string;
}

/** A page of the list of runs. */
export interface RunPage {
  readonly runs: readonly RunSummary[];
  /** Continues the list; absent at its end. A page may have fewer runs than requested although more follow. */
  readonly nextCursor?: string;
  /** With `waiting=true`: ids of runs that no worker could be asked about. */
  readonly unknown?: readonly string[];
}

/** Why a run failed or was cancelled. */
export interface RunError {
  /** A code of the error table. */
  readonly code: string;
  readonly message: string;
  readonly stage?: string;
  readonly fields?: readonly FieldError[];
  /** Where a function of the pipeline threw it: `pipelines.ts:12:5`, relative to the module of the pipelines. */
  readonly at?: string;
  /** Wait that the model server requested with its refusal, in milliseconds from the run's end. */
  readonly retryAfterMs?: number;
}

/** Body of every error response: `application/problem+json` (RFC 9457). */
export interface Problem {
  /** `urn:millrace:error:<code>` */
  readonly type: string;
  /** One sentence, the same for every occurrence of the code. */
  readonly title: string;
  readonly status: number;
  /** Explains this occurrence. */
  readonly detail: string;
  /** A code of the error table; clients should branch on it. */
  readonly code: ErrorCode;
  /** Path of the request. */
  readonly instance: string;
  /** Identifies the request in the gateway's log. */
  readonly requestId: string;
  /** The offending fields or headers. */
  readonly errors?: readonly FieldError[];
  /** The failed run, if the caller waited for one. */
  readonly run?: RunDocument;
}

/** A pipeline as listed by the gateway. */
export interface PipelineDocument {
  readonly name: string;
  readonly version: string;
  readonly description: string;
  /** JSON Schemas (2020-12). */
  readonly input: JsonObject;
  readonly output: JsonObject;
}
