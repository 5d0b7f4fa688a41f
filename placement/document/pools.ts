import type { PlacedPool, PlacementDocument } from './schema.js';

/** The model that a pool serves, as stages and the models file name it. */
export const servedModel = ({ model, apart }: Pick<PlacedPool, 'model' | 'apart'>): string =>
  apart?.part === 'prefill' ? apart.with : model;

/** The pools that stages call: not those that process prompts for another. */
export const calledPools = ({ pools }: Pick<PlacementDocument, 'pools'>): readonly PlacedPool[] =>
  pools.filter(({ apart }) => apart?.part !== 'prefill');

/** A model on devices: what a replica is called, in each placement that has one there. */
export const replicaName = (model: string, { devices }: Pick<PlacedPool['replicas'][number], 'devices'>): string =>
  `${model} on ${devices.join('+')}`;

/** Names of a placement's replicas. Several of a model on the same devices have one name. */
export const replicaNames = ({ pools }: Pick<PlacementDocument, 'pools'>): ReadonlySet<string> =>
  new Set(pools.flatMap(({ model, replicas }) => replicas.map((each) => replicaName(model, each))));

/** By model served apart, the variant. */
export const variantsApart = ({ pools }: Pick<PlacementDocument, 'pools'>): Readonly<Record<string, string>> =>
  Object.fromEntries(
    pools.flatMap(({ model, variant, apart }) => (apart?.part === 'decode' ? [[model, variant] as const] : [])),
  );

/** Task queues: of any replica of a pool, and of one device. */
export const poolQueue = (model: string): string => `pool.${model}`;
export const deviceQueue = (device: string): string => `device.${device.replace('/', '.')}`;
