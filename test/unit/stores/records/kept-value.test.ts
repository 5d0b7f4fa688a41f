import { mkdtemp, readdir, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { MillraceError } from '../../../../pipelines/errors.js';
import { openFileStore } from '../../../../stores/artifacts/index.js';
import { inlineValue, keptValue, outputName, restoredValue } from '../../../../stores/records/kept-value.js';
import { type Spill, spillTo } from '../../../../stores/records/spill.js';

let root: string;
let spill: Spill;
beforeEach(async () => {
  root = await mkdtemp(path.join(tmpdir(), 'millrace-kept-'));
  spill = spillTo(await openFileStore(root));
});
afterEach(() => rm(root, { recursive: true }));

const SECRET = 'what Ada said';
const LARGE = { text: `${SECRET} `.repeat(2_000) };
const OWN = { root: 'run-1', call: 'answer 0123456789abcdef', digest: 'd' };

const at = (more: Partial<typeof OWN> = {}, by: Spill = spill) => ({
  tenant: 'default',
  spill: by,
  name: outputName({ ...OWN, ...more }),
});

/** What is in the artifact store, bytes and metadata. */
async function stored(): Promise<string[]> {
  const names = await readdir(root, { recursive: true });
  const files = names.filter((name) => /[0-9a-f]{64}(\.json)?$/.test(name));
  return await Promise.all(files.map((name) => readFile(path.join(root, name), 'latin1')));
}

/** A large value, sealed. */
async function sealedValue() {
  const kept = await keptValue(LARGE, at(), true);
  if (!('sealed' in kept)) throw new Error('it is not sealed');
  return kept;
}

const fileOf = (uri: string) => {
  const sha256 = uri.slice(-64);
  return path.join(root, 'default', sha256.slice(0, 2), sha256);
};
const gone = { code: 'RECORD_GONE' };

describe('a large value of a record', () => {
  it('is read with what the record has of it, and not without', async () => {
    const kept = await sealedValue();
    expect(await restoredValue(kept, at())).toEqual(LARGE);
    const files = await stored();
    expect(files).toHaveLength(2);
    for (const file of files) {
      expect(file).not.toContain(SECRET);
      expect(file).not.toContain(kept.key);
    }
    expect(kept.sealed).toMatch(/^artifact:\/\/default\/[0-9a-f]{64}$/);
  });

  it('is gone for a worker of 0.3.0, which looks for it by `uri`', async () => {
    const { uri } = await sealedValue();
    await expect(spill.get('default', uri)).rejects.toMatchObject({ code: 'ARTIFACT_NOT_FOUND' });
  });

  it('has a key and a file of its own each time, so that two attempts do not depend on each other', async () => {
    const [one, two] = await Promise.all([sealedValue(), sealedValue()]);
    expect(one.key).not.toBe(two.key);
    await rm(fileOf(one.sealed));
    expect(await restoredValue(two, at())).toEqual(LARGE);
    await expect(restoredValue(one, at())).rejects.toMatchObject(gone);
  });

  it('is not read in the place of another one', async () => {
    const kept = await sealedValue();
    const others = [{ root: 'run-2' }, { call: 'pay 0123456789abcdef' }, { digest: 'e' }] as const;
    for (const other of others) {
      await expect(restoredValue(kept, at(other)), JSON.stringify(other)).rejects.toMatchObject(gone);
    }
  });

  it('is `RECORD_GONE` once its bytes are changed, whether or not the store notices, and says no key', async () => {
    const kept = await sealedValue();
    const bytes = await spill.get('default', kept.sealed);
    const changed = Buffer.from(bytes.map((byte, i) => (i === 1_000 ? byte ^ 1 : byte)));
    const careless: Spill = { ...spill, get: async () => changed };
    await expect(restoredValue(kept, at({}, careless))).rejects.toMatchObject(gone);
    await writeFile(fileOf(kept.sealed), changed);
    const error: unknown = await restoredValue(kept, at()).catch((thrown: unknown) => thrown);
    expect(error).toMatchObject(gone);
    expect(String(error)).not.toContain(kept.key);
  });

  it('is `RECORD_GONE` where there is no store, and is waited for where the store is away', async () => {
    const kept = await sealedValue();
    await expect(restoredValue(kept, { ...at(), spill: undefined })).rejects.toMatchObject(gone);
    const away: Spill = { ...spill, get: () => Promise.reject(new MillraceError('STORE_UNAVAILABLE', 'away')) };
    await expect(restoredValue(kept, at({}, away))).rejects.toMatchObject({ code: 'STORE_UNAVAILABLE' });
  });

  it('is not stored any more once it is given up', async () => {
    const givenUp = AbortSignal.abort(new Error('given up'));
    await expect(spill.put('default', [Buffer.from(SECRET)], 'text/plain', givenUp)).rejects.toThrow('given up');
    expect(await stored()).toEqual([]);
  });

  it('is stored as it is for workers that could not open it, and is read where it was stored so', async () => {
    const kept = await keptValue(LARGE, at(), false);
    expect(Object.keys(kept)).toEqual(['uri']);
    expect(await stored()).toContain(JSON.stringify(LARGE));
    expect(await restoredValue(kept, at({ root: 'run-2' }))).toEqual(LARGE);
  });
});

it('a small value of a record is in the record', async () => {
  const kept = await keptValue({ n: 1 }, at(), true);
  expect(kept).toEqual({ json: { n: 1 } });
  expect(await restoredValue(kept, { ...at(), spill: undefined })).toEqual({ n: 1 });
  expect(await stored()).toEqual([]);
});

it('a value that nothing reads again is kept where it is small, and nowhere where it is large', () => {
  expect(inlineValue({ n: 1 })).toEqual({ json: { n: 1 } });
  // The quotes count.
  expect(inlineValue('ä'.repeat(8_191))).toBeDefined();
  expect(inlineValue('ä'.repeat(8_192))).toBeUndefined();
});
