import { MillraceError } from '../../pipelines/errors.js';
import type { RunEvent } from '../../pipelines/run/index.js';
import { RunTeller, type Told } from '../openai/told.js';
import type { Asked } from '../waiting/follow-call.js';
import type { Agent } from './agents.js';
import type { Artifact, Part, StreamResponse, TaskStatus } from './protocol.js';
import { ANSWER, asks, messageOf, type TaskName } from './task.js';

type Updates = Generator<StreamResponse>;

/**
 * Writes a run as updates of its task. The answer is an artifact that grows; what an agent writes before it calls tools is
 * told as a status message, and the next text replaces it. Text of an attempt that another one differs from is replaced by the
 * whole answer at the end.
 */
export class TaskUpdates {
  readonly #name: TaskName;
  readonly #teller: RunTeller | undefined;
  /** The text that the client has in the answer. */
  #text = '';
  #begun = false;
  /** The answer that the client has is not the one that is being written. */
  #stale = false;
  /** Attempts differ: no more text is told before the end. */
  #differs = false;
  #works: boolean;

  /** @param works whether the client knows that the task is being worked on */
  constructor(name: TaskName, { model }: Agent, works: boolean) {
    this.#name = name;
    this.#teller = model && new RunTeller(model, name.run);
    this.#works = works;
  }

  *of(event: RunEvent): Updates {
    if ((event.type === 'stage.started' && !this.#works) || event.type === 'stage.decided') yield this.#working();
    for (const piece of this.#told(this.#teller?.of(event) ?? [])) yield* this.#tell(piece);
  }

  waits(waits: readonly Asked[]): StreamResponse {
    return this.status(asks(this.#name, waits));
  }

  /** The rest of a run that has succeeded. */
  *end(output: Parameters<RunTeller['end']>[0], artifacts: readonly Artifact[]): Updates {
    let rest = '';
    for (const piece of this.#told(this.#teller?.end(output) ?? [])) {
      if ('text' in piece) rest += piece.text;
      else yield* this.#tell(piece);
    }
    if (this.#differs) rest = textIn(artifacts);
    if (this.#begun || this.#stale || rest !== '') yield this.#answer(rest, true);
    for (const artifact of artifacts) {
      if (artifact.artifactId === ANSWER) continue;
      const { run: taskId, context: contextId } = this.#name;
      yield { artifactUpdate: { taskId, contextId, artifact, append: false, lastChunk: true } };
    }
  }

  status(status: TaskStatus): StreamResponse {
    const { run: taskId, context: contextId } = this.#name;
    return { statusUpdate: { taskId, contextId, status } };
  }

  /** Attempts whose texts differ are an error where text cannot be taken back. */
  *#told(pieces: Iterable<Told>): Generator<Told> {
    try {
      for (const piece of pieces) if (!this.#differs || !('text' in piece)) yield piece;
    } catch (error) {
      if (!(error instanceof MillraceError) || error.code !== 'BACKEND_ERROR') throw error;
      if (!this.#differs) yield { ended: 'void' };
      this.#differs = true;
    }
  }

  *#tell(piece: Told): Updates {
    if ('text' in piece) yield this.#answer(piece.text, false);
    else if ('called' in piece) {
      const { id, name, arguments: given } = piece.called;
      yield this.#working([{ data: { call: id, tool: name, arguments: given } }]);
    } else if ('executed' in piece) {
      const { id, name, arguments: given, status, output, error } = piece.executed;
      yield this.#working([{ data: { call: id, tool: name, arguments: given, status, output, error } }]);
    } else if ('ended' in piece) {
      if (piece.ended === 'whole' && this.#text !== '') yield this.#working([{ text: this.#text }]);
      this.#stale ||= this.#text !== '';
      this.#text = '';
      this.#begun = false;
    }
  }

  #working(parts?: readonly Part[]): StreamResponse {
    this.#works = true;
    const timestamp = new Date().toISOString();
    return this.status({
      state: 'TASK_STATE_WORKING',
      ...(parts && { message: messageOf(this.#name, parts) }),
      timestamp,
    });
  }

  #answer(text: string, lastChunk: boolean): StreamResponse {
    const { run: taskId, context: contextId } = this.#name;
    const append = this.#begun;
    this.#begun = true;
    this.#stale = false;
    this.#text += text;
    const artifact = { artifactId: ANSWER, name: ANSWER, parts: [{ text, mediaType: 'text/plain' }] };
    return { artifactUpdate: { taskId, contextId, artifact, append, lastChunk } };
  }
}

function textIn(artifacts: readonly Artifact[]): string {
  const { parts = [] } = artifacts.find(({ artifactId }) => artifactId === ANSWER) ?? {};
  return parts.map((part) => ('text' in part ? part.text : '')).join('');
}
