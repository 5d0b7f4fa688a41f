import type { Artifact } from '../artifact.js';
import type { Json, JsonObject } from '../json.js';
import type { AgentToolCall } from '../stages/tool-calls.js';
import type { Wait } from './waits.js';

/**
 * Observable events of a run in progress. `stage` is the stage's id, `path` its position in the run
 * (`chunks[3]/transcribe`, `answer/turn-2`). In those of a child run both begin with its position in the run:
 * `answer/turn-1/research:9f86d081884c/summary`.
 *
 * A retried stage starts again with the next attempt: discard the text of the attempt before.
 */
export type RunEvent = StageEvent | EventsLost;

/** An event of one stage. */
export type StageEvent =
  | StageStarted
  | StageDelta
  | StageReasoning
  | StageProgress
  | StageAudio
  | StageFinished
  | StageFailed
  | StageWaitingFor
  | StageLoading
  | StageWaiting
  | StageDecided
  | ToolCalled
  | ToolEnded
  | GuardrailChecked;

/**
 * Events are missing here: the store could not be reached, or was full. The run's document is complete nevertheless.
 */
export interface EventsLost {
  readonly type: 'events.lost';
  /** Number of missing events, if known. */
  readonly count?: number;
}

interface OfStage {
  readonly stage: string;
  readonly path: string;
  /** From 1. */
  readonly attempt: number;
}

export interface StageStarted extends OfStage {
  readonly type: 'stage.started';
  readonly kind: string;
  readonly model: string;
}

/** More of the stage's text: tokens of a reply, words from a window of speech. */
export interface StageDelta extends OfStage {
  readonly type: 'stage.delta';
  readonly text: string;
}

/** More of what a reasoning model thinks before its text, where the server separates it. */
export interface StageReasoning extends OfStage {
  readonly type: 'stage.reasoning';
  readonly text: string;
}

/** The server has done more of the stage's work. */
export interface StageProgress extends OfStage {
  readonly type: 'stage.progress';
  /** From 0 to 1, as the server says; it never decreases within an attempt. */
  readonly share: number;
}

/**
 * A piece of the stage's audio, as soon as it is made: a sentence. Pieces of another attempt go on with the next number:
 * none is void. After a worker was lost the last one may be sent again, with the same number.
 */
export interface StageAudio extends OfStage {
  readonly type: 'stage.audio';
  /** From 0. */
  readonly number: number;
  /** What is spoken, with the white space before it. */
  readonly text: string;
  /** Where it begins in the whole text, in UTF-16 units. */
  readonly at: number;
  /** The piece: a file with its format and length. */
  readonly audio: Artifact;
  /** The file in base64, where a follower gets it with the event. */
  readonly data?: string;
}

export interface StageFinished extends OfStage {
  readonly type: 'stage.finished';
  readonly cache: string;
  /** Milliseconds of this attempt. */
  readonly runMs: number;
}

/** An attempt failed; another may follow. */
export interface StageFailed extends OfStage {
  readonly type: 'stage.failed';
  /** A code of the error table. */
  readonly code: string;
  readonly message: string;
}

/** The attempt found no server to call and waits for one; sent once per outage. */
export interface StageWaitingFor extends OfStage {
  readonly type: 'stage.waiting_for';
  /** The model whose server is away. */
  readonly model: string;
  /** A code of the error table. */
  readonly code: string;
  readonly message: string;
}

/** The attempt found its model not loaded, and waits until the server has loaded it; sent once for each such wait. */
export interface StageLoading extends OfStage {
  readonly type: 'stage.loading';
  readonly model: string;
  /** How long the model took to load before, in milliseconds. Absent: unknown. */
  readonly loadMs?: number;
}

/** The stage, or a call of it, waits for a person. */
export interface StageWaiting extends OfStage, Omit<Wait, 'stage' | 'path'> {
  readonly type: 'stage.waiting';
}

/** The wait ended: a person decided, or the stage's default applies. */
export interface StageDecided extends OfStage {
  readonly type: 'stage.decided';
  /** Nonce of the wait. Absent for a call that an earlier approval of its session covers: nobody was asked. */
  readonly nonce?: string;
  readonly approved: boolean;
  /** Who decided: a name, `person`, or `timeout`. */
  readonly by: string;
  /** Identity authenticated by the gateway (`StageDecision`). */
  readonly actor?: string;
  readonly reason?: string;
  /** Arguments in place of the model's. */
  readonly arguments?: JsonObject;
  /** The answer to a question of an MCP server. */
  readonly content?: JsonObject;
  /** Covers later calls of the tool too. */
  readonly scope?: 'run' | 'session';
  /** When the approval was given that covers this call of its session (`StageDecision`). */
  readonly grantedAt?: string;
}

/**
 * A guardrail of an agent has decided. `path` is that of the check: `answer/turn-1/guard_no_cards:9f86d081884c`. May be sent twice if a worker dies.
 */
export interface GuardrailChecked extends OfStage {
  readonly type: 'guardrail.checked';
  readonly guardrail: string;
  readonly on: 'input' | 'output' | 'tool';
  /** `ask`: a person is asked next. */
  readonly verdict: 'pass' | 'stop' | 'redact' | 'ask';
  readonly reason?: string;
}

interface OfToolCall extends OfStage {
  readonly tool: string;
  /** Position in the agent's `toolCalls`, from 0. */
  readonly number: number;
}

/**
 * An agent's model has called a tool, which is executed now or after a person has decided. The text of the turn, if any, came before it.
 * `path` is that of the call: `answer/turn-1/refund:9f86d081884c`. May be sent twice if a worker dies.
 */
export interface ToolCalled extends OfToolCall {
  readonly type: 'tool.called';
  /** Absent if their JSON has more than 16,000 characters. */
  readonly arguments?: JsonObject;
}

/** The call has ended, in whatever way. May be sent twice if a worker dies. */
export interface ToolEnded extends OfToolCall {
  readonly type: 'tool.ended';
  readonly end: AgentToolCall['end'];
  /** The arguments, where a person has changed them. */
  readonly arguments?: JsonObject;
  /** Of a call that is `done`; absent if its text has more than 16,000 characters. */
  readonly result?: Json;
  /** Why it is not `done`, as the model is told: a code of the error table, and a message. */
  readonly code?: string;
  readonly message?: string;
}

/** The run whose followers get the events of a child run, and the position of the child in it. */
export interface EventsTo {
  readonly run: string;
  readonly at: string;
}

/** An event of a child run as its parent's followers get it. */
export const eventWithin = <E extends StageEvent>(event: E, { at }: Pick<EventsTo, 'at'>): E => ({
  ...event,
  stage: `${at}/${event.stage}`,
  path: `${at}/${event.path}`,
});

/**
 * Where the events of a child run go: to the followers of the run that the caller has started.
 * @param context of the child run, with its parent's `events`
 * @param run the parent's id
 */
export function childEvents(
  { events: own }: { readonly events?: true | EventsTo },
  run: string,
  path: string,
): { readonly events?: EventsTo } {
  if (own === undefined) return {};
  return { events: own === true ? { run, at: path } : { run: own.run, at: `${own.at}/${path}` } };
}
