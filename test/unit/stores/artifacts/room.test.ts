import { randomBytes } from 'node:crypto';
import { mkdir, mkdtemp, readdir, rm, stat, statfs, utimes, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { afterEach, beforeEach, expect, test, vi } from 'vitest';
import {
  type ArtifactStore,
  type Inspector,
  openFileStore,
  pruneArtifacts,
  withOutputBudget,
} from '../../../../stores/artifacts/index.js';
import { Room } from '../../../../stores/artifacts/room.js';

let root: string;
beforeEach(async () => {
  root = await mkdtemp(path.join(tmpdir(), 'millrace-room-'));
});
afterEach(() => rm(root, { recursive: true }));

const anything = (): Inspector => ({ push: () => {}, end: () => ({ mime: 'application/octet-stream' }) });
async function* stream(bytes: Uint8Array): AsyncGenerator<Uint8Array, void> {
  for (let at = 0; at < bytes.length; at += 1000) yield bytes.subarray(at, at + 1000);
}
const put = (store: ArtifactStore, bytes: Uint8Array, tenant = 'acme') => store.put(tenant, stream(bytes), anything());
const coded = (code: string) => expect.objectContaining({ code });
const incoming = () => readdir(path.join(root, '.incoming'));

test('a tenant keeps no more than its quota, and leaves the others theirs', async () => {
  const store = await openFileStore(root, { tenantBytes: 200_000 });
  await put(store, randomBytes(120_000));
  await expect(put(store, randomBytes(120_000))).rejects.toThrow(coded('QUOTA_EXCEEDED'));
  expect(await incoming()).toEqual([]);
  await put(store, randomBytes(60_000));
  await put(store, randomBytes(120_000), 'rival');
});

test('tiny files count as what they take of the disk, also when they are measured', async () => {
  const store = await openFileStore(root, { tenantBytes: 1024 * 1024 });
  let kept = 0;
  const refused = async () => {
    for (; kept < 1_000; kept++) await put(store, Buffer.from(`${kept}`));
  };
  await expect(refused()).rejects.toThrow(coded('QUOTA_EXCEEDED'));
  expect(kept).toBe(64);
  const later = await openFileStore(root, { tenantBytes: 1024 * 1024 });
  await expect(put(later, Buffer.from('another'))).rejects.toThrow(coded('QUOTA_EXCEEDED'));
  expect(await incoming()).toEqual([]);
  await put(later, Buffer.from('another'), 'rival');
});

test('what the same bytes take is counted once', async () => {
  const store = await openFileStore(root, { tenantBytes: 400_000 });
  const bytes = randomBytes(100_000);
  for (let i = 0; i < 6; i++) await put(store, bytes);
  await put(store, randomBytes(100_000));
});

test('puts under way count, so that many at once do not pass the quota together', async () => {
  const store = await openFileStore(root, { tenantBytes: 300_000 });
  const puts = await Promise.allSettled(Array.from({ length: 16 }, () => put(store, randomBytes(90_000))));
  const kept = puts.filter(({ status }) => status === 'fulfilled').length;
  expect(kept).toBeLessThanOrEqual(3);
  for (const each of puts)
    if (each.status === 'rejected') expect(each.reason).toMatchObject({ code: 'QUOTA_EXCEEDED' });
  // What was refused has given its room back.
  for (let left = 3 - kept; left > 0; left--) await put(store, randomBytes(90_000));
});

test('another process learns what is there already', async () => {
  await put(await openFileStore(root), randomBytes(150_000));
  const later = await openFileStore(root, { tenantBytes: 200_000 });
  await expect(put(later, randomBytes(90_000))).rejects.toThrow(coded('QUOTA_EXCEEDED'));
});

test('a put that would be refused waits for a measurement under way', async () => {
  vi.useFakeTimers({ toFake: ['performance'] });
  try {
    const old = path.join(root, 'acme', 'old');
    await mkdir(path.dirname(old));
    for (const bytes of [150_000, 130_000]) {
      await writeFile(old, randomBytes(bytes));
      const room = new Room(root, { tenantBytes: 150_000 });
      const tried = async () => {
        const taken = await room.take('acme');
        await taken.add(20_000).finally(() => taken.end(undefined));
      };
      await expect(tried()).rejects.toThrow(coded('QUOTA_EXCEEDED'));
      vi.advanceTimersByTime(61_000);
      await expect(tried(), 'nothing has been removed').rejects.toThrow(coded('QUOTA_EXCEEDED'));
      await rm(old);
      await expect(tried(), 'measured a moment ago').rejects.toThrow(coded('QUOTA_EXCEEDED'));
      vi.advanceTimersByTime(61_000);
      await tried();
    }
  } finally {
    vi.useRealTimers();
  }
});

test('a put leaves the reserve of the disk free', async () => {
  const { bavail, bsize } = await statfs(root);
  const nearlyFull = await openFileStore(root, { reserveBytes: bavail * bsize * 2 });
  await expect(put(nearlyFull, randomBytes(1))).rejects.toThrow(coded('STORE_FULL'));
  // A process with a smaller reserve goes on: that of runs under way.
  await put(await openFileStore(root, { reserveBytes: 1 }), randomBytes(1));
});

test('all puts of one call share its output budget', async () => {
  const store = await openFileStore(root);
  const call = withOutputBudget(store, 10_000);
  await put(call, randomBytes(6_000));
  let given = 0;
  async function* endless() {
    for (;;) {
      given += 1_000;
      yield randomBytes(1_000);
    }
  }
  await expect(call.put('acme', endless(), anything())).rejects.toThrow(coded('OUTPUT_BUDGET_EXCEEDED'));
  expect(given).toBe(5_000);
  await expect(put(call, randomBytes(1))).rejects.toThrow(coded('OUTPUT_BUDGET_EXCEEDED'));
  expect(await incoming()).toEqual([]);
  await put(withOutputBudget(store, 10_000), randomBytes(6_000));
});

test('pruning removes what a process that died has left, a day later', async () => {
  await openFileStore(root);
  const [left, underWay] = ['left', 'under-way'].map((name) => path.join(root, '.incoming', name)) as [string, string];
  await Promise.all([writeFile(left, 'x'.repeat(1_000)), writeFile(underWay, 'x')]);
  const dayAgo = new Date(Date.now() - 25 * 3_600_000);
  await utimes(left, dayAgo, dayAgo);
  const before = Date.now() - 30 * 86_400_000;
  expect(await pruneArtifacts(root, { before, dryRun: true })).toEqual({ files: 1, bytes: 1_000 });
  expect(await pruneArtifacts(root, { before, tenant: 'acme' }), 'it may be another’s').toEqual({ files: 0, bytes: 0 });
  expect(await pruneArtifacts(root, { before })).toEqual({ files: 1, bytes: 1_000 });
  expect(await incoming()).toEqual(['under-way']);
});

test('pruning removes what was last used before a time, of all tenants or one', async () => {
  const store = await openFileStore(root);
  const [old, read, fresh, rival, given] = [
    await put(store, randomBytes(1_000)),
    await put(store, randomBytes(2_000)),
    await put(store, randomBytes(3_000)),
    await put(store, randomBytes(4_000), 'rival'),
    await put(store, randomBytes(5_000)),
  ];
  const fileOf = (tenant: string, sha256: string) => path.join(root, tenant, sha256.slice(0, 2), sha256);
  const monthAgo = new Date(Date.now() - 30 * 86_400_000);
  for (const [tenant, { sha256 }] of [
    ['acme', old],
    ['acme', read],
    ['rival', rival],
    ['acme', given],
  ] as const) {
    await utimes(fileOf(tenant, sha256), monthAgo, monthAgo);
  }
  // A read is a use, and so is a look-up: a run has begun with it, and reads it later.
  for await (const _ of store.read('acme', read.uri)) void _;
  expect(await store.stat('acme', given.uri)).toEqual(given);
  const before = Date.now() - 86_400_000;
  expect(await pruneArtifacts(root, { before, tenant: 'acme', dryRun: true })).toEqual({ files: 1, bytes: 1_000 });
  await expect(stat(fileOf('acme', old.sha256)), 'counted only').resolves.toBeDefined();
  expect(await pruneArtifacts(root, { before, tenant: 'acme' })).toEqual({ files: 1, bytes: 1_000 });
  await expect(store.stat('acme', old.uri)).rejects.toThrow(coded('ARTIFACT_NOT_FOUND'));
  expect(await store.stat('acme', read.uri)).toEqual(read);
  expect(await store.stat('acme', given.uri)).toEqual(given);
  expect(await store.stat('acme', fresh.uri)).toEqual(fresh);
  expect(await pruneArtifacts(root, { before })).toEqual({ files: 1, bytes: 4_000 });
});

test('what is stored again while it is pruned stays, with its metadata', async () => {
  const store = await openFileStore(root);
  const bytes = randomBytes(1_000);
  const { uri, sha256 } = await put(store, bytes);
  const file = path.join(root, 'acme', sha256.slice(0, 2), sha256);
  const monthAgo = new Date(Date.now() - 30 * 86_400_000);
  const before = Date.now() - 86_400_000;
  for (let i = 0; i < 60; i++) {
    for (const each of [file, `${file}.json`]) await utimes(each, monthAgo, monthAgo);
    // At different points of the put.
    const prune = sleep(i % 6).then(() => pruneArtifacts(root, { before }));
    await Promise.all([put(store, bytes), prune]);
    expect(await store.stat('acme', uri), `round ${i}`).toMatchObject({ uri });
  }
  expect(await incoming()).toEqual([]);
  for (const each of [file, `${file}.json`]) await utimes(each, monthAgo, monthAgo);
  expect(await pruneArtifacts(root, { before })).toEqual({ files: 1, bytes: 1_000 });
  expect(await readdir(path.dirname(file))).toEqual([]);
});

test('pruning leaves no metadata without bytes, also where that is newer', async () => {
  const store = await openFileStore(root);
  const { sha256 } = await put(store, randomBytes(1_000));
  const file = path.join(root, 'acme', sha256.slice(0, 2), sha256);
  const ago = (ms: number) => new Date(Date.now() - ms);
  await utimes(file, ago(30 * 86_400_000), ago(30 * 86_400_000));
  // A put has written it again and died before its bytes came.
  await utimes(`${file}.json`, ago(3_600_000), ago(3_600_000));
  expect(await pruneArtifacts(root, { before: Date.now() - 86_400_000 })).toEqual({ files: 1, bytes: 1_000 });
  expect(await readdir(path.dirname(file))).toEqual([]);
});
