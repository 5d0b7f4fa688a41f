import { MillraceError } from '../../../pipelines/errors.js';
import type { LoadState, Repository } from '../../connectors/connector.js';
import type { Kept } from './upkeep.js';

/** A model of a pool that workers load and unload at its server. */
export interface ManagedModel extends Kept {
  /** Memory that it takes. */
  readonly bytes: number;
  /** Memory of the server for all models that workers load. */
  readonly budget: number;
  readonly repository: Repository;
}

/** The models of one server that this worker's pools have. Several pools may have the same one. */
export class ManagedModels {
  readonly #all = new Map<string, ManagedModel[]>();

  add(model: ManagedModel): void {
    this.#all.set(model.name, [...this.#of(model.name), model]);
  }

  remove(model: ManagedModel): void {
    const left = this.#of(model.name).filter((each) => each !== model);
    if (left.length > 0) this.#all.set(model.name, left);
    else this.#all.delete(model.name);
  }

  get names(): readonly string[] {
    return [...this.#all.keys()];
  }

  has(name: string): boolean {
    return this.#all.has(name);
  }

  bytesOf(name: string): number {
    return Math.max(0, ...this.#of(name).map(({ bytes }) => bytes));
  }

  isPinned(name: string): boolean {
    return this.#of(name).some(({ pinned }) => pinned);
  }

  get budget(): number {
    return Math.min(...[...this.#all.values()].flat().map(({ budget }) => budget));
  }

  /** Memory of those that are loaded. */
  used(states: ReadonlyMap<string, LoadState>): number {
    return this.names.filter((name) => states.has(name)).reduce((sum, name) => sum + this.bytesOf(name), 0);
  }

  /** Throws `MODEL_NOT_CONFIGURED` if no pool has the model any more. */
  repositoryOf(name: string): Repository {
    const [model] = this.#of(name);
    if (model) return model.repository;
    throw new MillraceError('MODEL_NOT_CONFIGURED', `no pool has the model "${name}" any more`);
  }

  /** What the server says of its models. */
  async states(signal: AbortSignal): Promise<ReadonlyMap<string, LoadState>> {
    const [model] = [...this.#all.values()].flat();
    return model ? model.repository.states(signal) : new Map();
  }

  #of(name: string): readonly ManagedModel[] {
    return this.#all.get(name) ?? [];
  }
}
