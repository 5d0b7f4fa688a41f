import { expect, it } from 'vitest';
import type { LoadState } from '../../../../../activities/connectors/connector.js';
import { Upkeep } from '../../../../../activities/pools/model-cache/upkeep.js';
import { parseSchedule } from '../../../../../activities/pools/schedule.js';

function kept() {
  const loaded = new Map<string, LoadState>();
  const log: string[] = [];
  let now = Date.parse('2026-11-27T07:45:30Z');
  let away = false;
  const ended = new AbortController();
  const upkeep = new Upkeep({
    states: async () => {
      if (away) throw new Error('away');
      return loaded;
    },
    load: async (name) => {
      log.push(name);
      loaded.set(name, 'ready');
    },
    closing: ended.signal,
    now: () => now,
  });
  return {
    ...{ upkeep, loaded, log, end: () => ended.abort() },
    at: (time: string) => {
      now = Date.parse(`2026-11-27T${time}Z`);
      return upkeep.look();
    },
    away: (yes: boolean) => {
      away = yes;
    },
  };
}

it('loads pinned models, and again when the server has lost them', async () => {
  const { upkeep, loaded, log, at, away, end } = kept();
  upkeep.add({ name: 'pinned', pinned: true });
  upkeep.add({ name: 'other', pinned: false });
  await at('07:46:00');
  await at('07:46:05');
  expect(log).toEqual(['pinned']);
  loaded.clear();
  away(true);
  await at('07:46:10');
  away(false);
  await at('07:46:15');
  expect(log).toEqual(['pinned', 'pinned']);
  end();
});

it('loads a model when its time comes, once, also where the process stood still at that minute', async () => {
  const { upkeep, loaded, log, at, end } = kept();
  upkeep.add({ name: 'daily', pinned: false, prefetch: parseSchedule('50 7 * * *') });
  await at('07:49:59');
  expect(log).toEqual([]);
  await at('07:52:00');
  expect(log).toEqual(['daily']);
  loaded.clear();
  await at('07:52:05');
  await at('08:50:00');
  expect(log).toEqual(['daily']);
  end();
});

it('does not make up for a time that was long ago', async () => {
  const { upkeep, log, at, end } = kept();
  upkeep.add({ name: 'daily', pinned: false, prefetch: parseSchedule('50 7 * * *') });
  await at('09:00:00');
  expect(log).toEqual([]);
  end();
});
