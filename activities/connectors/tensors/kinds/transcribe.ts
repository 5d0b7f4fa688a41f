import { abortable } from '../../../../media/abortable.js';
import type { Artifact } from '../../../../pipelines/artifact.js';
import type { Json } from '../../../../pipelines/json.js';
import type { Call, Reply } from '../../connector.js';
import { skip, windows } from '../../speech-windows.js';
import { DEFAULT_RATE, mostSamples } from '../audio-source.js';
import { ctcText } from '../ctc.js';
import type { Sources } from '../encode.js';
import { fileOf, respond, type TensorContext, type TensorKind } from '../kind.js';
import { needed, texts, wholeOutput } from '../read.js';

/**
 * Speech recognition. Audio is sent in windows of at most 30 s, or of what the model takes, and their texts are joined.
 * Progress is checkpointed after every window, and its text emitted with the preceding space; the text is empty for a
 * window without speech. The windows of a call are one sequence, for a model that batches sequences.
 */
export const transcribe: TensorKind = {
  async invoke(call, context) {
    const { input, with: options } = call;
    const { map, signal, audio, checkpoint, resumeFrom } = context;
    const entry = map.inputs.find(({ from }) => from === 'audio');
    const artifact = input.audio as unknown as Artifact;
    if (!entry || entry.encoding === 'file' || map.outputs.has('output')) {
      const file = entry?.encoding === 'file' ? await fileOf(artifact, 'audio', context) : undefined;
      return asWhole(call, context, { ...options, audio: file, input: {} });
    }
    const { sampleRate = DEFAULT_RATE } = entry;
    const start = progressOf(resumeFrom);
    let { sample, text } = start;
    const samples = abortable(audio.read(artifact, { sampleRate }), signal);
    const cut = windows(skip(samples, sample), { sampleRate, most: mostSamples(entry) });
    for await (const { value: window, last } of context.requests.sequential ? ahead(cut) : each(cut)) {
      const heard = await textOf(call, context, { ...options, audio: window, length: window.length }, last, text);
      text += heard;
      sample += window.length;
      checkpoint({ sample, text });
    }
    return { output: { text }, usage: { audioSeconds: (sample - start.sample) / sampleRate } };
  },
  example: { language: 'en' },
};

/** The text of one window as it continues `before`, emitted as it arrives. */
async function textOf(
  call: Call,
  context: TensorContext,
  sources: Sources,
  last: boolean,
  before: string,
): Promise<string> {
  const { map, emit } = context;
  let heard = '';
  let emitted = '';
  const said = (all: string) => {
    const trimmed = all.trimStart();
    const text = before !== '' && trimmed !== '' ? ` ${trimmed}` : trimmed;
    // A hypothesis that changes what was already said is told whole at its end.
    if (text.startsWith(emitted) && text !== emitted) {
      emit(text.slice(emitted.length));
      emitted = text;
    }
    return text;
  };
  for await (const { outputs } of respond(call, context, sources, last)) {
    const [bound, tensor] = needed(map, 'text', outputs);
    const part = bound.decode === 'ctc' ? ctcText(tensor, bound) : texts(bound, tensor).join('');
    heard = bound.responses === 'whole' ? part : heard + part;
    said(heard.trimEnd());
  }
  const text = said(heard.trimEnd());
  if (emitted === '') emit(text);
  return text;
}

/** A model that takes the file, or answers with the whole output. */
async function asWhole(call: Call, context: TensorContext, sources: Sources): Promise<Reply> {
  const { map } = context;
  if (!map.outputs.has('output')) return { output: { text: await textOf(call, context, sources, true, '') } };
  let output: Reply['output'] = { text: '' };
  for await (const { outputs } of respond(call, context, sources)) output = wholeOutput(map, outputs) ?? output;
  return { output };
}

/** Where it does not matter which window is the last: each goes out as soon as it is there. */
async function* each<T>(values: AsyncIterable<T>): AsyncGenerator<{ readonly value: T; readonly last: boolean }, void> {
  for await (const value of values) yield { value, last: false };
}

/** Each value with whether it is the last one. */
async function* ahead<T>(
  values: AsyncIterable<T>,
): AsyncGenerator<{ readonly value: T; readonly last: boolean }, void> {
  let held: { readonly value: T } | undefined;
  for await (const value of values) {
    if (held) yield { ...held, last: false };
    held = { value };
  }
  if (held) yield { ...held, last: true };
}

/** Result of earlier attempts: samples recognised and their text. */
interface Progress {
  readonly sample: number;
  readonly text: string;
}

function progressOf(resumeFrom: Json | undefined): Progress {
  const { sample, text } = (resumeFrom ?? {}) as Partial<Progress>;
  return Number.isSafeInteger(sample) && typeof text === 'string'
    ? { sample: sample as number, text }
    : { sample: 0, text: '' };
}
