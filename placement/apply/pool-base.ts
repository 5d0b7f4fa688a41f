/** A pool's entry in the models file without its endpoints. */
export interface PoolBase {
  readonly connector: string;
  readonly model: string;
  readonly kind: string;
  readonly [more: string]: unknown;
}
