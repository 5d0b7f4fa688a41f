import { existsSync, utimesSync, writeFileSync } from 'node:fs';
import { afterEach, beforeEach, expect, it, vi } from 'vitest';
import { type RegionCalls, Regions } from '../../../../activities/connectors/triton/shared-memory/regions.js';

/* What the upkeep does over minutes. */

const MEBIBYTE = 1024 * 1024;
const signal = new AbortController().signal;
const fileOf = (name: string) => `/dev/shm/${name}`;
let registered: Set<string>;
let inUse: Set<string>;
/** What the server was asked to let go, and whether its file was there. */
let asked: (readonly [name: string, file: boolean])[];
let regions: Regions;

const calls: RegionCalls = {
  allowed: async () => undefined,
  register: async ({ name }) => void registered.add(name),
  async unregister(name) {
    asked.push([name, existsSync(fileOf(name))]);
    if (inUse.has(name)) throw new Error('it is currently in use');
    registered.delete(name);
  },
};

/** Files are written while the time of the upkeep stands still. */
async function until(holds: () => boolean): Promise<void> {
  for (let i = 0; i < 1_000 && !holds(); i++) await new Promise((resolve) => setTimeout(resolve, 10));
  expect(holds()).toBe(true);
}
const passes = (ms: number) => vi.advanceTimersByTimeAsync(ms);

beforeEach(() => {
  registered = new Set();
  inUse = new Set();
  asked = [];
  // The files of other processes are as old as they are: of a later date the upkeep would remove them.
  vi.useFakeTimers({ toFake: ['setInterval', 'clearInterval', 'performance'] });
  regions = new Regions(calls, 4 * MEBIBYTE);
});
afterEach(async () => {
  inUse.clear();
  await regions.close();
  vi.useRealTimers();
});

async function taken(): Promise<NonNullable<Awaited<ReturnType<Regions['take']>>>> {
  const region = await regions.take(1_000, signal);
  if (!region) throw new Error('no region');
  return region;
}

it('gives regions up that no call has used for a minute, and keeps those in use', async () => {
  const [used, idle] = [await taken(), await taken()];
  regions.release(idle);
  await passes(150_000);
  await until(() => registered.size === 1);
  expect([existsSync(fileOf(used.name)), existsSync(fileOf(idle.name))]).toEqual([true, false]);
  expect(asked.filter(([name]) => name === idle.name)).toEqual([[idle.name, false]]);
  expect([...registered]).toEqual([used.name]);
  regions.release(used);
});

it('asks again for one that the server still uses, and has its room back then', async () => {
  const first = await regions.take(4 * MEBIBYTE, signal);
  if (!first) throw new Error('no region');
  inUse.add(first.name);
  await regions.discard(first);
  expect(existsSync(fileOf(first.name))).toBe(false);
  expect(await regions.take(1_000, signal)).toBeUndefined();
  inUse.clear();
  await passes(31_000);
  await until(() => registered.size === 0);
  regions.release(await taken());
});

it('closes after ten minutes though the server lets a region never go', async () => {
  const region = await taken();
  inUse.add(region.name);
  const closed = vi.fn();
  void regions.close().then(closed);
  await passes(60_000);
  expect(closed).not.toHaveBeenCalled();
  await passes(600_000);
  await until(() => closed.mock.calls.length > 0);
  expect(existsSync(fileOf(region.name))).toBe(false);
});

it('removes what a killed process has left: first at the server, then the file', async () => {
  const left = `millrace-${'0123456789abcdef'.repeat(2)}`;
  writeFileSync(fileOf(left), 'left');
  registered.add(left);
  const touched = (minutes: number) => {
    const at = Date.now() / 1_000 - minutes * 60;
    utimesSync(fileOf(left), at, at);
  };
  const own = await taken();
  touched(4);
  await passes(31_000);
  expect(registered).toContain(left);
  touched(6);
  await passes(31_000);
  await until(() => !registered.has(left));
  expect(existsSync(fileOf(left))).toBe(true);
  touched(11);
  await passes(31_000);
  await until(() => !existsSync(fileOf(left)));
  regions.release(own);
});
