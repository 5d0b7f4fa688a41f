import { APIError } from 'openai/core/error';
import type { Question } from './question.js';

/** Parameters that some models refuse with 400, which names the parameter in `param`, and the codes of that error. */
const CODES = {
  /** The model takes only its own temperature, or none. */
  temperature: ['unsupported_value', 'unsupported_parameter'],
  /** The model takes the token limit only as `max_completion_tokens`. */
  max_tokens: ['unsupported_parameter'],
} as const;

type Refusable = keyof typeof CODES;

const isRefusable = (param: unknown): param is Refusable => typeof param === 'string' && Object.hasOwn(CODES, param);

/**
 * Which parameters the models of one server refuse, as OpenAI's reasoning models refuse a temperature, and the older name of the token
 * limit. Chats and agents have both unasked, so all their calls of such a model would fail.
 */
export class RefusedParameters {
  readonly #models = new Map<string, Set<Refusable>>();

  /** The question without what its model is known to refuse: without a temperature, and with the newer name of the limit. */
  accepted(question: Question): Question {
    const refused = this.#models.get(question.model);
    let asked = question;
    if (refused?.has('temperature')) {
      const { temperature: _, ...rest } = asked;
      asked = rest;
    }
    const { max_tokens, ...rest } = asked;
    return max_tokens !== undefined && refused?.has('max_tokens')
      ? { max_completion_tokens: max_tokens, ...rest }
      : asked;
  }

  /**
   * Whether a call failed only by a parameter that it had and that can be refused. The model is then known to refuse it, and `accepted`
   * gives another question.
   */
  learn(question: Question, error: unknown): boolean {
    if (!(error instanceof APIError) || error.status !== 400) return false;
    const { param } = error;
    if (!isRefusable(param) || question[param] === undefined) return false;
    const codes: readonly string[] = CODES[param];
    if (!codes.includes(String(error.code))) return false;
    const known = this.#models.get(question.model);
    if (known) known.add(param);
    else this.#models.set(question.model, new Set([param]));
    return true;
  }
}
