import type { PlacedPool, PlacementDocument } from './schema.js';

/** The model that a pool serves, as stages and the models file name it. */
export const servedModel = ({ model, apart }: Pick<PlacedPool, 'model' | 'apart'>): string =>
  apart?.part === 'prefill' ? apart.with : model;

/** The pools that stages call: not those that process prompts for another. */
export const calledPools = ({ pools }: Pick<PlacementDocument, 'pools'>): readonly PlacedPool[] =>
  pools.filter(({ apart }) => apart?.part !== 'prefill');

/** By model served apart, the variant. */
export const variantsApart = ({ pools }: Pick<PlacementDocument, 'pools'>): Readonly<Record<string, string>> =>
  Object.fromEntries(
    pools.flatMap(({ model, variant, apart }) => (apart?.part === 'decode' ? [[model, variant] as const] : [])),
  );

/** Task queues: of any replica of a pool, and of one device. */
export const poolQueue = (model: string): string => `pool.${model}`;
export const deviceQueue = (device: string): string => `device.${device.replace('/', '.')}`;
