import { existsSync, readFileSync } from 'node:fs';
import { availableParallelism } from 'node:os';
import path from 'node:path';
import type { Backend, Repository } from '../activities/connectors/index.js';
import { connectorOf, connectTo, listed, type ModelsConfig } from '../activities/pools/index.js';
import { describeMachine, thisMachine } from '../measure/inventory/index.js';
import {
  type SearchedCalls,
  searchedCalls,
  searchTriton,
  shortName,
  spaceOf,
  TrialModel,
  type TritonReport,
  tritonFilesOf,
} from '../measure/optimize/index.js';
import { MillraceError, messageOf } from '../pipelines/errors.js';
import { invalidField } from '../pipelines/invalid-fields.js';
import { limited } from '../runtime/limited.js';
import { isLoopback } from '../runtime/loopback.js';
import { connectorsOf } from '../workers/connectors.js';
import { endpointFinder, firstServer } from '../workers/discovery.js';
import { loadModels } from '../workers/models.js';
import type { Settings } from '../workers/settings.js';
import { interruptible } from './interruptible.js';
import { modelsSource } from './models-source.js';
import { CONCURRENCY, TRIALS } from './optimize-options.js';
import type { TargetOptions } from './optimize-target.js';
import { note, print, printJson, show, table } from './output.js';
import { outputFolder, writeReport } from './output-folder.js';
import { wrongOption } from './place-files.js';
import { sampleSpeech } from './sample-speech.js';

/** Options of `millrace optimize` for the search of a Triton's settings; the defaults are here, so that one without `--triton` shows. */
export interface TritonOptions {
  readonly triton?: boolean;
  readonly tritonRepository?: string;
  readonly concurrency?: number;
  readonly trials?: number;
  readonly sloP95?: number;
  readonly maxBatch?: number;
  readonly maxInstances?: number;
  readonly size?: number;
}

interface SearchCommandOptions extends TritonOptions, TargetOptions {
  readonly only?: readonly string[];
  readonly out?: string;
  readonly timeLimit: number;
  readonly force?: boolean;
  readonly json?: boolean;
}

/** Instances on another machine, whose processors are not known. */
const REMOTE_INSTANCES = 4;
/** A running server identifies itself within milliseconds, a loaded one within seconds. */
const ANSWER_MS = 10_000;
const CONFIG = 'config.pbtxt';

/** Throws `INVALID_INPUT` for an option that only the search has. */
export function refuseSearchOptions(options: TritonOptions): void {
  const { tritonRepository, concurrency, trials, sloP95, maxBatch, maxInstances, size } = options;
  refuse(
    {
      ...{ '--triton-repository': tritonRepository, '--concurrency': concurrency, '--trials': trials },
      ...{ '--slo-p95': sloP95, '--max-batch': maxBatch, '--max-instances': maxInstances, '--size': size },
    },
    'is for the search of a Triton’s settings: pass --triton as well',
  );
}

function refuse(options: Readonly<Record<string, unknown>>, why: string): void {
  const [given] = Object.entries(options).find(([, value]) => value !== undefined) ?? [];
  if (given !== undefined) throw wrongOption(given, why);
}

/** `millrace optimize --triton`: searches the batch and instance settings of a pool's model at its Triton. */
export async function optimizeTriton(settings: Settings, name: string, options: SearchCommandOptions): Promise<void> {
  const { data, calibration, tokenizer, as, only, requantise } = options;
  refuse(
    {
      ...{ '--data': data, '--calibration': calibration, '--tokenizer': tokenizer },
      ...{ '--as': as, '--only': only, '--requantise': requantise },
    },
    'is for variants of weights: leave out --triton, or this',
  );
  const folder = outputFolder(options.out ?? path.join('optimized', `${name}-triton`), options.force);
  const report = await interruptible((signal) => searched(settings, name, options, signal));
  const { config: _, ...figures } = report;
  const files = writeReport(folder, figures, tritonFilesOf(report));
  if (options.json) return printJson({ ...figures, folder, files });
  print(tableOf(report));
  for (const { settings: tried, why } of report.failed) note(`failed: ${shortName(tried)}: ${why}`);
  const told = report.confirmed ? `${shortName(report.chosen)} is faster than` : 'nothing was clearly faster than';
  show(`${told} the author’s settings; ${path.join(folder, 'triton', report.model, CONFIG)} has what was chosen`);
}

async function searched(
  settings: Settings,
  name: string,
  options: SearchCommandOptions,
  signal: AbortSignal,
): Promise<TritonReport> {
  const find = endpointFinder(settings);
  const pool = await listed(name, await poolOf(settings, name), find, signal);
  const calls = searchedCalls(pool.kind, await sampleSpeech(), options.size);
  if (calls === undefined) throw invalidField(name, `a pool of kind ${pool.kind} has no calls to measure by`);
  const { models, field } = repositoryOf(settings, options);
  const [endpoint] = pool.endpoints;
  if (endpoint === undefined) throw invalidField(name, 'the pool names no endpoint');
  const connector = connectorOf(name, pool, connectorsOf(settings));
  const backend = connectTo(connector, await firstServer(find, name, pool, endpoint, signal), pool);
  try {
    // One that is away is reported before anything is written to its repository.
    const server = await limited(ANSWER_MS, signal, async (own) => (await backend.server?.(pool.model, own)) ?? '');
    const space = spaceOf(name, configOf(models, pool.model), {
      maxBatch: options.maxBatch,
      maxInstances: options.maxInstances ?? (isLoopback(endpoint.url) ? availableParallelism() : REMOTE_INSTANCES),
    });
    const concurrency = options.concurrency ?? CONCURRENCY;
    if (concurrency > endpoint.concurrency)
      throw wrongOption(
        '--concurrency',
        `the endpoint gets ${endpoint.concurrency} calls at a time: see its concurrency`,
      );
    const trial = await TrialModel.open(withRepository(backend), { models, model: pool.model, field });
    try {
      const found = await searchTriton({ kind: pool.kind, backend, space, ...calls }, trial, {
        ...{ concurrency, trials: options.trials ?? TRIALS, timeLimitMs: options.timeLimit, signal, onStep: note },
        sloP95Ms: options.sloP95,
      });
      return {
        ...{ pool: name, model: pool.model, endpoint: endpoint.url, server, concurrency, input: inputOf(calls) },
        ...{ machine: describeMachine(await thisMachine()), measuredAt: new Date().toISOString() },
        ...(options.sloP95 !== undefined && { sloP95Ms: options.sloP95 }),
        ...found,
      };
    } finally {
      await trial.close().catch((error: unknown) => note(`${trial.name} was not unloaded: ${messageOf(error)}`));
    }
  } finally {
    backend.close();
  }
}

/** A pool of Triton. Throws `MODEL_NOT_CONFIGURED`, and `INVALID_INPUT` for a pool of another server. */
async function poolOf(settings: Settings, name: string): Promise<ModelsConfig[string]> {
  const models = await loadModels(settings);
  const pool = Object.hasOwn(models, name) ? models[name] : undefined;
  if (pool === undefined) {
    const known = Object.keys(models).join(', ') || 'none';
    throw new MillraceError('MODEL_NOT_CONFIGURED', `no pool "${name}" (configured: ${known})`);
  }
  if (pool.connector === 'triton') return pool;
  throw invalidField(name, `its connector is ${pool.connector}: only Triton has these settings`);
}

/** The folder from which the server loads its models, and the option that names it. */
function repositoryOf(settings: Settings, { tritonRepository }: TritonOptions) {
  const field = '--triton-repository';
  if (tritonRepository !== undefined) return { models: path.resolve(tritonRepository), field };
  const own = settings.TRITON_URL ?? modelsSource(settings);
  if (own === undefined) return { models: path.resolve(settings.MILLRACE_HOME, 'triton', 'models'), field };
  throw wrongOption(field, 'pass the folder from which the server loads its models, and which can be written here');
}

function configOf(models: string, model: string): string {
  const file = path.join(models, model, CONFIG);
  if (existsSync(file)) return readFileSync(file, 'utf8');
  throw invalidField('--triton-repository', `${file} does not exist: the search begins with the author’s settings`);
}

function withRepository(backend: Backend): Repository {
  if (backend.repository) return backend.repository;
  throw invalidField(backend.endpoint, 'the server does not load models on request');
}

const inputOf = ({ example, size }: SearchedCalls): string =>
  example.variable === undefined ? 'the kind’s example' : `${example.variable} ${size}`;

function tableOf({ trials, chosen }: TritonReport): string {
  const name = shortName(chosen);
  const rows = [...trials]
    .sort((a, b) => b.callsPerS - a.callsPerS)
    .map((trial) => [
      trial.onFront ? '*' : '',
      shortName(trial),
      shortName(trial) === name ? 'chosen' : '',
      trial.callsPerS,
      Number(trial.p50Ms.toFixed(1)),
      Number(trial.p95Ms.toFixed(1)),
      trial.meanBatch,
      trial.steady ? '' : 'not steady',
    ]);
  return table(['', 'instances x batch', '', 'calls/s', 'p50 ms', 'p95 ms', 'mean batch', ''], rows);
}
