import type { OpenAI } from 'openai';
import { MillraceError } from '../../../pipelines/errors.js';
import type { JsonObject } from '../../../pipelines/json.js';
import { passagesOf } from '../speakable.js';
import { readSpeech, type Speech } from '../speech.js';
import { extrasOf, withExtra } from './extra.js';
import type { KindHandler } from './kind-handler.js';

/**
 * Speech synthesis by `POST /v1/audio/speech`. Long text is sent in calls of a few sentences, so that after a
 * cancellation the server has at most one of them to finish, and none approaches OpenAI's limit of 4,096 characters.
 * Text that is empty or white space is `INVALID_INPUT`. OpenAI itself requires a `voice`; other servers have a default.
 */
export const synthesize: KindHandler = {
  async invoke(call, { client, signal, audio, emit, options: pool }) {
    const { model, with: options, input } = call;
    const extras = extrasOf(call, pool);
    const passages = passagesOf(input);
    const manner = mannerOf({ ...options, ...input });
    const spoken: Speech[] = [];
    for (const text of passages) {
      const next = await speak(client, { model, text, manner, extras }, signal, emit);
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
  async probe(model, client, signal, pool) {
    await speak(client, { model, text: 'ok', manner: {}, extras: [pool.extra] }, signal, () => undefined);
  },
};

/** Members of a request that say how a text is spoken. */
const mannerOf = ({ voice, speed, instructions }: JsonObject): JsonObject => ({
  ...(typeof voice === 'string' && { voice }),
  ...(typeof speed === 'number' && { speed }),
  ...(typeof instructions === 'string' && { instructions }),
});

interface Spoken {
  readonly model: string;
  readonly text: string;
  readonly manner: JsonObject;
  /** Members of the request that come after its own. */
  readonly extras: readonly (JsonObject | undefined)[];
}

async function speak(
  client: OpenAI,
  { model, text, manner, extras }: Spoken,
  signal: AbortSignal,
  emit: (samples: number) => void,
): Promise<Speech> {
  const body = { model, input: text, response_format: 'wav' as const, ...manner };
  // The client's type requires a voice; servers with a single voice do not.
  const sent = withExtra(body, ...extras) as unknown as OpenAI.Audio.SpeechCreateParams;
  const response = await client.audio.speech.create(sent, { signal });
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
