import type { JsonObject } from '../../pipelines/json.js';
import type { RunEvent, StageEvent, ToolCalled, ToolEnded } from '../../pipelines/run/index.js';
import type { RunDocument } from '../../runs/document.js';
import { type ExecutedCall, executedCallOf, executedId } from './executed-calls.js';
import type { Model } from './models.js';
import { SentText } from './sent-text.js';

/** A call that an agent of the run is making. */
export type CallBegun = Pick<ExecutedCall, 'id' | 'name' | 'arguments'>;

/**
 * What is told of a run while it runs. `text` is more of the current message; `last`: the rest of the answer, or all of it. `ended`: the message is whole, and calls or another message
 * follow, which the run's output lists with the message or does not; or it is void, because its model call was repeated with another text, which follows. `instead`: the reasoning that was
 * told of this message is void, because its model call was repeated with other reasoning, which this begins.
 */
export type Told =
  | { readonly text: string; readonly last?: true }
  | { readonly reasoning: string; readonly instead?: true }
  | { readonly ended: 'whole'; readonly listed: boolean }
  | { readonly ended: 'void' }
  | { readonly called: CallBegun }
  | { readonly executed: ExecutedCall };

type ToldModel = Pick<Model, 'textStages' | 'agents' | 'callers' | 'face'>;

/** Model calls of an agent that are turns: `answer/turn-2`, `answer~1/turn-3-again`, `answer/turn-1-checked`. */
const TURN = /^([^/]+?)(~\d+)?\/turn-\d+(-checked)?(-again)?$/;
/** A turn whose model call was made again, with another conversation: its reply before does not count. */
const turnOf = (path: string): string => path.replace(/(-checked)?(-again)?$/, '');

/**
 * Reads the events of a run as its client is told them: each text once, and the reasoning before it once, however often a model call was made. A text that differs from what
 * was sent before is void in an agent's turn, whose run may have had effects and goes on; elsewhere it is an error (`BACKEND_ERROR`). Where events of a text are missing, its
 * rest is told at the end, from the output.
 */
export class RunTeller {
  readonly #model: ToldModel;
  readonly #run: string;
  readonly #isRepeated: boolean;
  #text: SentText;
  #thoughts = new SentText();
  /** The model call whose text is told, by its path. */
  #telling: { readonly path: string; done: boolean } | undefined;
  /** Events of the current attempt were lost: where in the text its further deltas belong is unknown. */
  #hasGap = false;
  /** White space at the beginning of a turn: it is no message if calls follow. */
  #blank = '';
  #shown = false;
  /** By id, with the path that tells a call from another one of the same number. */
  readonly #calls = new Map<string, { readonly path: string; readonly call: CallBegun }>();
  readonly #ended = new Set<string>();

  /** @param isRepeated the client gets the whole text at the end too: one that differs from what was sent is no error */
  constructor(model: ToldModel, run: string, isRepeated = false) {
    this.#isRepeated = isRepeated;
    this.#text = new SentText(isRepeated);
    this.#model = model;
    this.#run = run;
  }

  *of(event: RunEvent): Generator<Told> {
    switch (event.type) {
      case 'events.lost':
        this.#hasGap = true;
        return;
      case 'tool.called':
        yield* this.#called(event);
        return;
      case 'tool.ended':
        yield* this.#executed(event);
        return;
      case 'stage.started':
        if (this.#isText(event)) yield* this.#begin(event);
        return;
      case 'stage.delta':
        if (this.#isText(event)) yield* this.#add(event, event.text);
        return;
      case 'stage.reasoning':
        // Of another attempt of a call whose text has begun: it would part one message in two.
        if (this.#isText(event) && this.#text.sent === '') yield* this.#think(event.text);
        return;
      case 'stage.finished':
        if (this.#isText(event)) yield* this.#finish(event);
        return;
      default:
        return;
    }
  }

  /** The rest of the answer's text. */
  *end({ output }: Pick<RunDocument, 'output'>): Generator<Told> {
    const given = output?.[this.#model.face.output];
    const whole = typeof given === 'string' ? given : '';
    if (this.#model.agents.size === 0) {
      const rest = this.#text.end(whole);
      if (rest !== '') yield { text: rest, last: true };
      return;
    }
    const rest = this.#text.rest(whole);
    if (rest === undefined && this.#shown) yield { ended: 'void' };
    const text = rest === undefined ? whole : `${this.#blank}${rest}`;
    if (text !== '') yield { text, last: true };
  }

  #isText({ stage, path }: StageEvent): boolean {
    if (!this.#model.textStages.has(stage)) return false;
    return !this.#model.agents.has(stage) || TURN.exec(path)?.[1] === stage;
  }

  /** The first attempt of a turn, or another of the turn before that did not end. */
  *#begin({ stage, path }: StageEvent): Generator<Told> {
    const before = this.#telling;
    if (before === undefined || (before.done && turnOf(before.path) !== turnOf(path))) {
      // The events of the calls between were lost, or are those of a worker that tells none.
      if (this.#shown) yield { ended: 'whole', listed: this.#model.callers.has(stage) };
      this.#next();
    } else {
      this.#text.begin();
      this.#thoughts.begin();
    }
    this.#telling = { path, done: false };
    this.#hasGap = false;
  }

  #next(): void {
    this.#text = new SentText(this.#isRepeated);
    this.#thoughts = new SentText();
    this.#telling = undefined;
    this.#blank = '';
    this.#shown = false;
  }

  *#think(delta: string): Generator<Told> {
    const reasoning = this.#thoughts.next(delta);
    if (reasoning === undefined) {
      const others = `${this.#thoughts.attempt}${delta}`;
      this.#thoughts = new SentText();
      yield { reasoning: this.#thoughts.add(others), instead: true };
    } else if (reasoning !== '') yield { reasoning };
  }

  *#add({ stage }: StageEvent, delta: string): Generator<Told> {
    if (!this.#model.agents.has(stage)) {
      // Without its start, the events are read from the middle of the attempt on.
      if (this.#hasGap || this.#telling === undefined) return;
      const text = this.#text.add(delta);
      if (text !== '') yield { text };
      return;
    }
    const text = this.#text.next(delta);
    if (text === undefined) yield* this.#instead(`${this.#text.attempt}${delta}`);
    else yield* this.#show(text);
  }

  *#finish({ stage, path }: StageEvent): Generator<Told> {
    if (this.#telling?.path === path) this.#telling.done = true;
    const { sent, attempt } = this.#text;
    // A shorter text than that of the attempt before.
    if (this.#model.agents.has(stage) && attempt !== '' && attempt.length < sent.length) yield* this.#instead(attempt);
  }

  /** Another text in place of what was told of this message. */
  *#instead(text: string): Generator<Told> {
    const telling = this.#telling;
    if (this.#shown) yield { ended: 'void' };
    this.#next();
    this.#telling = telling;
    yield* this.#show(this.#text.add(text));
  }

  *#show(text: string): Generator<Told> {
    if (text === '') return;
    if (!this.#shown && text.trim() === '') {
      this.#blank += text;
      return;
    }
    yield { text: `${this.#blank}${text}` };
    this.#blank = '';
    this.#shown = true;
  }

  /** A call that comes again is told once. Another call of the same number takes its place: an agent's next candidate makes it instead. */
  *#called({ stage, path, number, tool: name, arguments: given }: ToolCalled): Generator<Told> {
    const field = this.#model.callers.get(stage);
    if (this.#model.agents.has(stage)) {
      if (this.#shown) yield { ended: 'whole', listed: this.#model.callers.has(stage) };
      this.#next();
    }
    if (field === undefined || given === undefined) return;
    const id = executedId(this.#run, field, number);
    if (this.#calls.get(id)?.path === path) return;
    const call = { id, name, arguments: JSON.stringify(given) };
    this.#calls.set(id, { path, call });
    this.#ended.delete(id);
    yield { called: call };
  }

  *#executed({ stage, path, number, end, arguments: changed, ...event }: ToolEnded): Generator<Told> {
    const field = this.#model.callers.get(stage);
    if (field === undefined) return;
    const id = executedId(this.#run, field, number);
    const begun = this.#calls.get(id);
    // Long ones, and those whose events were lost, are told from the document.
    if (begun?.path !== path || this.#ended.has(id) || (end === 'done' && event.result === undefined)) return;
    const { call } = begun;
    this.#ended.add(id);
    const made = changed ?? (JSON.parse(call.arguments) as JsonObject);
    const { result, code, message } = event;
    yield {
      executed: executedCallOf(id, {
        ...{ name: call.name, arguments: made, end },
        ...(result !== undefined && { result }),
        ...(code !== undefined && { code }),
        ...(message !== undefined && { message }),
      }),
    };
  }
}
