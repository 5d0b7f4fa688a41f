import { createHash, randomBytes } from 'node:crypto';
import { chmod, mkdtemp, readdir, readFile, rm, stat, utimes, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { type ArtifactStore, type Inspector, openFileStore } from '../../../../stores/artifacts/index.js';

let root: string;
let store: ArtifactStore;
beforeEach(async () => {
  root = await mkdtemp(path.join(tmpdir(), 'millrace-store-'));
  store = await openFileStore(root);
});
afterEach(() => rm(root, { recursive: true }));

const anything = (): Inspector => ({ push: () => {}, end: () => ({ mime: 'application/octet-stream' }) });
async function* stream(bytes: Uint8Array, piece = 1000): AsyncGenerator<Uint8Array, void> {
  for (let at = 0; at < bytes.length; at += piece) yield bytes.subarray(at, at + piece);
}
const put = (bytes: Uint8Array, tenant = 'acme', to = store) => to.put(tenant, stream(bytes), anything());
async function bytesOf(uri: string, range?: { start: number; end: number }, tenant = 'acme'): Promise<Buffer> {
  const parts: Uint8Array[] = [];
  for await (const part of store.read(tenant, uri, range)) parts.push(part);
  return Buffer.concat(parts);
}
const fileOf = (sha256: string, tenant = 'acme') => path.join(root, tenant, sha256.slice(0, 2), sha256);
const incoming = () => readdir(path.join(root, '.incoming'));
const coded = (code: string) => expect.objectContaining({ code });

describe('what is put can be read', () => {
  test.each([0, 1, 999, 1000, 65_536, 65_537, 300_000])('%i bytes', async (size) => {
    const bytes = randomBytes(size);
    const artifact = await put(bytes);
    const sha256 = createHash('sha256').update(bytes).digest('hex');
    expect(artifact).toEqual({
      uri: `artifact://acme/${sha256}`,
      sha256,
      bytes: size,
      mime: 'application/octet-stream',
    });
    expect(await store.stat('acme', artifact.uri)).toEqual(artifact);
    expect(await bytesOf(artifact.uri)).toEqual(bytes);
    expect(await readFile(fileOf(sha256))).toEqual(bytes);
    expect(await incoming()).toEqual([]);
  });

  test('in ranges', async () => {
    const bytes = randomBytes(200_000);
    const { uri } = await put(bytes);
    for (const [start, end] of [
      [0, 0],
      [0, 199_999],
      [65_535, 65_536],
      [100_000, 199_999],
      [199_999, 400_000],
    ] as const) {
      expect(await bytesOf(uri, { start, end })).toEqual(bytes.subarray(start, end + 1));
    }
  });

  test('by another process, after a restart', async () => {
    const { uri } = await put(Buffer.from('hello'));
    store = await openFileStore(root);
    expect((await bytesOf(uri)).toString()).toBe('hello');
  });

  test('after the tenant’s folder was removed while the store is open', async () => {
    const bytes = randomBytes(10);
    await put(bytes);
    await rm(path.join(root, 'acme'), { recursive: true });
    const { uri } = await put(bytes);
    expect(await bytesOf(uri)).toEqual(bytes);
  });

  test('when equal content is put many times at once', async () => {
    const bytes = randomBytes(100_000);
    const all = await Promise.all(Array.from({ length: 12 }, () => put(bytes)));
    expect(new Set(all.map((artifact) => artifact.uri)).size).toBe(1);
    expect(await bytesOf((all[0] as { uri: string }).uri)).toEqual(bytes);
    expect(await incoming()).toEqual([]);
  });

  test('and a reader that stops early leaves nothing open', async () => {
    const { uri } = await put(randomBytes(300_000));
    for await (const part of store.read('acme', uri)) {
      expect(part.length).toBe(65_536);
      break;
    }
  });
});

describe('a put that fails leaves nothing', () => {
  test('above the limit, at the first byte too many', async () => {
    const limited = await openFileStore(root, { maxBytes: 2500 });
    expect((await put(randomBytes(2500), 'acme', limited)).bytes).toBe(2500);
    let given = 0;
    async function* endless() {
      for (;;) {
        given += 1000;
        yield randomBytes(1000);
      }
    }
    await expect(limited.put('acme', endless(), anything())).rejects.toThrow(coded('BODY_TOO_LARGE'));
    expect(given).toBe(3000);
    expect(await incoming()).toEqual([]);
  });

  test('when the inspector refuses a chunk or the end', async () => {
    const refusal = new Error('refused');
    const refuse = () => {
      throw refusal;
    };
    for (const inspector of [
      { ...anything(), push: refuse },
      { ...anything(), end: refuse },
    ]) {
      await expect(store.put('acme', stream(randomBytes(5000)), inspector)).rejects.toBe(refusal);
    }
    expect(await readdir(root)).toEqual(['.incoming']);
    expect(await incoming()).toEqual([]);
  });

  test('when the source breaks', async () => {
    const broken = new Error('connection lost');
    async function* source() {
      yield randomBytes(1000);
      throw broken;
    }
    await expect(store.put('acme', source(), anything())).rejects.toBe(broken);
    expect(await incoming()).toEqual([]);
  });
});

describe('tenants', () => {
  test('do not see each other’s files', async () => {
    const { uri } = await put(Buffer.from('secret'));
    await expect(store.stat('acme', uri.replace('acme', 'rival'))).rejects.toThrow(coded('ARTIFACT_NOT_FOUND'));
    await expect(bytesOf(uri.replace('acme', 'rival'))).rejects.toThrow(coded('ARTIFACT_NOT_FOUND'));
  });

  test('do not get at another’s by its address', async () => {
    const { uri } = await put(Buffer.from('secret'));
    await expect(store.stat('rival', uri)).rejects.toThrow(coded('ARTIFACT_NOT_FOUND'));
    await expect(bytesOf(uri, undefined, 'rival')).rejects.toThrow(coded('ARTIFACT_NOT_FOUND'));
    await expect(bytesOf(uri, { start: 0, end: 1 }, 'rival')).rejects.toThrow(coded('ARTIFACT_NOT_FOUND'));
  });

  test.each(['', '..', '.', '.incoming', '../acme', 'a/b', 'Acme', 'a\0b', 'a b', '-a', 'é', 'a'.repeat(64)])(
    'cannot be called "%s"',
    async (tenant) => {
      await expect(put(Buffer.from('x'), tenant)).rejects.toThrow(coded('INVALID_INPUT'));
      expect(await readdir(root)).toEqual(['.incoming']);
    },
  );

  test.each(['default', 'a', '0', 'acme.eu-1_b', 'a..b', 'a'.repeat(63)])('can be called "%s"', async (tenant) => {
    expect((await put(Buffer.from('x'), tenant)).uri).toContain(`//${tenant}/`);
  });
});

test.each([
  'artifact://acme/../../etc/passwd',
  `artifact://../${'0'.repeat(64)}`,
  'artifact://acme/short',
  'file:///etc/passwd',
  '',
  `artifact://acme/${'A'.repeat(64)}`,
  `artifact://acme/${'0'.repeat(64)}`,
])('no artifact at "%s"', async (uri) => {
  await expect(store.stat('acme', uri)).rejects.toThrow(coded('ARTIFACT_NOT_FOUND'));
  await expect((async () => bytesOf(uri))()).rejects.toThrow(coded('ARTIFACT_NOT_FOUND'));
});

describe('damage is found', () => {
  test('in the bytes, before the last of them is given', async () => {
    const bytes = randomBytes(150_000);
    const { uri, sha256 } = await put(bytes);
    bytes[10] = (bytes[10] ?? 0) ^ 1;
    await writeFile(fileOf(sha256), bytes);
    let given = 0;
    const read = async () => {
      for await (const part of store.read('acme', uri)) given += part.length;
    };
    await expect(read()).rejects.toThrow(coded('ARTIFACT_CORRUPT'));
    expect(given).toBeLessThan(150_000);
    expect((await put(await readFile(fileOf(sha256)))).sha256).not.toBe(sha256);
  });

  test('in the size', async () => {
    const { uri, sha256 } = await put(randomBytes(100));
    await writeFile(fileOf(sha256), 'short');
    await expect(store.stat('acme', uri)).rejects.toThrow(coded('ARTIFACT_CORRUPT'));
  });

  test.each(['', '{', '{"uri":"artifact://x"}', undefined])(
    'in the metadata (%s), and repaired by storing it again',
    async (text) => {
      const bytes = randomBytes(100);
      const artifact = await put(bytes);
      const sidecar = `${fileOf(artifact.sha256)}.json`;
      if (text === undefined) await rm(sidecar);
      else await writeFile(sidecar, text);
      await expect(store.stat('acme', artifact.uri)).rejects.toThrow(coded('ARTIFACT_CORRUPT'));
      await put(bytes);
      expect(await store.stat('acme', artifact.uri)).toEqual(artifact);
    },
  );
});

test('files of dead processes are swept when a day old', async () => {
  const old = path.join(root, '.incoming', 'old');
  const young = path.join(root, '.incoming', 'young');
  await Promise.all([writeFile(old, 'x'), writeFile(young, 'x')]);
  const dayAgo = new Date(Date.now() - 25 * 3_600_000);
  await utimes(old, dayAgo, dayAgo);
  await openFileStore(root);
  expect(await incoming()).toEqual(['young']);
});

test('an unusable root is STORE_UNAVAILABLE, and the message names no path', async () => {
  const file = path.join(root, 'a-file');
  await writeFile(file, '');
  await expect(openFileStore(path.join(file, 'store'))).rejects.toThrow(coded('STORE_UNAVAILABLE'));
  await store.check();
  await rm(path.join(root, '.incoming'), { recursive: true });
  await expect(store.check()).rejects.toThrow(coded('STORE_UNAVAILABLE'));
  const error = await put(Buffer.from('x')).catch((caught: unknown) => caught as Error);
  expect(error).toMatchObject({ code: 'STORE_UNAVAILABLE' });
  expect((error as Error).message).not.toContain(root);
  expect((await stat(root)).isDirectory()).toBe(true);
  await chmod(root, 0o755);
});
