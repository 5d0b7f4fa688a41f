import type { Priority } from '../pipelines/plan/index.js';
import type { RunStatus } from '../pipelines/run/document.js';

/** A decision on a wait of a run. */
export interface DecisionBody {
  /** The nonce of the wait. */
  readonly nonce: string;
  /** Path of the waiting stage; required only if the run has many child runs. */
  readonly stage?: string;
  /** The person who decides, for display. */
  readonly by?: string;
  /** The reason; an agent's model is told. */
  readonly reason?: string;
}

/** An approval, of a tool call also with changes. */
export interface ApprovalBody extends DecisionBody {
  /** Arguments that replace the model's; the model is told. */
  readonly arguments?: Readonly<Record<string, unknown>>;
  /** The answer to a question: the fields of its form. */
  readonly content?: Readonly<Record<string, unknown>>;
  /** `run`: approves later calls of the tool by the same agent in this run too; `session`: those in all runs of its session. Default `call`. */
  readonly scope?: 'call' | 'run' | 'session';
}

/** How to reach the gateway. */
export interface ClientOptions {
  /** Base URL of the gateway: `https://millrace.example`. Empty in a browser: relative to the page. */
  readonly baseUrl: string;
  /** An API key, if the gateway requires one. */
  readonly key?: string;
  /** The tenant, if the gateway requires no keys. */
  readonly tenant?: string;
  /** Replaces the global `fetch`. */
  readonly fetch?: typeof fetch;
}

/** Options of a start. */
export interface StartOptions {
  /** The same key with the same input returns the same run. Default: a random key, which makes retries safe. */
  readonly idempotencyKey?: string;
  readonly priority?: Priority;
  /** Requested fields of the output; stages that only other fields need do not run. */
  readonly outputs?: readonly string[];
  /** URL of a webhook receiver of the run's end. */
  readonly webhook?: string;
  /** Ends the wait, not the run: the call rejects with the signal's reason. */
  readonly signal?: AbortSignal;
  /** Retries of a start if no gateway is reachable, or the gateway cannot reach Temporal. Default 2. */
  readonly retries?: number;
}

/** Filters of a list of runs. Absent: no restriction. */
export interface RunFilters {
  /** The pipeline's name. */
  readonly pipeline?: string;
  readonly status?: RunStatus;
  /** Version of the plan. */
  readonly version?: string;
  /** Started at this time or later: ISO 8601, UTC without an offset. */
  readonly from?: string;
  /** Started before this time. */
  readonly to?: string;
  /** Start of the id. */
  readonly id?: string;
}
