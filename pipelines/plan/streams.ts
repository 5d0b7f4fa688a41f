import { isJsonObject, type Json } from '../json.js';
import { mayYield, streamsOf, takenBy, traitsOf } from '../stages/traits.js';
import { agentOf } from './agent.js';
import { type Binding, sourcesOf } from './binding.js';
import {
  type Alternative,
  cacheKeyOf,
  type EachPlan,
  type Graph,
  isStage,
  type StagePlan,
  type Step,
  type StreamPlan,
} from './plan.js';
import { readsOfGraph } from './reads.js';
import { isInline } from './segments.js';

/** Why an agent's answer is no stream. */
export const ANSWER_IS_LATE = 'what an agent says is known to be its answer when it has ended: said is a stream';

/** Why an edge that names a stream is read when the stream has ended. */
export type WhyCollected =
  | 'the stage does not produce its output piece by piece'
  | 'the reading stage takes the whole only'
  | 'the stage may be skipped'
  | 'an alternative of one of the two stages does not stream'
  | 'a stage in Python reads no stream that may start over'
  | 'the cache of the reading stage needs its whole input'
  | 'one of the two stages is inline, the other queued'
  | 'the reading stage also reads the whole output'
  | 'the stage is hedged: which of its calls wins is known at the end'
  | 'the semantic cache of the stage has the audio of whole texts'
  | typeof ANSWER_IS_LATE
  | 'a guardrail checks the prompt or the text before anything of it is read';

/** A field of a step's input that names a stream; `collected`: why it is read when the stream has ended. */
export interface StreamedField {
  readonly field: string;
  readonly edge: StreamPlan;
  /** The stream as its author reads it: `answer.sentences`, `answer.said.sentences`. */
  readonly source: string;
  readonly collected?: WhyCollected;
}

/** What reads or makes a stream. */
export type Streaming = StagePlan | EachPlan;

/**
 * The fields of a step's input that read a stream of another step of its graph, and whether they can be read while it
 * is made. `{ "$op": "sentences", "of": [{ "$ref": "answer.text" }] }` is such a field; the operator is also its value
 * where it is collected. Of an agent the streams are those of `answer.said.text`. Of an `each` the field is `over`.
 */
export function streamedFields(step: Streaming, earlier: readonly Step[]): StreamedField[] {
  const input = isStage(step) ? step.input : { over: step.over };
  if (!isJsonObject(input)) return [];
  return Object.entries(input).flatMap(([field, binding]) => {
    const read = readOf(binding as Json, earlier);
    if (!read) return [];
    const { from, of, whole } = read;
    const edge = { from, of };
    const collected = whyCollected(step, field, read, earlier);
    const source = [from, ...(whole === SAID ? ['said'] : []), of].join('.');
    return [{ field, edge, source, ...(collected !== undefined && { collected }) }];
  });
}

/** A stream that is read, and the field of its step that it is when it is whole; empty for the step's value. */
interface ReadStream extends StreamPlan {
  readonly whole: string;
}

function readOf(binding: Binding, earlier: readonly Step[]): ReadStream | undefined {
  if (!isJsonObject(binding) || typeof binding.$op !== 'string' || !Array.isArray(binding.of)) return undefined;
  const [source] = binding.of as readonly Json[];
  if (!isJsonObject(source) || typeof source.$ref !== 'string') return undefined;
  const [from = '', ...path] = source.$ref.split('.');
  const [of, whole] = [binding.$op, path.join('.')];
  const step = earlier.find(({ id }) => id === from);
  if (step?.kind === 'each' && whole === '' && of === 'entries') return { from, of, whole };
  return step && isStage(step) && wholesOf(step, of).includes(whole) ? { from, of, whole } : undefined;
}

/** All that an agent says, as a field of its output. */
const SAID = 'said.text';

/** Streams of stages, each with the field that it is when it is whole. */
const WHOLES: ReadonlyMap<string, string> = new Map([
  ['sentences', 'text'],
  ['tokens', 'text'],
  ['entries', 'items'],
  ['chunks', ''],
]);

function wholesOf({ kind }: StagePlan, of: string): readonly string[] {
  const whole = kind === 'transcribe' && of === 'entries' ? 'segments' : WHOLES.get(of);
  if (whole === undefined) return [];
  return kind === 'agent' && whole === 'text' ? [whole, SAID] : [whole];
}

function whyCollected(
  reader: Streaming,
  field: string,
  { from, of, whole }: ReadStream,
  earlier: readonly Step[],
): WhyCollected | undefined {
  const producer = earlier.find(({ id }) => id === from) as Streaming;
  const own = whyNotMade(producer, of, whole) ?? whyNotTaken(reader, field);
  if (own !== undefined) return own;
  if (reader.kind === 'activity' && isStage(producer) && producer.onCut === 'restart')
    return 'a stage in Python reads no stream that may start over';
  if (isQueued(producer) !== isQueued(reader)) return 'one of the two stages is inline, the other queued';
  // A stage that reads such a stream is refused; an `each` took the list before it could stream.
  if (!isStage(reader) && isStage(producer) && producer.policy.hedge)
    return 'the stage is hedged: which of its calls wins is known at the end';
  if (readsBeside(reader, field).includes(from)) return 'the reading stage also reads the whole output';
  return undefined;
}

/** An alternative that lacks what its stage streams. */
const differs = (to: Alternative | string, has: (by: Alternative) => boolean) => typeof to === 'object' && !has(to);

function whyNotMade(producer: Streaming, of: string, whole: string): WhyCollected | undefined {
  if (!isStage(producer)) return undefined;
  if (!streamsOf(producer).includes(of)) return 'the stage does not produce its output piece by piece';
  const alternatives = alternativesOf(producer);
  if (alternatives.includes('skip')) return 'the stage may be skipped';
  if (of === 'chunks' && producer.cache?.kind === 'semantic')
    return 'the semantic cache of the stage has the audio of whole texts';
  if (producer.kind === 'agent') {
    if (whole !== SAID) return ANSWER_IS_LATE;
    if (servedByAny(producer).some(checksText))
      return 'a guardrail checks the prompt or the text before anything of it is read';
  }
  if (mayYield(producer) && alternatives.some((to) => differs(to, (by) => streamsOf(by).includes(of))))
    return 'an alternative of one of the two stages does not stream';
  return undefined;
}

function whyNotTaken(reader: Streaming, field: string): WhyCollected | undefined {
  if (!isStage(reader)) return undefined;
  if (!takenBy(reader).includes(field)) return 'the reading stage takes the whole only';
  if (!mayYield(reader)) return undefined;
  if (alternativesOf(reader).some((to) => differs(to, (by) => takenBy(by).includes(field))))
    return 'an alternative of one of the two stages does not stream';
  return reader.cache ? 'the cache of the reading stage needs its whole input' : undefined;
}

/** An `each` is inline if all of it is: it is then part of a segment. */
const isQueued = (step: Streaming): boolean => (isStage(step) ? step.policy.execution === 'queued' : !isInline(step));

/** The steps that a reader reads beside the stream in a field. */
function readsBeside(reader: Streaming, field: string): readonly string[] {
  if (!isStage(reader)) return readsOfGraph(reader.body);
  const { [field]: _, ...others } = reader.input as Readonly<Record<string, Json>>;
  return sourcesOf([others, cacheKeyOf(reader)]);
}

const alternativesOf = ({ fallback = [], degrade = [] }: StagePlan): readonly (Alternative | 'skip' | 'cached')[] => [
  ...fallback,
  ...degrade.map(({ to }) => to),
];

/** What serves a stage, and what may serve it instead. */
const servedByAny = (stage: StagePlan): readonly Alternative[] => [
  stage,
  ...alternativesOf(stage).filter((to) => typeof to === 'object'),
];

/** Of an agent whose prompt is checked, the first turn is void if it does not pass; of one whose text is, the text is the checked one. */
const checksText = (agent: Alternative): boolean => (agentOf(agent).guards ?? []).some(({ on }) => on !== 'tool');

/** Whether the answer of an agent, or of an alternative to it, must fit a schema. */
export const answersInForm = (agent: StagePlan): boolean =>
  servedByAny(agent).some((by) => agentOf(by).schema !== undefined);

/** The stage of a graph whose audio is a field of its output, unchanged: it can be heard while it is made. */
export function speakerOf({ stages, output }: Graph, field: string): StagePlan | undefined {
  const binding = isJsonObject(output) && Object.hasOwn(output, field) ? output[field] : undefined;
  if (!isJsonObject(binding) || typeof binding.$ref !== 'string') return undefined;
  const [from, ...path] = binding.$ref.split('.');
  const step = stages.find(({ id }) => id === from);
  const speaks = step && isStage(step) && traitsOf(step)?.streams?.includes('chunks');
  // A semantic cache has the whole text's audio, an exact one each sentence's.
  return speaks && step.cache?.kind !== 'semantic' && path.join('.') === 'audio' ? step : undefined;
}

/** The steps of a graph, with a mark on those whose audio callers can hear while it is made. */
export function withHeard(graph: Graph): readonly Step[] {
  const fields = isJsonObject(graph.output) ? Object.keys(graph.output) : [];
  const heard = new Set(fields.map((field) => speakerOf(graph, field)?.id));
  return graph.stages.map((step) =>
    isStage(step) && heard.has(step.id) ? { ...step, streamed: ['chunks', ...(step.streamed ?? [])] } : step,
  );
}

/** The streams of a step that are read while it runs. */
export const streamsInto = (step: Step): readonly StreamPlan[] =>
  'streams' in step && step.streams ? Object.values(step.streams) : [];
