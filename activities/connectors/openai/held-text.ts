import type { CallContext } from '../connector.js';

/** How text begins that may be a tool call in JSON, or the beginning of such a beginning: a code block has a language. */
const MAY_BE_CALL = /^\s*(?:[{[]|`{1,2}$|```)/;
const WHITE_SPACE = /^\s*$/;

/**
 * Text of a model that is offered tools. Some models write their calls as text, which is no answer and is not to be shown: text
 * that may be a call is held back until the reply is whole. All other text passes at once.
 */
export class HeldText {
  readonly #emit: CallContext['emit'];
  #held: string | undefined = '';

  constructor(emit: CallContext['emit']) {
    this.#emit = emit;
  }

  readonly emit: CallContext['emit'] = (chunk) => {
    if (typeof chunk !== 'string' || chunk === '' || this.#held === undefined) return this.#emit(chunk);
    this.#held += chunk;
    if (WHITE_SPACE.test(this.#held) || MAY_BE_CALL.test(this.#held)) return this.#emit('');
    this.release();
  };

  /** The text is an answer. */
  release(): void {
    const held = this.#held ?? '';
    this.#held = undefined;
    if (held !== '') this.#emit(held);
  }
}
