import { ANSWER, LATENCY_MS, MODEL_CALLS } from './turn.js';

/** One turn, from the client's request to its answer. */
export interface Taken {
  readonly ms: number;
  readonly text: string;
}

/** What is measured: the same agent, reached as its clients reach it. */
export interface Side {
  turn(question: string): Promise<Taken>;
  stop(): Promise<void>;
}

/** Time beside the model's. Throws if the answer is not the model's: then it was another turn. */
export function addedBy({ ms, text }: Taken): number {
  if (text !== ANSWER) throw new Error(`answered ${JSON.stringify(text)}`);
  return ms - MODEL_CALLS * LATENCY_MS;
}

/** The door of OpenAI's chat completions. */
export const chatDoor = (gateway: string): Side =>
  door(
    `${gateway}/v1/chat/completions`,
    {},
    (message) => ({ model: 'weather-desk', messages: [{ role: 'user', content: message }] }),
    (body) => {
      const { choices } = body as { choices: readonly { readonly message: { readonly content: string } }[] };
      return choices[0]?.message.content ?? '';
    },
  );

/** A run that is waited for. */
export const runDoor = (gateway: string): Side =>
  door(
    `${gateway}/v1/pipelines/weather-desk/runs`,
    { prefer: 'wait=30' },
    (message) => ({ message }),
    (body) => {
      const { output } = body as { output?: { readonly reply?: string } };
      return output?.reply ?? '';
    },
  );

const door = (
  url: string,
  headers: Readonly<Record<string, string>>,
  bodyOf: (message: string) => object,
  textOf: (body: unknown) => string,
): Side => ({
  async turn(question) {
    const began = performance.now();
    const response = await fetch(url, {
      method: 'POST',
      headers: { 'content-type': 'application/json', ...headers },
      body: JSON.stringify(bodyOf(question)),
    });
    const text = await response.text();
    const ms = performance.now() - began;
    if (response.status !== 200) throw new Error(`${url}: ${response.status} ${text}`);
    return { ms, text: textOf(JSON.parse(text)) };
  },
  stop: async () => undefined,
});
