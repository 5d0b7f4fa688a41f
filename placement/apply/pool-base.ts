import type { PlacedPool } from '../document/index.js';

/** A pool's entry in the models file without its endpoints. */
export interface PoolBase {
  readonly connector: string;
  readonly model: string;
  readonly kind: string;
  /** The model's name at the server for each variant that has one of its own. */
  readonly variants?: Readonly<Record<string, { readonly model: string }>> | undefined;
  readonly [more: string]: unknown;
}

/**
 * The model's name at its server: that of the variant that was placed, if the pool names it; without a pool, the pool's name. Both
 * parts of a model served apart have one name.
 */
export const modelAt = (base: Readonly<Record<string, PoolBase>>, { model, variant, apart }: PlacedPool): string => {
  const pool = base[model];
  const variants = pool?.variants ?? {};
  return apart === undefined && Object.hasOwn(variants, variant)
    ? (variants[variant]?.model ?? model)
    : (pool?.model ?? model);
};
