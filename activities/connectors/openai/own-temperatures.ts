import { APIError } from 'openai/core/error';

/** Codes of the error: the model takes only its own temperature, or none. */
const REFUSED: ReadonlySet<string> = new Set(['unsupported_value', 'unsupported_parameter']);

/**
 * The models of one server that refuse a temperature, as OpenAI's reasoning models do: 400 with `param: "temperature"`. Chats and agents
 * have one unasked, 0, so all their calls of such a model would fail.
 */
export class OwnTemperatures {
  readonly #models = new Set<string>();

  has(model: string): boolean {
    return this.#models.has(model);
  }

  /** Whether a call of the model failed by its temperature alone. The model is then one of these. */
  learn(model: string, error: unknown): boolean {
    const refused =
      error instanceof APIError &&
      error.status === 400 &&
      error.param === 'temperature' &&
      REFUSED.has(String(error.code));
    if (refused) this.#models.add(model);
    return refused;
  }
}
