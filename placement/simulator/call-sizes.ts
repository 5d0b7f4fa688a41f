import type { Load } from './load.js';
import type { SimulatedReplica } from './system.js';
import type { ContinuousTable, DynamicTable, Table } from './table.js';

/** The tables of replicas, and the sizes of calls by the columns of the load. Numbered by replica x stages + stage. */
export class CallSizes {
  readonly #stages: number;
  readonly #stageOfCall: Int32Array;
  readonly #tables: readonly (Table | undefined)[];
  /** The columns of tokens or, for batches, of the size; and those of the tokens of answers. */
  readonly #columns: readonly (Float64Array | undefined)[];
  readonly #columnsOut: readonly (Float64Array | undefined)[];

  constructor(replicas: readonly SimulatedReplica[], { sizes }: Load, stages: number, stageOfCall: Int32Array) {
    this.#stages = stages;
    this.#stageOfCall = stageOfCall;
    const column = (name: string | undefined) => (name === undefined ? undefined : sizes[name]);
    this.#tables = replicas.flatMap(({ tables }) => Array.from({ length: stages }, (_, v) => tables[v]));
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

  tokensOut(at: number, call: number): number {
    const known = this.#columnsOut[at]?.[(call / this.#stageOfCall.length) | 0] ?? Number.NaN;
    return Number.isNaN(known) ? (this.#tables[at] as ContinuousTable).typicalOut : known;
  }
}
