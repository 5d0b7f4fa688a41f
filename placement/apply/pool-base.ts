import { invalidFields } from '../../pipelines/invalid-fields.js';
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
 * The model's name at its server: that of the variant that was placed, if the pool names variants; without a pool, the pool's name.
 * Throws `INVALID_PLACEMENT` for a variant that is not among them: another one would be served than the one that was planned.
 */
export const modelAt = (base: Readonly<Record<string, PoolBase>>, { model, variant }: PlacedPool): string => {
  const pool = base[model];
  const variants = pool?.variants ?? {};
  const names = Object.keys(variants);
  if (names.length === 0) return pool?.model ?? model;
  if (Object.hasOwn(variants, variant)) return variants[variant]?.model ?? model;
  const message = `the placement has the variant "${variant}", and the models file names ${names.join(', ')}: add variants.${variant} with the model’s name at its servers`;
  throw invalidFields('INVALID_PLACEMENT', [{ field: `pools.${model}.variant`, message }]);
};
