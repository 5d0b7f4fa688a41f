import { abortable } from '../../../../media/abortable.js';
import type { Artifact } from '../../../../pipelines/artifact.js';
import { MillraceError } from '../../../../pipelines/errors.js';
import type { Json } from '../../../../pipelines/json.js';
import type { Call, Reply } from '../../connector.js';
import { GrowingText } from '../../growing-text.js';
import { skip, windows } from '../../speech-windows.js';
import { later, type Segment, segmentsOf } from '../../timed-segments.js';
import { DEFAULT_RATE, mostSamples } from '../audio-source.js';
import type { BoundMap } from '../bind.js';
import { ctcText } from '../ctc.js';
import { type Sources, wrongOutput } from '../encode.js';
import { fileOf, respond, type TensorContext, type TensorKind } from '../kind.js';
import type { Outputs } from '../model-tensors.js';
import { found, jsonOf, needed, texts, wholeOutput, withPart } from '../read.js';

/**
 * Speech recognition. Audio is sent in windows of at most 30 s, or of what the model takes, and their texts are joined.
 * Progress is checkpointed after every window, and its text emitted with the preceding space, if the script has one there; the text is empty for a
 * window without speech. The windows of a call are one sequence, for a model that batches sequences.
 */
export const transcribe: TensorKind = {
  async invoke(call, given) {
    const { input, with: options } = call;
    const { audio: recording, ...own } = input;
    const times = (options as Asked).segments;
    const context = { ...given, map: outputsFor(given.map, times) };
    const { map, signal, audio, checkpoint, resumeFrom } = context;
    const entry = map.inputs.find(({ from }) => from === 'audio');
    const artifact = recording as unknown as Artifact;
    if (!entry || entry.encoding === 'file' || map.outputs.has('output')) {
      const file = entry?.encoding === 'file' ? await fileOf(artifact, 'audio', context) : undefined;
      return asWhole(call, context, { ...options, ...own, audio: file, input: own });
    }
    const { sampleRate = DEFAULT_RATE } = entry;
    const start = progressOf(resumeFrom, times);
    let { sample, text } = start;
    const segments = [...start.segments];
    const samples = abortable(audio.read(artifact, { sampleRate }), signal);
    const cut = windows(skip(samples, sample), { sampleRate, most: mostSamples(entry) });
    for await (const { value: window, last } of context.requests.sequential ? ahead(cut) : each(cut)) {
      const sources = { ...options, ...own, audio: window, length: window.length };
      const heard = await heardIn(call, context, sources, last, text);
      for (const segment of heard.segments) segments.push(later(segment, sample / sampleRate));
      text += heard.text;
      sample += window.length;
      checkpoint({ sample, text, ...(times && { segments: copied(segments) }) });
      if (times) context.segments?.(0, segments);
    }
    return {
      output: { text, ...(times && { segments: copied(segments) }) },
      usage: { audioSeconds: (sample - start.sample) / sampleRate },
    };
  },
  example: { language: 'en' },
  given: { prompt: '' },
};

/** What a stage asks for. */
interface Asked {
  readonly segments?: 'segments' | 'words';
}

/** The map with the outputs that the call needs: times are work for the model. Throws `CAPABILITY_MISSING` for one without. */
function outputsFor(map: BoundMap, times: Asked['segments']): BoundMap {
  if (times === undefined) return { ...map, outputs: new Map([...map.outputs].filter(([to]) => to !== 'segments')) };
  if (map.outputs.has('segments') || map.outputs.has('output')) return map;
  const message = 'the stage asks for segments, and no output of the pool’s tensor map is "segments" or "output"';
  throw new MillraceError('CAPABILITY_MISSING', message);
}

/** Most segments of an answer: those of many days. A model that answers in parts may go on without end. */
const MOST_SEGMENTS = 100_000;

interface Heard {
  readonly text: string;
  readonly segments: readonly Segment[];
}

/** What is said in one window: the text as it continues `before`, emitted as it arrives. */
async function heardIn(
  call: Call,
  context: TensorContext,
  sources: Sources,
  last: boolean,
  before: string,
): Promise<Heard> {
  const { map, emit } = context;
  let heard = '';
  let segments: Segment[] = [];
  const text = new GrowingText(before, emit);
  for await (const { outputs } of respond(call, context, sources, last)) {
    const [bound, tensor] = needed(map, 'text', outputs);
    const part = bound.decode === 'ctc' ? ctcText(tensor, bound) : texts(bound, tensor).join('');
    heard = bound.responses === 'whole' ? part : withPart(heard, part, bound);
    if (bound.responses === 'whole') segments = [];
    for (const segment of timesIn(call, map, outputs)) segments.push(segment);
    if (segments.length > MOST_SEGMENTS)
      throw wrongOutput(map.outputs.get('segments')?.name ?? '', `more than ${MOST_SEGMENTS} segments`);
    text.is(heard);
  }
  return { text: text.ends(heard), segments };
}

/** The segments of a response, with their words only if the stage asks for them; none if it asks for no times. */
function timesIn({ with: options }: Call, map: BoundMap, outputs: Outputs): readonly Segment[] {
  const pair = found(map, 'segments', outputs);
  if (!pair) return [];
  const segments = segmentsOf(jsonOf(...pair));
  if (!segments) throw wrongOutput(pair[0].name, 'its JSON is no list of segments, each with start, end and text');
  if ((options as Asked).segments === 'words') return segments;
  return segments.map(({ words: _, ...segment }) => segment);
}

/** A model that takes the file, or answers with the whole output. */
async function asWhole(call: Call, context: TensorContext, sources: Sources): Promise<Reply> {
  const { map } = context;
  if (!map.outputs.has('output')) {
    const { text, segments } = await heardIn(call, context, sources, true, '');
    return { output: { text, ...(map.outputs.has('segments') && { segments: copied(segments) }) } };
  }
  let output: Reply['output'] = { text: '' };
  for await (const { outputs } of respond(call, context, sources)) output = wholeOutput(map, outputs) ?? output;
  return { output };
}

/** A copy: what was checkpointed does not change. */
const copied = (segments: readonly Segment[]): Segment[] => [...segments];

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

/** Result of earlier attempts: samples recognised, their text and its segments. */
interface Progress {
  readonly sample: number;
  readonly text: string;
  readonly segments: readonly Segment[];
}

/** From the beginning where times are asked for and what was checkpointed has none. */
function progressOf(resumeFrom: Json | undefined, times: Asked['segments']): Progress {
  const { sample, text, segments } = (resumeFrom ?? {}) as Partial<Progress>;
  return Number.isSafeInteger(sample) && typeof text === 'string' && (segments || !times)
    ? { sample: sample as number, text, segments: segments ?? [] }
    : { sample: 0, text: '', segments: [] };
}
