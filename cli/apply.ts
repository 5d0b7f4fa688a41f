import { existsSync, readFileSync } from 'node:fs';
import path from 'node:path';
import { parseModels } from '../activities/pools/index.js';
import { MillraceError, messageOf } from '../pipelines/errors.js';
import { isJsonObject, type JsonObject } from '../pipelines/json.js';
import { type Generated, generate, shellWords } from '../placement/apply/index.js';
import { calledPools, type PlacementDocument } from '../placement/document/index.js';
import { readInventory } from '../placement/inventory/index.js';
import { deviceQueue, poolQueue } from '../placement/queues.js';
import { isLoopback } from '../runtime/loopback.js';
import { AppliedHistory } from '../workers/applied-history.js';
import { endpointsOf } from '../workers/endpoints.js';
import { loadModels } from '../workers/models.js';
import type { Settings } from '../workers/settings.js';
import { writeApplied } from './applied-folder.js';
import { note, print, printJson } from './output.js';
import { placementIn } from './place-files.js';
import { whenReady } from './when-ready.js';

export interface ApplyCommandOptions {
  readonly cluster?: string;
  /** Of a schedule: the hour whose placement is applied. */
  readonly hour?: number;
  readonly out: string;
  readonly tritonRepository?: string;
  readonly cpuKinds: readonly string[];
  readonly weights: Readonly<Record<string, string>>;
  /** vLLM’s `--speculative-config` as JSON, by pool. */
  readonly speculative: Readonly<Record<string, string>>;
  /** vLLM’s `--tool-call-parser`, by pool. */
  readonly toolParser: Readonly<Record<string, string>>;
  /** Further arguments of vLLM, by pool. */
  readonly vllmArgs: Readonly<Record<string, string>>;
  /** URL of the router before a pool served apart. */
  readonly router: Readonly<Record<string, string>>;
  readonly weightsClaim?: string;
  readonly artifactsClaim?: string;
  readonly image: Readonly<Record<string, string>>;
  readonly gpuResource: string;
  readonly modelsClaim: string;
  /** Longest wait, in milliseconds, for the placement's servers before it becomes that of new runs. */
  readonly whenReady?: number;
  /** Whether it waits for the servers of the manifests, at their Services; default: those of the commands, at their nodes. */
  readonly services?: boolean;
  readonly rollback?: boolean;
  readonly dryRun?: boolean;
  readonly json?: boolean;
}

/** Default images in the manifests: without a registry, to be replaced by the operator's own. */
const IMAGES = { triton: 'tritonserver', vllm: 'vllm-openai', millrace: 'millrace' } as const;

/** `millrace apply`: writes the servers' configuration for a placement and makes it the placement of new runs. */
export async function applyPlacement(
  settings: Settings,
  file: string | undefined,
  options: ApplyCommandOptions,
): Promise<void> {
  if (options.services && options.whenReady === undefined)
    throw invalid('services', 'says which servers --when-ready calls: pass --when-ready too, e.g. --when-ready 10m');
  if (options.rollback) return rollBack(settings, file, options);
  if (file === undefined) throw invalid('placement', 'pass the placement.json to apply, or --rollback');
  if (options.cluster === undefined) throw invalid('cluster', 'pass the cluster.yaml that the placement was made for');
  const placement = placementIn(textOf(file), file, options.hour);
  const generated = generate(placement, readInventory(textOf(options.cluster), options.cluster), {
    base: await loadModels(settings),
    configOf: (model) => configIn(options.tritonRepository, model),
    configIfAny: (model) => configIfAny(options.tritonRepository, model),
    cpuKinds: new Set(options.cpuKinds),
    weights: options.weights,
    speculative: speculativeOf(options.speculative),
    toolParsers: options.toolParser,
    routers: options.router,
    vllmArguments: Object.fromEntries(
      Object.entries(options.vllmArgs).map(([model, text]) => [model, shellWords(text)]),
    ),
    kubernetes: {
      images: { ...IMAGES, ...options.image },
      gpuResource: options.gpuResource,
      modelsClaim: options.modelsClaim,
      weightsClaim: options.weightsClaim,
      artifactsClaim: options.artifactsClaim,
      temporal: endpointsOf(settings).temporal,
      namespace: settings.TEMPORAL_NAMESPACE,
      taskQueue: settings.MILLRACE_TASK_QUEUE,
    },
  });
  const folder = path.resolve(options.out, placement.version);
  writeApplied(folder, generated, options.tritonRepository);
  const notes = [
    ...generated.notes,
    ...notesOnParts(generated, options.tritonRepository),
    ...notesOnTemporal(endpointsOf(settings).temporal),
  ];
  if (options.whenReady !== undefined && !options.dryRun) {
    const atNodes = generated.files.find(({ path: name }) => name === 'models.json')?.text ?? '{}';
    const text = options.services ? generated.serviceModels : atNodes;
    const source = options.services ? 'kubernetes.yaml' : 'models.json';
    const models = parseModels(JSON.parse(text), path.join(folder, source));
    await whenReady(
      settings,
      models,
      calledPools(placement).map(({ model }) => model),
      options.whenReady,
    );
  }
  const history =
    settings.MILLRACE_PLACEMENT === undefined ? undefined : new AppliedHistory(settings.MILLRACE_PLACEMENT);
  const before = history?.current();
  const applied = options.dryRun || history === undefined ? false : history.apply(placement).changed;
  const drain = before === undefined ? [] : left(before, placement, settings.MILLRACE_TASK_QUEUE);
  if (options.json) {
    const rows = generated.servers.map(({ name, type, node, devices }) => ({
      name,
      type,
      node,
      devices: devices.map((d) => d.id),
    }));
    printJson({ version: placement.version, folder, applied, servers: rows, drain, notes });
    return;
  }
  print(folder);
  for (const each of notes) note(`note: ${each}`);
  if (applied && options.whenReady === undefined) {
    note(
      'No server was called: new runs wait for those that do not answer yet. --when-ready 10m switches when all do.',
    );
  }
  if (applied) note(`New runs use ${placement.version}; running ones keep the placement that they were started with.`);
  else if (options.dryRun) note('Nothing was applied: --dry-run.');
  else if (history === undefined) note('Nothing was applied: MILLRACE_PLACEMENT is not set.');
  else note(`${placement.version} is applied already.`);
  if (drain.length > 0) note(`Keep workers on these queues until they are empty: ${drain.join(', ')}`);
}

/** Parts of ensembles that cannot be linked: the manifests do not need them, since their pods have the weights from a claim. */
function notesOnParts({ linked }: Generated, repository: string | undefined): string[] {
  if (repository === undefined) return [];
  const lacking = [...new Set(linked.map(({ model }) => model))].filter(
    (model) => !existsSync(path.resolve(repository, model)),
  );
  return lacking.map(
    (model) =>
      `${path.resolve(repository, model)}: an ensemble calls this model, and the repository has no such folder: a Triton that commands/ starts does not load the ensemble; on Kubernetes the claim of the models has to have it`,
  );
}

/** A pod reaches only itself at this machine's address. */
const notesOnTemporal = (address: string): string[] =>
  isLoopback(address)
    ? [
        `kubernetes.yaml: its workers and KEDA would call Temporal at ${address}, which is the pod itself: set TEMPORAL_ADDRESS`,
      ]
    : [];

function rollBack(settings: Settings, file: string | undefined, { json }: ApplyCommandOptions): void {
  if (file !== undefined) throw invalid('placement', 'a rollback restores the previous placement: pass none');
  if (settings.MILLRACE_PLACEMENT === undefined) {
    const message = 'is not set: there is nothing to roll back';
    throw new MillraceError('INVALID_SETTING', `MILLRACE_PLACEMENT ${message}`, {
      fields: [{ field: 'MILLRACE_PLACEMENT', message }],
    });
  }
  const { from, to } = new AppliedHistory(settings.MILLRACE_PLACEMENT).rollback();
  const drain = from === undefined ? [] : left(from, to, settings.MILLRACE_TASK_QUEUE);
  if (json) printJson({ version: to.version, from: from?.version ?? null, drain });
  else print(to.version);
  if (!json && drain.length > 0) note(`Keep workers on these queues until they are empty: ${drain.join(', ')}`);
}

/** Queues that only runs of the old placement use. */
function left(before: PlacementDocument, after: PlacementDocument, taskQueue: string): string[] {
  const queues = (placement: PlacementDocument) =>
    new Set(
      calledPools(placement).flatMap(({ model, replicas }) =>
        replicas.length > 1
          ? [poolQueue(taskQueue, model)]
          : replicas.map(({ devices: [first = ''] }) => deviceQueue(taskQueue, first)),
      ),
    );
  const kept = queues(after);
  return [...queues(before)].filter((queue) => !kept.has(queue)).sort();
}

function speculativeOf(given: Readonly<Record<string, string>>): Record<string, JsonObject> {
  return Object.fromEntries(
    Object.entries(given).map(([model, text]) => {
      try {
        const value: unknown = JSON.parse(text);
        if (isJsonObject(value)) return [model, value];
      } catch {
        // Reported below.
      }
      throw invalid(
        'speculative',
        `${model}: is not a JSON object such as {"method": "ngram", "num_speculative_tokens": 4}`,
      );
    }),
  );
}

function configIn(repository: string | undefined, model: string): string | undefined {
  return repository === undefined ? undefined : textOf(path.join(repository, model, 'config.pbtxt'));
}

/** Triton can complete a model without one; an ensemble has one. */
function configIfAny(repository: string | undefined, model: string): string | undefined {
  const isThere = repository !== undefined && existsSync(path.join(repository, model, 'config.pbtxt'));
  return isThere ? configIn(repository, model) : undefined;
}

function textOf(file: string): string {
  try {
    return readFileSync(file, 'utf8');
  } catch (error) {
    throw invalid(file, `cannot read it: ${messageOf(error)}`);
  }
}

const invalid = (field: string, message: string) =>
  new MillraceError('INVALID_PLACEMENT', `${field}: ${message}`, { fields: [{ field, message }] });
