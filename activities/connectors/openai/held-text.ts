import type { CallContext } from '../connector.js';

/** How text begins that may be a tool call in JSON, or the beginning of such a beginning: a code block has a language. */
const MAY_BE_CALL = /^(?:[{[]|`{1,2}$|```)/;
/** Characters of a text after its white space that tell whether it may be a call. */
const TELLING = 3;

/**
 * Text of a model that is offered tools. Some models write their calls as text, which is no answer and is not to be shown: text
 * that may be a call is held back until the reply is whole. All other text passes at once.
 */
export class HeldText {
  readonly #emit: CallContext['emit'];
  /** The pieces that are held; a text that grows with each piece would be searched again with each. */
  #held: string[] | undefined = [];
  /** The first characters after the white space. */
  #head = '';

  constructor(emit: CallContext['emit']) {
    this.#emit = emit;
  }

  readonly emit: CallContext['emit'] = (chunk) => {
    if (typeof chunk !== 'string' || chunk === '' || this.#held === undefined) return this.#emit(chunk);
    this.#held.push(chunk);
    if (this.#head.length < TELLING) {
      const more = this.#head === '' ? chunk.trimStart() : chunk;
      this.#head += more.slice(0, TELLING - this.#head.length);
    }
    if (this.#head === '' || MAY_BE_CALL.test(this.#head)) return this.#emit('');
    this.release();
  };

  /** The text is an answer. */
  release(): void {
    const held = this.#held?.join('') ?? '';
    this.#held = undefined;
    if (held !== '') this.#emit(held);
  }
}
