import type { RunEvent } from '../../pipelines/run/index.js';
import { RunTeller, type Told } from '../openai/told.js';
import type { Asked } from '../waiting/follow-call.js';
import type { Agent } from './agents.js';
import type { Artifact, Part, StreamResponse, TaskStatus } from './protocol.js';
import { ANSWER, asks, messageOf, type TaskName } from './task.js';

type Updates = Generator<StreamResponse>;

/**
 * Writes a run as updates of its task. The answer is an artifact that grows; what an agent writes before it calls tools is
 * told as a status message, and the next text replaces it.
 */
export class TaskUpdates {
  readonly #name: TaskName;
  readonly #teller: RunTeller | undefined;
  /** The text that the client has in the answer. */
  #text = '';
  #begun = false;
  #works: boolean;

  /** @param works whether the client knows that the task is being worked on */
  constructor(name: TaskName, { model }: Agent, works: boolean) {
    this.#name = name;
    this.#teller = model && new RunTeller(model, name.run);
    this.#works = works;
  }

  *of(event: RunEvent): Updates {
    if (event.type === 'events.lost') return;
    if ((event.type === 'stage.started' && !this.#works) || event.type === 'stage.decided') yield this.#working();
    for (const piece of this.#teller?.of(event) ?? []) yield* this.#tell(piece);
  }

  waits(waits: readonly Asked[]): StreamResponse {
    return this.status(asks(this.#name, waits));
  }

  /** The rest of a run that has succeeded. */
  *end(output: Parameters<RunTeller['end']>[0], artifacts: readonly Artifact[]): Updates {
    let rest = '';
    for (const piece of this.#teller?.end(output) ?? []) {
      if ('text' in piece) rest += piece.text;
      else yield* this.#tell(piece);
    }
    if (this.#begun || rest !== '') yield this.#answer(rest, true);
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
    this.#text += text;
    const artifact = { artifactId: ANSWER, name: ANSWER, parts: [{ text, mediaType: 'text/plain' }] };
    return { artifactUpdate: { taskId, contextId, artifact, append, lastChunk } };
  }
}
