import type { JsonObject } from '../json.js';

/**
 * What a person is asked beside yes and no: by an `approve` stage with a form, or by a server during a call of its tool (elicitation of the Model Context
 * Protocol), whose texts are foreign.
 */
export interface Question {
  readonly message: string;
  /** Form mode: JSON Schema of an object whose properties are texts, numbers, booleans and choices. */
  readonly schema?: JsonObject;
  /** URL mode: where the person goes; the answer is that it is done. */
  readonly url?: string;
}

/** The same, as a person sees it. */
export interface WaitingQuestion extends Question {
  /** Name of the server in the worker’s file of MCP servers. Absent: an `approve` stage asks. */
  readonly server?: string;
  /** The server’s own name of the tool that was called. */
  readonly tool?: string;
}

/** The answer to a question, as the protocol has it. `cancel`: nobody has decided. */
export interface Elicited {
  readonly action: 'accept' | 'decline' | 'cancel';
  /** The fields of the form. */
  readonly content?: JsonObject;
}

/** Questions whose answers the next part of a call takes along. */
export interface AskedQuestions {
  /** By the server’s keys. */
  readonly questions: Readonly<Record<string, Question>>;
  /** What the next part of the call needs. Only workers read it. */
  readonly goesOn: JsonObject;
  /** The next part begins nothing at the server, so it may be attempted again. */
  readonly safe?: true;
}

/** A question of a call that is open in a worker, as the worker sends it to the run. */
export interface HeldQuestion {
  /** Path of the call in the run. */
  readonly path: string;
  /** The attempt that holds the call: questions of those before it are over. */
  readonly attempt: number;
  readonly question: Question;
}

/** Temporal update by which a worker asks, with a `HeldQuestion`; its result is an `Elicited`. It is rejected while too many are open. */
export const ASK_UPDATE = 'ask';

/** What a wait for an answer to a server is about, in one line that names it. */
export const subjectOf = ({ server, tool, message, url }: WaitingQuestion): string =>
  `The MCP server "${server}" asks during its tool "${tool}": ${message}${url === undefined ? '' : ` (open ${url})`}`;
