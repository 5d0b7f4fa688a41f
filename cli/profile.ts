import { type Backend, shared } from '../activities/connectors/index.js';
import { accessAt, connectorOf, connectTo } from '../activities/pools/index.js';
import { describeMachine, thisMachine } from '../measure/inventory/index.js';
import {
  fingerprintAt,
  type ProfileFolder,
  profilesIn,
  profileTarget,
  type Target,
  targetsOf,
} from '../measure/profiling/index.js';
import { invalidFields } from '../pipelines/invalid-fields.js';
import type { DefinedKinds } from '../pipelines/stages/index.js';
import { changedSince, type ProfileFile } from '../placement/profiles/index.js';
import { memory } from '../placement/source/index.js';
import { shapeOf } from '../placement/workload/index.js';
import { connectorsOf } from '../workers/connectors.js';
import { endpointFinder, firstServer, withListed } from '../workers/discovery.js';
import { loadModels } from '../workers/models.js';
import type { Settings } from '../workers/settings.js';
import { findPipeline } from './find-pipeline.js';
import { interruptible } from './interruptible.js';
import { note, print, printJson, show, table } from './output.js';
import { readCluster, wrongOption } from './place-files.js';
import { sampleSpeech } from './sample-speech.js';

export interface ProfileCommandOptions {
  readonly profiles: string;
  readonly cluster?: string;
  readonly deviceKind?: string;
  readonly stage: readonly string[];
  readonly samples: number;
  readonly timeLimit: number;
  readonly batches: readonly number[];
  readonly sizes?: readonly number[];
  readonly variant: string;
  readonly quality?: number;
  readonly memory: Readonly<Record<string, string>>;
  readonly perToken: Readonly<Record<string, string>>;
  readonly audio?: string;
  readonly module?: string;
  readonly check?: boolean;
  readonly json?: boolean;
}

/**
 * `millrace profile`: measures each model of a pipeline at its endpoint, or checks whether its profiles still match.
 */
export async function profilePipeline(settings: Settings, name: string, options: ProfileCommandOptions): Promise<void> {
  const { plan, kinds } = await findPipeline(settings, name, options.module);
  const named = shapeOf(plan).stages.map(({ model }) => model);
  const models = await withListed(settings, await loadModels(settings), named, new AbortController().signal);
  const targets = targetsOf(plan, models, await kindsOf(options), options.stage, options.variant);
  checkMemory('--memory', options.memory, targets);
  checkMemory('--per-token', options.perToken, targets);
  checkTokens(options, targets);
  const folder = profilesIn(options.profiles);
  const machine = describeMachine(await thisMachine());
  const backends = new Backends(settings);
  try {
    await interruptible((signal) => {
      const on = { targets, kinds, folder, machine, backends, signal };
      return options.check ? check(on, options) : measure(on, options);
    });
  } finally {
    backends.close();
  }
}

interface On {
  readonly targets: readonly Target[];
  readonly kinds: DefinedKinds;
  readonly folder: ProfileFolder;
  readonly machine: string;
  readonly backends: Backends;
  readonly signal: AbortSignal;
}

async function measure(
  { targets, kinds, folder, machine, backends, signal }: On,
  options: ProfileCommandOptions,
): Promise<void> {
  const audio = await sampleSpeech(options.audio);
  const { samples, timeLimit: timeLimitMs, batches, sizes, variant, quality } = options;
  // Servers that are away are reported before the first one is measured for a minute.
  for (const target of targets) await fingerprintAt(target, await backends.of(target, signal), machine, signal);
  const files: { readonly file: string; readonly profile: ProfileFile; readonly calls: number }[] = [];
  for (const target of targets) {
    note(`measuring ${target.model} (${target.stages.join(', ')}) at ${target.endpoint.url}`);
    const measured = await profileTarget(target, await backends.of(target, signal), {
      ...{
        samples,
        timeLimitMs,
        batches,
        sizes,
        variant,
        quality,
        memory: options.memory,
        perToken: options.perToken,
        audio,
        kinds,
        machine,
        signal,
      },
      now: new Date(),
    });
    const file = folder.write(measured.profile);
    files.push({ file, ...measured });
    if (!options.json) show(`${file}: ${measured.calls} calls\n${timesOf(measured.profile)}\n`);
  }
  if (options.json) printJson({ profiles: files });
}

/**
 * Compares profiles with their endpoints. Throws `PROFILE_STALE` with each profile that no longer matches,
 * `PROFILE_MISSING` if there is none.
 */
async function check(
  { targets, folder, machine, backends, signal }: On,
  { variant, json }: ProfileCommandOptions,
): Promise<void> {
  const rows = [];
  for (const target of targets) {
    const { model, deviceKind, endpoint } = target;
    const now = await fingerprintAt(target, await backends.of(target, signal), machine, signal);
    const profile = folder.find({ model, variant, deviceKind });
    const changes = profile && changedSince(profile.value, now);
    const state =
      profile === undefined ? 'missing' : changes === undefined ? 'unknown' : changes.length > 0 ? 'stale' : 'fresh';
    rows.push({ model, deviceKind, endpoint: endpoint.url, file: profile?.file ?? '-', state, changes: changes ?? [] });
  }
  if (json) printJson({ profiles: rows });
  else {
    const cells = rows.map(({ changes, ...row }) => [...Object.values(row), changes.join('; ')]);
    print(table(['model', 'device kind', 'endpoint', 'file', 'state', 'changes'], cells));
  }
  for (const [state, code] of [
    ['stale', 'PROFILE_STALE'],
    ['missing', 'PROFILE_MISSING'],
  ] as const) {
    const bad = rows.filter((row) => row.state === state);
    const fields = bad.map(({ model, file, changes }) => ({
      field: state === 'stale' ? file : model,
      message:
        state === 'stale' ? `${changes.join('; ')}: profile "${model}" again` : 'there is no profile of it: measure it',
    }));
    if (fields.length > 0) throw invalidFields(code, fields);
  }
}

async function kindsOf({ cluster, deviceKind }: ProfileCommandOptions) {
  if (deviceKind !== undefined && cluster !== undefined)
    throw wrongOption('--device-kind', 'pass --cluster or --device-kind, not both');
  if (deviceKind !== undefined) return { deviceKind };
  if (cluster === undefined) {
    throw wrongOption(
      '--cluster',
      'pass the device kind of the endpoints: --cluster cluster.yaml, or --device-kind cpu',
    );
  }
  return { inventory: await readCluster(cluster) };
}

type MemoryOption = '--memory' | '--per-token';

function checkMemory(option: MemoryOption, given: Readonly<Record<string, string>>, targets: readonly Target[]): void {
  for (const [model, amount] of Object.entries(given)) {
    if (!targets.some((target) => target.model === model)) {
      throw wrongOption(
        option,
        `model "${model}" is not profiled here (known: ${targets.map((t) => t.model).join(', ')})`,
      );
    }
    const { error } = memory.safeParse(amount);
    if (error) throw wrongOption(option, `${model}: ${error.issues.map(({ message }) => message).join('; ')}`);
  }
}

/** Only an LLM has a cache of tokens, and its size means something beside the weights only. */
function checkTokens({ memory: weights, perToken }: ProfileCommandOptions, targets: readonly Target[]): void {
  for (const model of Object.keys(perToken)) {
    if (!targets.some((target) => target.model === model && target.pool.kind === 'chat'))
      throw wrongOption('--per-token', `"${model}" is no LLM: leave it out`);
    if (!Object.hasOwn(weights, model))
      throw wrongOption('--per-token', `${model}: pass --memory ${model}=<amount> too`);
  }
}

/** Clients of the endpoints, one each. */
class Backends {
  readonly #connectors;
  readonly #find;
  readonly #open = new Map<string, Backend>();

  constructor(settings: Settings) {
    this.#connectors = connectorsOf(settings);
    this.#find = endpointFinder(settings);
  }

  /** Throws `INVALID_SETTING` for an unknown connector, and as `firstServer`. */
  async of({ model, pool, endpoint }: Target, signal: AbortSignal): Promise<Backend> {
    const key = `${pool.connector} ${endpoint.url} ${shared(accessAt(endpoint, pool))}`;
    const known = this.#open.get(key);
    if (known) return known;
    const connector = connectorOf(model, pool, this.#connectors);
    const backend = connectTo(connector, await firstServer(this.#find, model, pool, endpoint, signal), pool);
    this.#open.set(key, backend);
    return backend;
  }

  close(): void {
    for (const backend of this.#open.values()) backend.close();
  }
}

/** Medians and tails of a profile as a table. */
function timesOf(profile: ProfileFile): string {
  const ms = ({ p50Ms, p95Ms = p50Ms }: { readonly p50Ms: number; readonly p95Ms?: number | undefined }) => [
    Number(p50Ms.toFixed(2)),
    Number(p95Ms.toFixed(2)),
  ];
  if (profile.batching === 'dynamic') {
    const rows = profile.latency.map((row) => [row.batch, row.size ?? '-', ...ms(row)]);
    return table(['batch', profile.size?.variable ?? 'size', 'p50 ms', 'p95 ms'], rows);
  }
  return [
    table(
      ['prompt tokens', 'p50 ms', 'p95 ms'],
      profile.prefill.map((row) => [row.tokens, ...ms(row)]),
    ),
    table(
      ['sequences', 'p50 ms a token', 'p95 ms'],
      profile.decode.map((row) => [row.batch, ...ms(row)]),
    ),
  ].join('\n');
}
