import { type FieldError, MillraceError } from '../../pipelines/errors.js';
import { invalidFields } from '../../pipelines/invalid-fields.js';
import {
  assumesReserved,
  devicesPerReplica,
  largestBatch,
  memoryPerDevice,
  type Profile,
  type ReadProfile,
  reservedPerDevice,
} from '../profiles/index.js';
import { type Load, type PrefixRouting, type SimulatedStage, type Table, tableOf } from '../simulator/index.js';
import { nearest, spellBytes } from '../source/index.js';
import type { PipelineShape, StageShape } from '../workload/index.js';
import { type CallTimes, callTimes } from './call-times.js';
import { roomOf, tokensAlone } from './memory.js';
import { runsOf } from './own-runs.js';
import type { Cell } from './problem.js';
import type { Pieces } from './stream-pieces.js';

/** What drafts are made of. */
export interface Ground {
  readonly profiles: readonly ReadProfile[];
  readonly load: Load;
  readonly qualityFloor?: number | undefined;
  /** How the calls of a model come to replicas that have a part of their prompts. */
  readonly routingOf: (model: string) => PrefixRouting;
}

/** A variant of a pool on a kind, before its batch sizes are known. */
export interface Draft {
  readonly kind: number;
  readonly profile: Profile;
  readonly source: ReadProfile;
  readonly tables: readonly (Table | undefined)[];
  readonly times: readonly (CallTimes | undefined)[];
  /** Most tokens in the key-value cache of a replica on any device of the kind; infinite for other models. */
  readonly mostTokens: number;
  /** Batch sizes to try; absent: those measured. */
  readonly batches?: readonly number[];
}

export interface NamedStage {
  readonly stage: StageShape;
  readonly pipeline: PipelineShape;
}

export function draftsOf(
  model: string,
  named: readonly NamedStage[],
  stages: readonly SimulatedStage[],
  kinds: readonly string[],
  cells: readonly Cell[],
  { profiles, load, qualityFloor = 0, routingOf }: Ground,
): readonly Draft[] {
  const own = named.flatMap(({ stage, pipeline }, v) =>
    stage.model === model ? [{ v, names: [stage.id, `${pipeline.name}/${stage.id}`] }] : [],
  );
  const ofModel = profiles.filter(({ value }) => value.model === model);
  const variants = [...new Set(ofModel.map(({ value }) => value.variant))];
  const drafts = variants.flatMap((variant) =>
    kinds.flatMap((kind, k): Draft[] => {
      const candidates = ofModel.filter(({ value }) => value.variant === variant && value.deviceKind === kind);
      const chosen = own.map(({ names }) => {
        const special = candidates.find(({ value }) => value.stage !== undefined && names.includes(value.stage));
        return special ?? candidates.find(({ value }) => value.stage === undefined);
      });
      const [first] = chosen;
      if (first === undefined || chosen.includes(undefined)) return [];
      const ofKind = cells.filter((cell) => cell.kind === k);
      const mostTokens = Math.max(...ofKind.map((cell) => tokensAlone(first.value, cell)));
      const tables: (Table | undefined)[] = new Array(stages.length).fill(undefined);
      const times: (CallTimes | undefined)[] = new Array(stages.length).fill(undefined);
      for (const [i, { v }] of own.entries()) {
        const profile = (chosen[i] ?? first).value;
        const stage = stages[v] as SimulatedStage;
        const table = tableOf(profile, routingOf(model));
        checkSizes(profile, chosen[i] ?? first, load, stage, own[i]?.names[1] ?? model);
        const pieces = piecesOf(named, stages, v, profiles);
        tables[v] = table;
        times[v] = callTimes(table, load, largestBatch(profile), stage, mostTokens, pieces);
      }
      return [{ kind: k, profile: first.value, source: first, tables, times, mostTokens }];
    }),
  );
  if (drafts.length === 0)
    throw missing(
      model,
      own.flatMap(({ names }) => names[1] ?? []),
      ofModel,
      profiles,
      kinds,
    );
  const good = drafts.filter(({ profile }) => profile.quality >= qualityFloor);
  if (good.length === 0) {
    const best = Math.max(...drafts.map(({ profile }) => profile.quality));
    const message = `no variant of "${model}" reaches the quality floor of ${qualityFloor}: the best has ${best}; lower the floor or profile a better one`;
    throw refused('PROFILE_MISSING', '--quality-floor', message);
  }
  const fitting = good.filter(({ profile, kind, times }) => fits(profile, kind, cells, meanTokens(times)));
  if (fitting.length === 0) throw fitsNowhere(model, good, kinds, cells);
  return fitting;
}

/** How a stage reads a stream; undefined if it reads none, or if its maker may have no tokens to count pieces by. */
export function piecesOf(
  named: readonly NamedStage[],
  stages: readonly SimulatedStage[],
  v: number,
  profiles: readonly ReadProfile[],
): Pieces | undefined {
  const { streamFrom, pieceTokens = 1 } = stages[v] ?? {};
  if (streamFrom === undefined) return undefined;
  const made = profiles.filter(({ value }) => value.model === named[streamFrom]?.stage.model);
  const [first] = made;
  if (first === undefined || made.some(({ value }) => value.batching === 'dynamic')) return undefined;
  if (first.value.batching === 'dynamic') return undefined;
  const { out, typicalOut = Number.NaN } = first.value.size;
  return { column: out, typical: typicalOut, pieceTokens };
}

/** Average tokens of a sequence of the pool's longest stage. */
export const meanTokens = (times: Draft['times']): number => Math.max(0, ...times.map((each) => each?.tokens ?? 0));

/** Refuses a load in which runs of the stage's pipeline lack a size that the profile's times depend on. */
function checkSizes(
  profile: Profile,
  source: ReadProfile,
  load: Load,
  { pipeline }: SimulatedStage,
  stage: string,
): void {
  if (profile.batching !== 'continuous') return;
  const { size } = profile;
  const fields = (
    [
      ['in', 'typicalIn'],
      ['out', 'typicalOut'],
    ] as const
  ).flatMap(([column, typical]): FieldError[] => {
    const values = load.sizes[size[column]];
    const isStated = (run: number) => !Number.isNaN(values?.[run] ?? Number.NaN);
    if (size[typical] !== undefined || (values !== undefined && runsOf(load, pipeline).every(isStated))) return [];
    const message = `${stage}: the load has no column ${size[column]}, and the profile no size.${typical}: give a trace with ${size[column]}, --size ${size[column]}=<tokens>, or the typical tokens here`;
    return [{ field: source.at(['size', typical]), message }];
  });
  if (fields.length > 0) throw invalidFields('INVALID_PROFILE', fields);
}

/** Whether some node has enough devices, each with room for the model and one request of average size. */
function fits(profile: Profile, kind: number, cells: readonly Cell[], tokens: number): boolean {
  const nodes = new Map<string, number>();
  for (const cell of cells) {
    if (cell.kind === kind && hasRoom(profile, cell, tokens)) {
      nodes.set(cell.node, (nodes.get(cell.node) ?? 0) + cell.devices.length);
    }
  }
  return [...nodes.values()].some((count) => count >= devicesPerReplica(profile));
}

const hasRoom = (profile: Profile, cell: Cell, tokens: number): boolean =>
  profile.batching === 'continuous'
    ? tokensAlone(profile, cell) >= tokens
    : memoryPerDevice(profile, 1) <= cell.memoryBytes;

function missing(
  model: string,
  stages: readonly string[],
  ofModel: readonly ReadProfile[],
  profiles: readonly ReadProfile[],
  kinds: readonly string[],
): MillraceError {
  const needs = stages.join(', ');
  if (ofModel.length === 0) {
    const known = [...new Set(profiles.map(({ value }) => value.model))];
    return refused(
      'PROFILE_MISSING',
      needs,
      `there is no profile of the model "${model}"${nearest(model, known)}: profile it`,
    );
  }
  const fields = ofModel.map(
    ({ at, value }): FieldError => ({
      field: at(['deviceKind']),
      message: `the inventory has no "${value.deviceKind}"${nearest(value.deviceKind, kinds)}: profile "${model}" (for ${needs}) on a kind that it has`,
    }),
  );
  return invalidFields('PROFILE_MISSING', fields);
}

function fitsNowhere(
  model: string,
  drafts: readonly Draft[],
  kinds: readonly string[],
  cells: readonly Cell[],
): MillraceError {
  const fields = drafts.map(({ profile, source, kind, times }): FieldError => {
    const llm = profile.batching === 'continuous';
    const ofKind = cells.filter((cell) => cell.kind === kind);
    const room = Math.max(...ofKind.map((cell) => roomOf(cell, llm)));
    const reserved = reservedPerDevice(profile, ofKind[0]?.memoryBytes ?? 0);
    const needed = memoryPerDevice(profile, 1, meanTokens(times)) + reserved;
    const width = devicesPerReplica(profile);
    const message =
      needed > room
        ? `"${model}" needs ${spellBytes(needed)} on each of ${width} ${kinds[kind]}, which has ${spellBytes(room)}${llm ? ' for LLM servers (memoryUtilization)' : ''}: add a larger device, or profile a smaller or a more parallel variant${reservedNote(profile, reserved)}`
        : `"${model}" needs ${width} ${kinds[kind]} on one node, and no node has as many: add devices to a node`;
    return { field: source.at(['memory', 'weights']), message };
  });
  return invalidFields('MODEL_FITS_NOWHERE', fields);
}

/** What of its memory is neither for weights nor for the cache. */
function reservedNote(profile: Profile, reserved: number): string {
  if (reserved === 0) return '';
  const whence = assumesReserved(profile) ? 'assumed: state memory.reserved as vLLM reports it' : 'its memory.reserved';
  return `; ${spellBytes(reserved)} of what it needs are for activations and CUDA graphs (${whence})`;
}

const refused = (code: 'PROFILE_MISSING', field: string, message: string): MillraceError =>
  new MillraceError(code, `${field}: ${message}`, { fields: [{ field, message }] });
