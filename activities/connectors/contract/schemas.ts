import type { z } from 'zod';
import { STAGE_KINDS } from '../../../pipelines/stages/index.js';
import type { Contract } from './contract.js';

/** The schema of an answer by stage kind. */
export const schemasOf = ({ kinds = [] }: Contract): ReadonlyMap<string, z.ZodType> =>
  new Map<string, z.ZodType>([
    ...Object.entries(STAGE_KINDS).map(([name, { output }]) => [name, output] as const),
    ...kinds.map(({ definition: { name, output } }) => [name, output] as const),
  ]);
