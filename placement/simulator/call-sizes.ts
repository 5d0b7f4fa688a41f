import type { Load } from './load.js';
import { type CachedTokens, cachedOf, inCache } from './prefix.js';
import { DRAW, drawOf } from './random.js';
import type { SimulatedPool } from './system.js';
import { CACHED_COLUMN, type ContinuousTable, type DynamicTable, type Table } from './table.js';

/** The tables of replicas, and the sizes of calls by the columns of the load. Numbered by replica x stages + stage. */
export class CallSizes {
  readonly #stages: number;
  readonly #stageOfCall: Int32Array;
  readonly #tables: readonly (Table | undefined)[];
  /** The columns of tokens or, for batches, of the size; and those of the tokens of answers. */
  readonly #columns: readonly (Float64Array | undefined)[];
  readonly #columnsOut: readonly (Float64Array | undefined)[];
  /** What the replica's prefix cache has of the prompts. */
  readonly #cached: readonly (CachedTokens | undefined)[];
  readonly #seed: number;

  constructor(pools: readonly SimulatedPool[], load: Load, stages: number, stageOfCall: Int32Array, seed: number) {
    this.#stages = stages;
    this.#stageOfCall = stageOfCall;
    this.#seed = seed;
    const { sizes } = load;
    const column = (name: string | undefined) => (name === undefined ? undefined : sizes[name]);
    const replicas = pools.flatMap((pool) => pool.replicas);
    this.#tables = replicas.flatMap(({ tables }) => Array.from({ length: stages }, (_, v) => tables[v]));
    this.#cached = pools.flatMap(({ replicas: own }) =>
      own.flatMap(({ tables }) =>
        Array.from({ length: stages }, (_, v) => {
          const table = tables[v];
          if (table?.batching !== 'continuous' || table.routing === undefined) return undefined;
          return cachedOf(load, table.columnCached ?? CACHED_COLUMN, table.routing, own.length);
        }),
      ),
    );
    this.#columns = this.#tables.map((table) => column(table?.batching === 'dynamic' ? table.column : table?.columnIn));
    this.#columnsOut = this.#tables.map((table) =>
      table?.batching === 'continuous' ? column(table.columnOut) : undefined,
    );
  }

  /** Where the figures of a call on a replica are. */
  at(replica: number, call: number): number {
    return replica * this.#stages + (this.#stageOfCall[call % this.#stageOfCall.length] as number);
  }

  table(at: number): Table | undefined {
    return this.#tables[at];
  }

  /** Time of a stage's call outside the device of a replica. */
  overheadMs(replica: number, v: number): number {
    return this.#tables[replica * this.#stages + v]?.overheadMs ?? 0;
  }

  /** The size on which the time of a call of a batch depends. */
  size(at: number, call: number): number {
    const known = this.#columns[at]?.[(call / this.#stageOfCall.length) | 0] ?? Number.NaN;
    return Number.isNaN(known) ? (this.#tables[at] as DynamicTable).typical : known;
  }

  tokensIn(at: number, call: number): number {
    const known = this.#columns[at]?.[(call / this.#stageOfCall.length) | 0] ?? Number.NaN;
    return Number.isNaN(known) ? (this.#tables[at] as ContinuousTable).typicalIn : known;
  }

  /** Tokens of a call's prompt that the replica's prefix cache has: the same ones at every attempt. */
  tokensCached(at: number, call: number): number {
    const cached = this.#cached[at];
    if (cached === undefined) return 0;
    const { share, first, second } = cached;
    const isFirst = share >= 1 || drawOf(this.#seed, call, DRAW.prefix) <= share;
    return inCache(isFirst ? first : second, (call / this.#stageOfCall.length) | 0, this.tokensIn(at, call));
  }

  tokensOut(at: number, call: number): number {
    const known = this.#columnsOut[at]?.[(call / this.#stageOfCall.length) | 0] ?? Number.NaN;
    return Number.isNaN(known) ? (this.#tables[at] as ContinuousTable).typicalOut : known;
  }
}
