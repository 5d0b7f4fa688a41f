import { Diverged, Revised, StreamedText } from './streamed-text.js';
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
  /** The attempt’s own text is only what follows the committed one. */
  #continues = false;
  /** Followers have text that the attempt has changed: the whole follows in the outcome. */
  #isRevised = false;

  constructor(streams: TextStreams, options: Options) {
    this.#options = options;
    this.#streams = streams;
    this.#untold = streams.committed;
    if (!options.mayStartOver) this.#tell();
    this.#text = this.#behind(streams.committed);
  }

  /** The attempt continues what is committed: it does not repeat it. */
  continues(): void {
    this.#continues = true;
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
        this.#startingOver = this.#startOver(error);
        this.#startingOver.catch(fail);
      }
    }
  }

  /** The attempt has ended with this text of its own; returns the whole. Throws `Diverged`. */
  async end(own: string): Promise<string> {
    await this.#startingOver;
    this.#options.signal.throwIfAborted();
    try {
      this.#text.end(restOf(own, this.#given));
    } catch (error) {
      if (!(error instanceof Diverged) || this.#continues) throw error;
      this.#given = own;
      this.#isRevised = error instanceof Revised;
      await this.#startOver(error);
      this.#text.end('');
    }
    this.#tell();
    return this.#text.text;
  }

  /** What readers have been given so far. */
  get passed(): string {
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

  async #startOver(why: Diverged): Promise<void> {
    const next = this.#options.mayStartOver ? await this.#streams.startOver() : undefined;
    if (next === undefined) throw why;
    this.#streams = next;
    this.#untold = '';
    this.#text = this.#behind('');
    this.#startingOver = undefined;
    this.#text.push(this.#given);
  }

  #behind(beginning: string): StreamedText {
    return new StreamedText(beginning, (more) => {
      this.#tell();
      if (!this.#isRevised) this.#options.onDelta(more);
      this.#streams.push(more);
    });
  }

  #tell(): void {
    if (this.#untold !== '') this.#options.onDelta(this.#untold);
    this.#untold = '';
  }
}

/**
 * What of the whole text was not given yet. White space around it makes no difference, since some servers trim the whole; of one that ends
 * earlier, what was given stands. Throws `Revised` if it is another one.
 */
function restOf(own: string, given: string): string {
  if (own.startsWith(given)) return own.slice(given.length);
  const [whole, told] = [own.trimStart(), given.trimStart()];
  if (whole.startsWith(told)) return whole.slice(told.length);
  if (told.startsWith(whole.trimEnd())) return '';
  throw new Revised();
}
