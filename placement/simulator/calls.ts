import type { Events } from './events.js';
import type { Handover } from './handover.js';
import type { Load } from './load.js';
import type { Queues } from './queues.js';
import type { StageTimes } from './stage-times.js';

/** State shared with the simulator: numbering of calls, and their queues. */
export interface Calls {
  readonly load: Load;
  readonly stages: number;
  /** Stage of each call of a request. */
  readonly stageOf: Int32Array;
  /** Failed attempts, by call. */
  readonly tries: Uint8Array;
  /** Tokens generated after the first before a preemption, by call. */
  readonly generated: Float64Array;
  /** By stage: tokens after which a reader of its stream has another piece; infinite: nobody reads it. */
  readonly every: Float64Array;
  readonly queues: Queues;
  readonly times: StageTimes;
  readonly handover: Handover;
  readonly events: Events;
}

/** What the servers report to the simulator. */
export interface Reports {
  ended(replica: number, call: number, now: number): void;
  /** A sequence has its first token, or another piece of its stream; `tokens`: all so far. */
  generated(replica: number, call: number, tokens: number, now: number): void;
  /** Share of a whole input that a call works on: less than 1 for a piece of a stream. */
  shareOf(call: number): number;
  /** A call that fits the memory of no replica of its pool. */
  oversized(call: number, now: number): void;
  /** Time until all inputs of a call have arrived at a replica. */
  travelMs(replica: number, call: number, now: number): number;
}

/** Separates the draws of a call's attempts: above every call's number. */
export const ATTEMPT = 0x1000000;

/** In place of the replica for a call: none has room now, or none ever has. */
export const NONE_NOW = -1;
export const NONE_FITS = -2;
