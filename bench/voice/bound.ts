import type { AudioPort } from '../../media/index.js';
import type { Artifact } from '../../pipelines/artifact.js';
import type { JsonObject } from '../../pipelines/json.js';
import { SentenceSplitter } from '../../pipelines/plan/sentences.js';
import type { Stages } from '../../workers/compose.js';
import { MAX_TOKENS, SYSTEM } from './pipelines.js';

/** The model servers, called without a run. */
export class Servers {
  readonly #pools: Stages['pools'];
  readonly #audio: AudioPort;

  constructor(pools: Stages['pools'], audio: AudioPort) {
    this.#pools = pools;
    this.#audio = audio;
  }

  async call(kind: string, model: string, input: JsonObject, own: JsonObject = {}, onText = (_: string) => {}) {
    const { output } = await this.#pools.get(model).use(
      (backend, at, signal) =>
        backend.invoke(
          { kind, model: at.model, with: own, input },
          {
            signal,
            audio: this.#audio,
            checkpoint: () => undefined,
            emit: (chunk) => (typeof chunk === 'string' ? onText(chunk) : undefined),
          },
        ),
      { signal: new AbortController().signal },
    );
    return output;
  }

  async speak(text: string): Promise<Artifact> {
    return (await this.call('synthesize', 'tts', { text })).audio as unknown as Artifact;
  }
}

/**
 * A client without Millrace's runs: it recognises the question, streams the LLM and asks for the speech of each sentence
 * while the LLM goes on, on the same servers. Returns when it had its first audio, in milliseconds: the bound of what a
 * durable run can reach.
 */
export async function boundMs(servers: Servers, question: Artifact): Promise<number> {
  const began = performance.now();
  const heard = await servers.call('transcribe', 'whisper', { audio: { ...question } as unknown as JsonObject });
  const splitter = new SentenceSplitter();
  let first: number | undefined;
  let speaking: Promise<unknown> = Promise.resolve();
  const say = (text: string) => {
    if (text.trim() === '') return;
    speaking = speaking.then(async () => {
      await servers.speak(text.trim());
      first ??= performance.now() - began;
    });
  };
  const options = { system: SYSTEM, maxTokens: MAX_TOKENS, temperature: 0 };
  await servers.call('chat', 'assistant', { prompt: heard.text ?? '' }, options, (delta) => {
    for (const sentence of splitter.push(delta)) say(sentence);
  });
  for (const sentence of splitter.end()) say(sentence);
  await speaking;
  return first ?? Number.NaN;
}
