import { describe, expect, it } from 'vitest';
import { PRESETS } from '../../../activities/connectors/http/index.js';
import { createConnectors } from '../../../activities/connectors/index.js';
import { connectorOf, parseModels } from '../../../activities/pools/index.js';
import { blocksOf, pagesOf } from '../../support/pages.js';

/** Pools of the pages about servers, with the page. */
const POOLS = pagesOf('docs/reference/servers').flatMap((page) =>
  blocksOf(page, 'json').flatMap(({ text, line }) => {
    const models = JSON.parse(text) as Record<string, { connector?: unknown }>;
    if (!Object.values(models).some((each) => each?.connector !== undefined)) return [];
    return Object.entries(parseModels(models, `${page}:${line}`)).map(([name, pool]) => ({ page, name, pool }));
  }),
);

describe('pools in the pages about servers', () => {
  it.each(POOLS.map((each) => [each.page, each.name, each.pool] as const))('%s: %s is served', (_, name, pool) => {
    expect(connectorOf(name, pool, createConnectors()).name).toBe(pool.connector);
  });

  it('show every preset', () => {
    const shown = POOLS.map(({ pool }) => pool.options?.preset);
    expect(shown).toEqual(expect.arrayContaining([...PRESETS.keys()]));
  });
});
