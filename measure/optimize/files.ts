import { createHash } from 'node:crypto';
import { readdirSync, readFileSync, statSync } from 'node:fs';
import path from 'node:path';
import type { JsonObject } from '../../pipelines/json.js';
import { shellLine, withFields } from '../../placement/apply/index.js';
import { gpuFiles } from './gpu.js';
import type { LlmProgram } from './llm-server.js';
import type { OutputFile } from './output-file.js';
import { paretoPicture } from './picture.js';
import type { Report, VariantResult } from './report.js';

export interface OutputOptions {
  /** As the inventory names it. */
  readonly deviceKind: string;
  /** The pool's entry in the models file, which gets the variants. */
  readonly pool: JsonObject;
  /** Folder of the model in Triton's repository whose code serves the variants; absent: another server does. */
  readonly triton?: string;
  /** Of an encoder. */
  readonly tokenizer?: string;
  /** The weights are in a package of the embedded servers, where the model's code finds them. */
  readonly packaged: boolean;
  readonly llm: LlmProgram;
}

const json = (value: unknown): string => `${JSON.stringify(value, null, 2)}\n`;
const served = (model: string, { variant }: VariantResult): string => `${model}-${variant}`;

/**
 * What `millrace optimize` writes beside the figures and the weights: the picture, and for the variants that no other one
 * beats their profiles, the pool's entry and their servers' configuration.
 */
export function filesOf(report: Report, options: OutputOptions): readonly OutputFile[] {
  const { model, variants, profiles } = report;
  const front = variants.filter(({ onFront }) => onFront);
  const kind = options.deviceKind.replace(/[^\w-]+/g, '_');
  return [
    { path: 'pareto.svg', text: paretoPicture(`${model} on ${report.machine}`, variants) },
    // Of others the planner would choose one that no server has.
    ...profiles
      .filter((profile) => front.some(({ variant }) => variant === profile.variant))
      .map((profile) => ({
        path: `profiles/${model}.${profile.variant}.${kind}.json`,
        text: json({ ...profile, deviceKind: options.deviceKind }),
      })),
    { path: 'models.json', text: json({ [model]: { ...options.pool, variants: poolVariants(model, front) } }) },
    ...(options.triton === undefined
      ? []
      : front.flatMap((each) => tritonModel(report, each, options, options.triton ?? ''))),
    ...(report.family === 'chat' ? front.map((each) => llmCommand(model, each, options.llm)) : []),
    ...gpuFiles(report),
  ];
}

const poolVariants = (model: string, front: readonly VariantResult[]): JsonObject =>
  Object.fromEntries(
    front.map((each) => {
      const { variant, p50Ms, memoryMiB, quality } = each;
      return [variant, { model: served(model, each), p50Ms, memoryMiB, quality }];
    }),
  );

/** A model of Triton's repository: the code of the embedded one, with its own weights and options. */
function tritonModel(report: Report, result: VariantResult, options: OutputOptions, from: string): OutputFile[] {
  const { model, family } = report;
  const folder = `triton/${served(model, result)}`;
  const code = path.join(from, '1');
  const copies: OutputFile[] = readdirSync(code)
    .filter((name) => statSync(path.join(code, name)).isFile())
    .map((name) => ({ path: `${folder}/1/${name}`, copyOf: path.join(code, name) }));
  const file = family === 'embed' ? 'model.onnx' : 'weights';
  const own = family === 'embed' || !options.packaged;
  if (own) copies.push({ path: `${folder}/1/${file}`, copyOf: result.weights });
  if (options.tokenizer !== undefined) copies.push({ path: `${folder}/1/tokenizer.json`, copyOf: options.tokenizer });
  const { threads, level, compute } = result.serve;
  const parameters: Readonly<Record<string, unknown>> = {
    fingerprint: fingerprintOf(result),
    ...(own && { weights: file }),
    ...(options.tokenizer !== undefined && { tokenizer: 'tokenizer.json' }),
    threads,
    ...(level !== undefined && { level }),
    ...(compute !== undefined && { compute_type: compute }),
  };
  const config = withFields(readFileSync(path.join(from, 'config.pbtxt'), 'utf8').replace(/^#.*\n/gm, ''), {
    ...(report.dimensions !== undefined && {
      output: `output [ { name: "EMBEDDING" data_type: TYPE_FP32 dims: [ ${report.dimensions} ] } ]`,
    }),
    parameters: Object.entries(parameters)
      .map(([key, value]) => `parameters { key: "${key}" value: { string_value: "${value}" } }`)
      .join('\n'),
  });
  return [
    { path: `${folder}/config.pbtxt`, text: `# By millrace optimize: ${model}, ${result.variant}.\n${config}` },
    ...copies,
  ];
}

/** Changes with the weights and with how they are served: it belongs in the keys of caches. */
function fingerprintOf({ weights, serve }: VariantResult): string {
  const file = statSync(weights).isDirectory() ? path.join(weights, 'model.bin') : weights;
  return createHash('sha256').update(readFileSync(file)).update(JSON.stringify(serve)).digest('hex').slice(0, 16);
}

function llmCommand(model: string, result: VariantResult, { command, args }: LlmProgram): OutputFile {
  const name = served(model, result);
  const own = ['--model', result.weights, '--alias', name, '--threads', String(result.serve.threads), '--port', '8000'];
  return { path: `commands/${name}.sh`, text: `#!/bin/sh\nexec ${shellLine([command, ...args, ...own])}\n` };
}
