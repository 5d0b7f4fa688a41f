import type { OpenAI } from 'openai';
import { MillraceError } from '../../../pipelines/errors.js';
import type { JsonObject } from '../../../pipelines/json.js';
import { passagesOf } from '../speakable.js';
import { readSpeech, type Speech } from '../speech.js';
import type { KindHandler } from './kind-handler.js';

/**
 * Speech synthesis by `POST /v1/audio/speech`. Long text is sent in calls of a few sentences, so that after a
 * cancellation the server has at most one of them to finish, and none approaches OpenAI's limit of 4,096 characters.
 * Text without a word is `INVALID_INPUT`. OpenAI itself requires a `voice`; other servers have a default.
 */
export const synthesize: KindHandler = {
  async invoke({ model, with: options, input }, { client, signal, audio, emit }) {
    const passages = passagesOf(input);
    const manner = mannerOf({ ...options, ...input });
    const spoken: Speech[] = [];
    for (const text of passages) {
      const next = await speak(client, { model, text, manner }, signal, emit);
      const rate = spoken[0]?.sampleRate ?? next.sampleRate;
      if (next.sampleRate !== rate) {
        throw new MillraceError('INVALID_OUTPUT', `speech at ${next.sampleRate} Hz after ${rate} Hz`);
      }
      spoken.push(next);
    }
    const { samples, sampleRate } = joined(spoken);
    const artifact = await audio.write(samples, { sampleRate });
    return {
      output: { audio: { ...artifact } as JsonObject },
      usage: { audioSeconds: samples.length / sampleRate },
    };
  },
  async probe(model, client, signal) {
    await speak(client, { model, text: 'ok', manner: {} }, signal, () => undefined);
  },
};

/** Members of a request that say how a text is spoken. */
const mannerOf = ({ voice, speed, instructions }: JsonObject): JsonObject => ({
  ...(typeof voice === 'string' && { voice }),
  ...(typeof speed === 'number' && { speed }),
  ...(typeof instructions === 'string' && { instructions }),
});

async function speak(
  client: OpenAI,
  { model, text, manner }: { readonly model: string; readonly text: string; readonly manner: JsonObject },
  signal: AbortSignal,
  emit: (samples: number) => void,
): Promise<Speech> {
  const body = { model, input: text, response_format: 'wav' as const, ...manner };
  // The client's type requires a voice; servers with a single voice do not.
  const response = await client.audio.speech.create(body as unknown as OpenAI.Audio.SpeechCreateParams, { signal });
  return readSpeech(response, emit);
}

function joined(spoken: readonly Speech[]): Speech {
  const samples = new Int16Array(spoken.reduce((sum, each) => sum + each.samples.length, 0));
  let at = 0;
  for (const each of spoken) {
    samples.set(each.samples, at);
    at += each.samples.length;
  }
  return { samples, sampleRate: spoken[0]?.sampleRate ?? 0 };
}
