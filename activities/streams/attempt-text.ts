import { Diverged, StreamedText } from './streamed-text.js';
import type { TextStreams } from './text-streams.js';

interface Options {
  /** Aborts when the attempt ends. */
  readonly signal: AbortSignal;
  /** An answer that differs from what is committed takes its place, if no reader has made anything of that. */
  readonly mayStartOver: boolean;
  /** Receives the text as followers of the run get it. */
  readonly onDelta: (text: string) => void;
  /** Called when the attempt cannot go on. */
  readonly fail: (error: unknown) => void;
}

/**
 * The text of one attempt on its way to readers and followers: behind what earlier attempts have committed, or in its
 * place. Followers void the text of an earlier attempt and get it again, where the stream may start over only when it is certain
 * that this attempt goes on with it.
 */
export class AttemptText {
  readonly #options: Options;
  #streams: TextStreams;
  #text: StreamedText;
  /** What followers are still to get of what is committed. */
  #untold: string;
  /** The attempt's own text so far. */
  #given = '';
  #startingOver: Promise<void> | undefined;

  constructor(streams: TextStreams, options: Options) {
    this.#options = options;
    this.#streams = streams;
    this.#untold = streams.committed;
    if (!options.mayStartOver) this.#tell();
    this.#text = this.#behind(streams.committed);
  }

  /** The attempt continues what is committed: it does not repeat it. */
  continues(): void {
    this.#text.continues();
    this.#tell();
  }

  /** More of the attempt's own text. */
  push(delta: string): void {
    this.#given += delta;
    // All of it is taken when the stream has started over.
    if (this.#startingOver !== undefined) return;
    try {
      this.#text.push(delta);
    } catch (error) {
      const { fail } = this.#options;
      if (!(error instanceof Diverged)) fail(error);
      else {
        this.#startingOver = this.#startOver();
        this.#startingOver.catch(fail);
      }
    }
  }

  /** The attempt has ended with this text of its own; returns the whole. Throws `Diverged`. */
  async end(own: string): Promise<string> {
    await this.#startingOver;
    this.#options.signal.throwIfAborted();
    try {
      this.#text.end(own, this.#given.length);
    } catch (error) {
      if (!(error instanceof Diverged)) throw error;
      await this.#startOver();
      this.#text.end(own, this.#given.length);
    }
    this.#tell();
    return this.#text.text;
  }

  /** Where the text goes. */
  get streams(): TextStreams {
    return this.#streams;
  }

  /** Nothing more is added. */
  async close(): Promise<void> {
    await this.#startingOver?.catch(() => undefined);
    this.#streams.close();
  }

  async #startOver(): Promise<void> {
    const next = this.#options.mayStartOver ? await this.#streams.startOver() : undefined;
    if (next === undefined) throw new Diverged();
    this.#streams = next;
    this.#untold = '';
    this.#text = this.#behind('');
    this.#startingOver = undefined;
    this.#text.push(this.#given);
  }

  #behind(beginning: string): StreamedText {
    return new StreamedText(beginning, (more) => {
      this.#tell();
      this.#options.onDelta(more);
      this.#streams.push(more);
    });
  }

  #tell(): void {
    if (this.#untold !== '') this.#options.onDelta(this.#untold);
    this.#untold = '';
  }
}
