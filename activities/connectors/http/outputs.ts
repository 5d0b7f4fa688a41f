import { MillraceError } from '../../../pipelines/errors.js';
import { isJsonObject, type Json, type JsonObject } from '../../../pipelines/json.js';
import type { Call } from '../connector.js';
import { labelled, ranked } from '../scores.js';
import type { TensorFormats } from '../tensor-format.js';
import { activated } from '../tensors/index.js';
import { unitVector } from '../unit-vector.js';
import type { Api } from './api.js';
import { tensorsOf } from './nested.js';

/**
 * What a template has made of an answer, as the output of the stage kind: vectors of length 1, the best label, passages
 * in their order. Kinds without an entry have what the template makes. The kind's schema checks it afterwards.
 */
const FINISHERS: Readonly<Record<string, (made: Json, call: Call, api: Api) => Json>> = {
  embed: embeddings,
  classify: labels,
  rerank: passages,
  infer: (made, { with: options }) => tensorsOf(made, options.outputs as unknown as TensorFormats),
  transcribe: (made) =>
    isJsonObject(made) && typeof made.text === 'string' ? { ...made, text: made.text.trim() } : made,
};

/** The stage's output. Throws `INVALID_OUTPUT` if it cannot be one. */
export function outputOf(made: Json | undefined, call: Call, api: Api): JsonObject {
  const finish = FINISHERS[call.kind];
  const output = finish && made !== undefined ? finish(made, call, api) : made;
  if (isJsonObject(output)) return output;
  throw wrong('the pool’s template of the output makes no object');
}

/** `{ "embeddings": [[…]] }` or `{ "embedding": […] }`; a vector that is alone in a list is that vector. */
function embeddings(made: Json, { input }: Call): Json {
  const { embedding, embeddings: several } = objectOf(made);
  const list = several ?? (embedding === undefined ? undefined : [embedding]);
  if (!Array.isArray(list)) throw wrong('the output has no embeddings');
  const vectors = list.map((vector: Json) => unitVector(numbersOf(vector)));
  const texts = Array.isArray(input.texts) ? input.texts : [input.text];
  if (vectors.length !== texts.length) throw wrong(`${vectors.length} embeddings of ${texts.length} texts`);
  return Array.isArray(input.texts) ? { embeddings: vectors } : { embedding: vectors[0] ?? [] };
}

/**
 * `{ "scores": … }`: numbers in the order of the labels, numbers by label, or a list of objects with a label and a score.
 * `{ "label": … }` alone has the score 1. `{ "results": […] }` has such scores for each text of the request.
 */
function labels(made: Json, { input, with: options }: Call, api: Api): Json {
  const { results, ...one } = objectOf(made);
  const names = options.labels as readonly string[];
  if (results === undefined) return labelOf(one, names, api);
  const list = input.texts ?? input.pairs;
  const count = Array.isArray(list) ? list.length : 1;
  if (!Array.isArray(results) || results.length !== count) {
    throw wrong(`${Array.isArray(results) ? results.length : 'no list of'} results of ${count} texts`);
  }
  const all = results.map((scores: Json) => labelOf({ scores }, names, api));
  return Array.isArray(list) ? { results: all } : (all[0] as JsonObject);
}

function labelOf({ scores, label, ...more }: JsonObject, names: readonly string[], { response }: Api): JsonObject {
  if (scores === undefined && typeof label === 'string') {
    if (!names.includes(label)) throw wrong(`the label ${JSON.stringify(label)} is none of the stage’s`);
    const { score = 1 } = more;
    return { label, score, scores: Object.fromEntries(names.map((name) => [name, name === label ? score : 0])) };
  }
  return labelled(scoresOf(scores, names, response.activation), names);
}

type Activation = Api['response']['activation'];

function scoresOf(scores: Json | undefined, names: readonly string[], activation: Activation): number[] {
  const first = Array.isArray(scores) ? (scores[0] as Json | undefined) : undefined;
  if (Array.isArray(scores) && scores.length === 1 && Array.isArray(first)) return scoresOf(first, names, activation);
  if (Array.isArray(scores) && !isJsonObject(first)) return scaled(numbersOf(scores), activation);
  const byLabel = Array.isArray(scores)
    ? Object.fromEntries(scores.filter(isJsonObject).map(({ label, score }) => [String(label), score ?? null]))
    : objectOf(scores ?? null);
  if (!names.some((name) => Object.hasOwn(byLabel, name))) {
    const found = JSON.stringify(Object.keys(byLabel)).slice(0, 200);
    throw wrong(`the scores are of other labels than the stage’s: ${found} instead of ${JSON.stringify(names)}`);
  }
  // Logits become scores among all labels of the model, also those that the stage does not name.
  const all = activation === undefined || activation === 'none' ? names : Object.keys(byLabel);
  const values = numbersOf(all.map((name) => (Object.hasOwn(byLabel, name) ? (byLabel[name] ?? null) : 0)));
  const scored = new Map(scaled(values, activation).map((score, i) => [all[i], score]));
  return names.map((name) => scored.get(name) ?? 0);
}

const scaled = (values: readonly number[], activation: Activation): number[] => [
  ...activated(Float64Array.from(values), activation, values.length),
];

/** `{ "scores": […] }` in the order of the passages, or `{ "results": [{ "index", "score" }] }`. */
function passages(made: Json, { input, with: options }: Call): Json {
  const { scores, results } = objectOf(made);
  if (Array.isArray(input.pairs)) return { scores: numbersOf(scores ?? null) };
  const all = input.passages as readonly JsonObject[];
  const top = options.top as number | undefined;
  if (scores !== undefined) return ranked(numbersOf(scores), all, { top, name: 'scores' });
  if (!Array.isArray(results)) throw wrong('the output has neither scores nor results');
  const found = new Map<number, number>();
  for (const each of results as Json[]) {
    const { index, score } = objectOf(each);
    const known =
      typeof index === 'number' && all[index] !== undefined && !found.has(index) && typeof score === 'number';
    if (!known) throw wrong(`a result with index ${JSON.stringify(index)} and score ${JSON.stringify(score)}`);
    found.set(index, score);
  }
  const wanted = Math.min(top ?? all.length, all.length);
  if (found.size < wanted) throw wrong(`${found.size} results instead of ${wanted}`);
  const best = [...found].sort(([, a], [, b]) => b - a).slice(0, wanted);
  return { passages: best.map(([index, score]) => ({ ...all[index], score })) };
}

function numbersOf(value: Json): number[] {
  const alone = Array.isArray(value) && value.length === 1 && Array.isArray(value[0]) ? (value[0] as Json) : value;
  // Servers of models with one output have each number in a list of its own.
  const list = Array.isArray(alone)
    ? alone.map((each: Json) => (Array.isArray(each) && each.length === 1 ? each[0] : each))
    : [];
  if (list.length === 0 || !list.every((each) => typeof each === 'number' && Number.isFinite(each))) {
    throw wrong('the answer has no list of numbers where the pool’s template says');
  }
  return list as number[];
}

function objectOf(value: Json): JsonObject {
  if (isJsonObject(value)) return value;
  throw wrong(`${JSON.stringify(value)?.slice(0, 100)} is not an object`);
}

const wrong = (message: string): MillraceError => new MillraceError('INVALID_OUTPUT', message);
