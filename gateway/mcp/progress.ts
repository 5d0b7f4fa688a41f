import type { Json, JsonObject } from '../../pipelines/json.js';
import { SentenceSplitter } from '../../pipelines/plan/sentences.js';
import { type RunEvent, visibleText } from '../../pipelines/run/index.js';
import { SentText } from '../openai/sent-text.js';

interface Writing {
  readonly text: SentText;
  readonly sentences: SentenceSplitter;
}

const newWriting = (): Writing => ({ text: new SentText(), sentences: new SentenceSplitter() });

/**
 * The progress messages of a run's events, in words: what its stages do, the calls of its agents, and what its models write, by
 * sentences. The total is unknown: a plan has branches and loops.
 */
export class ProgressMessages {
  /** Replies of chat models that are being written, by path. */
  readonly #writing = new Map<string, Writing>();

  *of(event: RunEvent): Generator<string> {
    if (event.type === 'events.lost') return;
    const { path } = event;
    const writing = this.#writing.get(path);
    switch (event.type) {
      case 'stage.started':
        if (writing) writing.text.begin();
        else if (event.kind === 'chat') this.#writing.set(path, newWriting());
        yield `${path} started${event.attempt > 1 ? `, attempt ${event.attempt}` : ''}`;
        return;
      case 'stage.delta':
        if (writing) yield* said(path, this.#sentences(path, writing, event.text));
        return;
      case 'stage.finished':
        yield* said(path, writing?.sentences.end() ?? []);
        this.#writing.delete(path);
        yield `${path} finished`;
        return;
      case 'stage.failed':
        yield `${path} failed: ${event.code}`;
        return;
      case 'stage.waiting_for':
        yield `${path} waits for ${event.model}`;
        return;
      case 'stage.loading':
        yield `${path} waits until ${event.model} is loaded`;
        return;
      case 'stage.waiting':
        yield `${path} waits for a person: ${visibleText(event.subject)}`;
        return;
      case 'stage.decided':
        yield `${path} was ${event.approved ? 'approved' : 'rejected'}`;
        return;
      case 'guardrail.checked':
        if (event.verdict !== 'pass') yield `${path} decides: ${event.verdict}`;
        return;
      case 'tool.called':
        yield `${turnOf(path)} calls ${event.tool}(${shortened(event.arguments)})`;
        return;
      case 'tool.ended':
        yield `${turnOf(path)} ${event.tool} ${event.end}: ${shortened(event.end === 'done' ? event.result : event.message)}`;
        return;
    }
  }

  /** Those that are now whole; the text of another attempt, where it differs, is told from its beginning. */
  #sentences(path: string, { text, sentences }: Writing, delta: string): readonly string[] {
    const next = text.next(delta);
    if (next !== undefined) return sentences.push(next);
    const own = newWriting();
    this.#writing.set(path, own);
    return own.sentences.push(own.text.add(`${text.attempt}${delta}`));
  }
}

function* said(path: string, sentences: readonly string[]): Generator<string> {
  for (const each of sentences) if (each.trim() !== '') yield `${path}: ${each.trim()}`;
}

/** `answer/turn-1` of `answer/turn-1/refund:9f86d081884c`. */
const turnOf = (path: string): string => path.slice(0, path.lastIndexOf('/'));

/** The first message of a call, with its `_meta`: where its run can be found. */
export const runMessage = (run: string): [message: string, meta: JsonObject] => [`run ${run}`, { 'millrace/run': run }];

/** Maximum length of arguments and results in a message, in characters. */
const LONGEST = 500;

function shortened(value: Json | undefined): string {
  const text = typeof value === 'string' ? value : value === undefined ? '…' : JSON.stringify(value);
  return text.length > LONGEST ? `${text.slice(0, LONGEST - 1)}…` : text;
}
