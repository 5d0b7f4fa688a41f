import type { Json } from '../json.js';
import type { Plan, Priority } from '../plan/plan.js';
import type { EventsTo } from './events.js';
import type { Placement } from './placement.js';
import type { StageRecord } from './stage-record.js';
import type { Decision, StageDecision } from './waits.js';

/** Second argument of the workflow; the first is the pipeline's input. */
export interface RunContext {
  readonly plan: Plan;
  readonly placement: Placement;
  readonly tenant: string;
  /**
   * Whose conversations its agents, and those of its child runs, take part in within the tenant: `<pipeline>/<owner>`,
   * of the pipeline that was called. Absent: the pipeline.
   */
  readonly sessionsOf?: string;
  /** Absent: `default`. */
  readonly priority?: Priority;
  /**
   * Trace of its calls and its child runs, the caller's span if a caller has given it, and the flags: `<32 hex digits>-<16>-<2>`.
   * Absent: each of them has its own.
   */
  readonly trace?: string;
  /** Output fields that the caller requested; stages needed only by other fields are skipped. Absent: all. */
  readonly outputs?: readonly string[];
  /**
   * Where a caller waits for the result. A run that is one segment is answered there as soon as its last stage is in
   * the journal, before Temporal records the end.
   */
  readonly answerTo?: string;
  /** The run may be followed: its stages emit events (`RunEvent`). Of a child run: to whom. */
  readonly events?: true | EventsTo;
  /**
   * Of a child run: maximum duration of the whole run that it is part of, in milliseconds, whose record has its calls too. Absent: its plan's
   * deadline.
   */
  readonly runMs?: number;
  /**
   * Large values of its record are sealed (`StageCall.sealed`). Absent: it was started by 0.3.0, whose workers cannot read such values;
   * gateways are updated after the workers.
   */
  readonly sealed?: true;
  /**
   * Part of the names of its channels, beside its id: those of an earlier run with the same id may still be there, after Temporal has removed that
   * run, or where a client uses an id of its own again. Of a child run: that of its run. Absent: an earlier release has started it.
   */
  readonly streamTag?: string;
  /**
   * Part of the idempotency keys of its calls, beside its id: of a run that a client or workflow of Temporal has started, whose id a later run may have
   * too. The same in its new histories, its child runs and the runs that resume it. Absent: a gateway has started it, whose
   * id is new or that of the same request, or an earlier release.
   */
  readonly keyTag?: string;
  /** Id of the workflow that tells receivers of webhooks about waits for a person (`deliveryId`). Absent: nobody. */
  readonly waitsTo?: string;
  /** Of a child run: how many waits it tells at most, with those of its own child runs. Absent: 100, as in child runs of earlier releases. */
  readonly mostTold?: number;
  /**
   * The run is one segment that a fast host runs outside Temporal, under a journal of this name. The workflow is its
   * guardian: it ends with the outcome that it receives, or takes over the segment when the fast host is gone.
   */
  readonly guarded?: string;
  /** Decisions made in the runs that this one resumes, by path of the wait; they are not requested again. */
  readonly decisions?: Readonly<Record<string, Omit<StageDecision, 'path'>>>;
  /** State carried over when the run continued in a new history. */
  readonly carried?: Carried;
}

/** State that a run carries into its next history (continue-as-new). */
export interface Carried {
  /** When the run started, on the run's clock. */
  readonly startedAt: number;
  /** What has ended: values of steps, and for running loops their state and the values of finished items. */
  readonly done: Json;
  /** Decisions by nonce of the wait, the latest last, including those that the wait has not consumed yet. */
  readonly decided: Readonly<Record<string, Decision>>;
  /** Waits that the delivery of the run has been told of. Absent: none, or by an earlier release, which did not count them. */
  readonly told?: number;
  /** Of the waits that child runs may tell the delivery, how many they have been given. Absent: none. */
  readonly toldShared?: number;
  readonly rows: readonly StageRecord[];
}
